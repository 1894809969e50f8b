"""Exercise 8: arithmetic coding."""

import math

import torch

from gmtools.grading import expect, expect_unchanged

from .common import hidden, public


def interval(symbols, freq) -> tuple[int, int, int]:
    """The message's interval, as whole numbers: from low/one, of width width/one."""
    low, width, one = 0, 1, 1
    for symbol, row in zip(symbols.tolist(), freq.tolist(), strict=True):
        low, one = low * sum(row) + width * sum(row[:symbol]), one * sum(row)
        width *= row[symbol]
    return low, width, one


def expect_code(value, symbols, freq) -> None:
    """Fail unless ``value`` is a binary fraction that stays in the interval, and short enough."""
    public.expect_binary(value)
    low, width, one = interval(symbols, freq)
    start, steps = int("0" + value, 2) * one, 1 << len(value)
    expect(low * steps <= start and start + one <= (low + width) * steps, "")
    expect(len(value) < public.ideal_length(symbols, freq) + 2, "")


@hidden.check(
    "encode",
    "случайни съобщения, различни сборове на честотите",
    points=2,
    hint="Сборът T е различен за всяка стъпка: стеснявайте с честотите на текущия ред.",
)
def encode_on_fresh_inputs(student, generator):
    for length, levels, most in ((1, 2, 5), (7, 3, 9), (40, 5, 1000), (40, 2, 2**16)):
        freq = torch.randint(1, most, (length, levels), generator=generator)
        symbols = torch.multinomial(freq.double(), 1, generator=generator)[:, 0]
        outcome = student.trace("encode", symbols, freq)
        expect_unchanged(outcome)
        expect_code(outcome.value, symbols, freq)


@hidden.check(
    "encode",
    "дълго съобщение, празно съобщение и малко вероятни символи",
    points=2,
    hint="Числата стават с хиляди цифри: само целите числа на Python са без ограничение. Кодът на празното "
    "съобщение е празен или един бит.",
)
def encode_extremes(student, generator):
    symbols, freq = public.random_message(generator, 400)
    expect_code(student.encode(symbols, freq), symbols, freq)
    rare = torch.tensor([[2**16 - 1, 1]]).expand(60, 2)
    for symbol in (0, 1):
        symbols = torch.full((60,), symbol)
        expect_code(student.encode(symbols, rare), symbols, rare)
    nothing = torch.zeros(0, dtype=torch.long), torch.ones(0, 3, dtype=torch.long)
    expect_code(student.encode(*nothing), *nothing)


hidden.mistakes(
    "encode",
    ("натрупани с една в повече", "counts[:symbol])", "counts[: symbol + 1])"),
    ("ширината не се стеснява", "width *= counts[symbol]", "width *= total"),
    ("дробта може да излезе от интервала", "(point + 1) * one <= (low", "point * one < (low"),
    ("само началото на интервала", "if (point", "if length > 40 or (point"),
    ("един и същ сбор", "total = sum(counts)", "total = sum(freq.tolist()[0])"),
    ("излишни битове", 'b}" if', 'b}00" if'),
    ("без водещите нули", "{point:0{length}b}", "{point:b}"),
    ("списък вместо низ", 'return f"{point:0{length}b}"', 'return list(f"{point:0{length}b}")'),
    ("началото е изместено", "width * sum", "(width + 1) * sum"),
    ("с float", "low, width, one = 0, 1, 1", "low, width, one = 0, 1, 1.0"),
    ("с torch.long", "freq.tolist(), strict", "freq, strict"),
    (
        "отзад напред",
        "zip(symbols.tolist(), freq.tolist()",
        "zip(symbols.tolist()[::-1], freq.tolist()[::-1]",
    ),
)


@hidden.alternative("encode", "с дроби")
def encode_by_fractions(symbols, freq):
    from fractions import Fraction

    low, width = Fraction(0), Fraction(1)
    for s, row in zip(symbols.tolist(), freq.tolist(), strict=True):
        low += width * Fraction(sum(row[:s]), sum(row))
        width *= Fraction(row[s], sum(row))
    for length in range(10**6):
        start = math.ceil(low * 2**length)
        if start + 1 <= (low + width) * 2**length:
            return bin(2**length + start)[3:]


@hidden.alternative("encode", "с готовата дължина ⌈−log₂ p⌉ + 1")
def encode_by_length(symbols, freq):
    cumulative = torch.cumsum(freq, dim=1) - freq
    low, width, one = 0, 1, 1
    for t, s in enumerate(symbols.tolist()):
        total = int(freq[t].sum())
        low = low * total + width * int(cumulative[t, s])
        width, one = width * int(freq[t, s]), one * total
    length = ((one + width - 1) // width - 1).bit_length() + 1 if width < one else 0
    point = ((low << length) + one - 1) // one
    return "".join(str(point >> k & 1) for k in reversed(range(length)))
