"""Exercise 9: decoding."""

import itertools

import torch

from gmtools.grading import expect

from .common import hidden, public
from .encode import interval


def true_code(symbols, freq) -> str:
    """The shortest right code."""
    low, width, one = interval(symbols, freq)
    for length in itertools.count():
        point = -((-low << length) // one)
        if (point + 1) * one <= (low + width) << length:
            return f"{point:0{length}b}" if length else ""


class Adaptive:
    """Frequencies that depend on the symbols so far, of growing total; it remembers what it was shown."""

    def __init__(self, levels: int = 3):
        self.levels, self.seen = levels, []

    def __call__(self, past):
        self.seen.append(past.tolist())
        return 1 + 3 * torch.bincount(past.long(), minlength=self.levels)

    def rows(self, symbols):
        return torch.stack([Adaptive(self.levels)(symbols[:t]) for t in range(len(symbols))])


@hidden.check(
    "decode",
    "честоти, които растат с миналото: model вижда точно възстановеното дотук, по веднъж за символ",
    points=2,
    hint="Сборът на честотите е различен за всяка стъпка. Подавайте само вече възстановените символи.",
)
def decodes_growing_counts(student, generator):
    for length, levels in ((1, 2), (60, 3)):
        symbols, model = torch.randint(0, levels, (length,), generator=generator), Adaptive(levels)
        value = student.decode(true_code(symbols, model.rows(symbols)), model, length)
        public.expect_symbols(value, symbols)
        expect(model.seen == [symbols[:t].tolist() for t in range(length)], "")


@hidden.check(
    "decode",
    "дълго съобщение и много малко вероятни символи",
    points=2,
    hint="Сравнявайте цели числа на Python: float не различава символите след петдесетина бита.",
)
def decodes_long_messages(student, generator):
    symbols, freq = public.random_message(generator, 400)
    value = student.decode(true_code(symbols, freq), lambda past: freq[len(past)], 400)
    public.expect_symbols(value, symbols)
    row = torch.tensor([2**16 - 1, 1])
    for symbol in (0, 1):
        symbols = torch.full((50,), symbol)
        value = student.decode(true_code(symbols, row.expand(50, 2)), lambda past: row, 50)
        public.expect_symbols(value, symbols)


@hidden.check(
    "decode",
    "празно съобщение и низ, който продължава след съобщението",
    points=1,
    hint='int("", 2) е грешка: празният низ е дробта нула. Цифрите след съобщението не променят символите.',
)
def decodes_edges(student, generator):
    symbols, freq = public.random_message(generator, 20)
    for tail in ("0" * 9, "1" * 9, "0110"):
        value = student.decode(true_code(symbols, freq) + tail, lambda past: freq[len(past)], 20)
        public.expect_symbols(value, symbols)
    nothing = torch.zeros(0, dtype=torch.long)
    for bits in ("", "101"):
        public.expect_symbols(student.decode(bits, lambda past: freq[0], 0), nothing)
    certain = torch.tensor([1])
    public.expect_symbols(student.decode("", lambda past: certain, 3), torch.zeros(3, dtype=torch.long))


hidden.mistakes(
    "decode",
    ("строго сравнение", "value * one >= (low", "value * one > (low"),
    ("ширината не се стеснява", "width *= counts[symbol]", "width *= total"),
    ("началото не се мести", "low += width * counts[symbol]", "low += 0"),
    ("миналото не се подава", "model(torch.tensor(symbols,", "model(torch.tensor(symbols[:0],"),
    ("миналото е обърнато", "model(torch.tensor(symbols,", "model(torch.tensor(symbols[::-1],"),
    ("само последният символ", "model(torch.tensor(symbols,", "model(torch.tensor(symbols[-1:],"),
    ("празният низ", 'int("0" + bits, 2)', "int(bits, 2)"),
    ("с float", 'int("0" + bits, 2), 1 << len(bits)', 'int("0" + bits, 2) / 2 ** len(bits), 1.0'),
    ("един символ по-малко", "range(length)", "range(length - 1)"),
    ("списък", "return torch.tensor(symbols, dtype=torch.long)", "return symbols"),
    ("битовете отзад напред", '"0" + bits', '"0" + bits[::-1]'),
)


@hidden.alternative("decode", "с дроби")
def decode_by_fractions(bits, model, length):
    from fractions import Fraction

    rest = sum(Fraction(int(b), 2 ** (i + 1)) for i, b in enumerate(bits))
    past = torch.zeros(0, dtype=torch.long)
    for _ in range(length):
        row = model(past)
        edges = [0, *row.cumsum(0).tolist()]
        scaled = rest * edges[-1]
        s = max(k for k, edge in enumerate(edges[:-1]) if edge <= scaled)
        rest = (scaled - edges[s]) / (edges[s + 1] - edges[s])
        past = torch.cat([past, torch.tensor([s])])
    return past


@hidden.alternative("decode", "с остатък вместо с начало")
def decode_by_remainder(bits, model, length):
    rest, width = int(bits or "0", 2), 2 ** len(bits)
    out = torch.zeros(length, dtype=torch.long)
    for t in range(length):
        row = [int(f) for f in model(out[:t])]
        rest, s = rest * sum(row), 0
        while rest >= width * row[s]:
            rest, s = rest - width * row[s], s + 1
        out[t], width = s, width * row[s]
    return out
