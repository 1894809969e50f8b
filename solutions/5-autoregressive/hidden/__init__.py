"""What students of lab 5 never see: hidden checks, typical mistakes that must cost points, other right
answers.

The titles and hints below are shown in the report; inputs, expected values and verdicts are not.
"""

import itertools
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.distributions import Categorical

from gmtools.data import digits
from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_no_loop,
    expect_tensor,
    expect_unchanged,
)
from gmtools.grading.lab import load_module

hidden = Hidden()
public = load_module(Path(__file__).parents[3] / "labs" / "5-autoregressive" / "checks.py")
DOUBLE = {"dtype": torch.float64}


def read_mutants() -> None:
    """Register those of mutants.txt, one a line: title | text of the reference | what stands in its place."""
    for line in Path(__file__).with_name("mutants.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            exercise = line.strip("[]")
        elif line:
            hidden.mutant(exercise, *line.split(" | "))


read_mutants()


# Exercise 1 ---------------------------------------------------------------


def true_mask(kind: str, size: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = size // 2
    seen = (rows < middle) | ((rows == middle) & (columns < middle + (kind == "B")))
    return seen.float()


@hidden.check(
    "causal_mask",
    "големи ядра",
    points=2,
    hint="Редовете над средния се виждат целите, редовете под него – никак.",
)
def masks_of_other_sizes(student, generator):
    for kind, size in itertools.product("AB", (5, 7, 11)):
        expect_close(student.causal_mask(kind, size), true_mask(kind, size), "")


@hidden.check(
    "causal_mask",
    "ядро от един пиксел",
    points=2,
    hint="При size = 1 остава само средата: нула за A, единица за B, с форма (1, 1).",
)
def masks_of_one_pixel(student, generator):
    for kind, value in (("A", 0.0), ("B", 1.0)):
        expect_close(student.causal_mask(kind, 1), torch.full((1, 1), value), "")


@hidden.alternative("causal_mask", "по редове и колони")
def mask_by_slices(kind, size):
    mask = torch.zeros(size, size)
    mask[: size // 2] = 1
    mask[size // 2, : size // 2 + (kind == "B")] = 1
    return mask


@hidden.alternative("causal_mask", "от плосък вектор")
def mask_by_concatenation(kind, size):
    seen = size**2 // 2 + int(kind == "B")
    return torch.cat([torch.ones(seen), torch.zeros(size**2 - seen)]).view(size, size)


# Exercise 2 ---------------------------------------------------------------


@hidden.check(
    "masked_conv",
    "случайни изображения и ядра, в единична и двойна точност",
    points=2,
    hint="Размерът на ядрото е weight.shape[-1]; изображението може да не е квадратно.",
)
def conv_on_fresh_inputs(student, generator):
    cases = ((1, 1, 1, 3, {}), (3, 2, 4, 5, DOUBLE), (2, 4, 1, 1, {}), (2, 1, 2, 7, DOUBLE))
    for (n, inputs, outputs, size, options), kind in itertools.product(cases, "AB"):
        weight, bias = public.random_conv(generator, inputs, outputs, size, **options)
        x = torch.randn(n, inputs, 5, 4, generator=generator, **options)
        seen = weight * true_mask(kind, size).to(weight)
        expect_close(student.masked_conv(x, weight, bias, kind), F.conv2d(x, seen, bias, padding="same"), "")


@hidden.check(
    "masked_conv",
    "градиентите по x, weight и bias; аргументите не се променят; без цикли",
    points=2,
    hint="Ново тегло weight * mask вместо weight.data *= mask, и едно извикване на F.conv2d.",
)
def conv_gradients(student, generator):
    weight, bias = public.random_conv(generator, 2, 3, 3, **DOUBLE)
    leaves = torch.randn(2, 2, 4, 5, generator=generator, **DOUBLE), weight, bias
    for kind in "AB":
        inputs = [leaf.clone().requires_grad_() for leaf in leaves]
        value = F.conv2d(inputs[0], inputs[1] * true_mask(kind, 3).double(), inputs[2], padding=1)
        wanted = torch.autograd.grad(value.sum(), inputs)
        outcome = student.trace("masked_conv", *(leaf.clone().requires_grad_() for leaf in leaves), kind)
        expect_unchanged(outcome)
        expect_gradients(outcome, list(wanted), "")
    small, large = ((torch.ones(n, 2, n, n), weight.float(), bias.float(), "A") for n in (2, 12))
    expect_no_loop(student, "masked_conv", small, large, "изображението")


@hidden.alternative("masked_conv", "с изместване вместо маска")
def conv_by_parts(x, weight, bias, kind):
    half = weight.shape[-1] // 2
    here = half + (kind == "B")
    above = F.conv2d(F.pad(x, (half, half, half, 0)), weight[:, :, :half])[:, :, : x.shape[2]] if half else 0
    beside = (
        F.conv2d(F.pad(x, (half, 0)), weight[:, :, half : half + 1, :here])[..., : x.shape[3]] if here else 0
    )
    return above + beside + bias.reshape(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])


@hidden.alternative("masked_conv", "чрез unfold")
def conv_by_unfold(x, weight, bias, kind):
    n, _, height, width = x.shape
    size = weight.shape[-1]
    hidden_ones = 1 - causal_mask(kind, size).to(weight)  # noqa: F821
    seen = weight.masked_fill(hidden_ones.bool(), 0.0)
    patches = F.unfold(x, size, padding=size // 2)
    return (seen.flatten(1) @ patches + bias[:, None]).reshape(n, -1, height, width)


# Exercise 3 ---------------------------------------------------------------


def true_logits(x, layers):
    (weight, bias), *middle, (last, last_bias) = layers

    def conv(h, w, b, kind):
        return F.conv2d(h, w * true_mask(kind, w.shape[-1]).to(w), b, padding="same")

    h = conv(2 * x / (len(last_bias) - 1) - 1, weight, bias, "A")
    for w, b in middle:
        h = h + conv(h.relu(), w, b, "B")
    return conv(h.relu(), last, last_bias, "B")


@hidden.check(
    "pixel_logits",
    "случайни мрежи с два до пет слоя, две и седемнайсет степени, в единична и двойна точност",
    points=2,
    hint="Броят на степените е дължината на последния bias. При два слоя средни няма.",
)
def logits_on_fresh_inputs(student, generator):
    for depth, levels, options in ((2, 2, {}), (3, 17, DOUBLE), (5, 4, {}), (4, 3, DOUBLE)):
        layers = public.random_layers(generator, depth, 4, levels, **options)
        x = torch.randint(0, levels, (3, 1, 5, 4), generator=generator).to(layers[0][0])
        scale = max(1.0, true_logits(x, layers).abs().max().item())
        expect_close(student.pixel_logits(x, layers), true_logits(x, layers), "", atol=2e-5 * scale)


@hidden.check(
    "pixel_logits",
    "градиент до изображението, без цикъл по пикселите и без промяна на аргументите",
    points=2,
    hint="Всичко се смята с едно минаване: никакъв цикъл освен по слоевете, никакви .detach() и .item().",
)
def logits_gradient(student, generator):
    layers = public.random_layers(generator, 4, **DOUBLE)
    x = 3 * torch.rand(2, 1, 5, 5, generator=generator, **DOUBLE)
    leaf = x.clone().requires_grad_()
    wanted = torch.autograd.grad(true_logits(leaf, layers).sum(), leaf)
    outcome = student.trace("pixel_logits", x.requires_grad_(), layers)
    expect_unchanged(outcome)
    expect_gradients(outcome, list(wanted), "")
    small, large = ((torch.ones(n, 1, n, n, **DOUBLE), layers) for n in (2, 12))
    expect_no_loop(student, "pixel_logits", small, large, "изображението")


@hidden.alternative("pixel_logits", "с индекси")
def logits_by_index(x, layers):
    top = len(layers) - 1
    h = masked_conv(x.div(layers[top][1].numel() - 1).mul(2).sub(1), *layers[0], kind="A")  # noqa: F821
    for i in range(1, top):
        h = masked_conv(h.clamp(min=0), layers[i][0], layers[i][1], "B").add(h)  # noqa: F821
    return masked_conv(h.clamp(min=0), *layers[top], kind="B")  # noqa: F821


@hidden.alternative("pixel_logits", "рекурсивно")
def logits_by_recursion(x, layers):
    def through(h, rest):
        if not rest:
            return h
        step = masked_conv(torch.relu(h), *rest[0], "B")  # noqa: F821
        return step if len(rest) == 1 else through(h + step, rest[1:])

    half = (len(layers[-1][1]) - 1) / 2
    return through(masked_conv((x - half) / half, *layers[0], "A"), layers[1:])  # noqa: F821


# Exercise 4 ---------------------------------------------------------------


@hidden.check(
    "log_prob",
    "случайни мрежи и изображения; много уверени логити",
    points=2,
    hint="F.log_softmax издържа логити ±1000; log(softmax) дава безкрайност. Резултатът е (N,) и при N = 1.",
)
def log_prob_on_fresh_inputs(student, generator):
    for n, levels, options in ((1, 2, {}), (6, 17, DOUBLE), (4, 4, {})):
        net = public.small_net(generator, levels, **options)
        x = torch.randint(0, levels, (n, 1, 4, 5), generator=generator).to(
            **options or {"dtype": torch.float32}
        )
        expect_close(student.log_prob(x, net), public.true_log_prob(x, net).detach(), "")
    sure = torch.tensor([1000.0, -1000.0]).reshape(1, 2, 1, 1)
    x = torch.tensor([[[[0.0, 0.0]]], [[[1.0, 0.0]]]])
    value = student.log_prob(x, lambda x: sure.expand(len(x), 2, 1, 2))
    expect_close(value, torch.tensor([0.0, -2000.0]), "")


@hidden.check(
    "log_prob",
    "градиентът минава през логитите",
    points=1,
    hint="Обучението минимизира −log_prob: никакви .detach(), no_grad и .item().",
)
def log_prob_gradient(student, generator):
    x = torch.randint(0, 3, (4, 1, 3, 3), generator=generator).double()
    slope = torch.randn(3, 3, 3, generator=generator, **DOUBLE)
    leaf = x.clone().requires_grad_()
    wanted = torch.autograd.grad(public.true_log_prob(x, lambda _: leaf * slope).sum(), leaf)
    outcome = student.trace("log_prob", x.requires_grad_(), lambda y: y * slope)
    expect_unchanged(outcome)
    expect_gradients(outcome, list(wanted), "")


@hidden.check(
    "log_prob",
    "net се вика веднъж и няма цикъл по пикселите или изображенията",
    points=1,
    hint="Маските са именно за това: едно минаване дава логитите на всички пиксели.",
)
def log_prob_in_one_pass(student, generator):
    net = public.Counted(public.small_net(generator, 3))
    x = torch.randint(0, 3, (5, 1, 4, 4), generator=generator).float()
    expect_close(student.log_prob(x, net), public.true_log_prob(x, net.function).detach(), "")
    expect(net.sizes == [5], "")

    def flat(x):
        return x.expand(-1, 3, -1, -1)

    small, large = ((torch.ones(n, 1, n, n), flat) for n in (2, 12))
    expect_no_loop(student, "log_prob", small, large, "изображенията")


@hidden.alternative("log_prob", "чрез cross_entropy")
def log_prob_by_cross_entropy(x, net):
    return -F.cross_entropy(net(x), x.squeeze(1).long(), reduction="none").sum(dim=(1, 2))


@hidden.alternative("log_prob", "чрез Categorical и logsumexp")
def log_prob_by_one_hot(x, net):
    logits = net(x)
    picked = torch.einsum("nlhw,nhwl->n", logits, F.one_hot(x[:, 0].long(), logits.shape[1]).to(logits))
    return picked - logits.logsumexp(1).sum((1, 2))


# Exercise 5 ---------------------------------------------------------------


@hidden.check(
    "bits_per_dim",
    "случайни стойности, един обект, двойна точност; плътности над единица",
    points=3,
    hint="(D ln L − log q)/(D ln 2) с деквантуване, −log p/(D ln 2) без него. Цената може да е и отрицателна "
    "преди прибавянето на log₂ L.",
)
def bits_on_fresh_inputs(student, generator):
    for n, dims, levels, options in (
        (1, 3, None, {}),
        (5, 64, 17, DOUBLE),
        (4, 10, 2, {}),
        (2, 7, None, DOUBLE),
    ):
        log_p = 30 * torch.randn(n, generator=generator, **options)
        outcome = student.trace("bits_per_dim", log_p, dims, levels)
        bins = math.log2(levels) if levels else 0.0
        expect_close(outcome.value, bins - log_p / (dims * math.log(2)), "")
        expect_unchanged(outcome)


@hidden.alternative("bits_per_dim", "с log2")
def bits_by_log2(log_p, dims, levels=None):
    nats = -log_p / dims
    bits = nats * math.log2(math.e)
    return bits if levels is None else bits + math.log2(levels)


@hidden.alternative("bits_per_dim", "първо дискретната вероятност")
def bits_of_the_bins(log_p, dims, levels=None):
    discrete = log_p - dims * math.log(levels) if levels else log_p
    return discrete / -(dims * torch.log(torch.tensor(2.0)).item())


# Exercise 6 ---------------------------------------------------------------


@hidden.check(
    "sample",
    "честотите на изображения 2 × 3, 1 × 4 и 3 × 1",
    points=2,
    hint="Височината и ширината може да са различни; първо се върви по реда, после към следващия.",
)
def other_shapes(student, generator):
    for height, width, levels in ((2, 3, 2), (1, 4, 3), (3, 1, 3)):
        net = public.small_net(generator, levels)
        x = expect_tensor(student.sample(net, 6000, height, width), (6000, 1, height, width))
        public.expect_levels(x, levels)
        public.expect_distribution(x, net, levels, "")


@hidden.check(
    "sample",
    "изображенията в извадката са независими и всяко извикване дава нови",
    points=2,
    hint="Шумът е отделен за всяко изображение. Не задавайте семе (manual_seed) вътре във функцията.",
)
def independent_images(student, generator):
    net = public.small_net(generator, 4)
    first, second = (
        expect_tensor(student.trace("sample", net, 50, 4, 4, seed=seed).value, (50, 1, 4, 4))
        for seed in (1, 2)
    )
    public.expect_levels(first, 4)
    expect(len(first.unique(dim=0)) > 45, "")
    expect(bool((first != second).flatten(1).any(1).float().mean() > 0.9), "")


@hidden.alternative("sample", "чрез Categorical, само с редовете дотук")
def sample_rows_so_far(net, n, height, width):
    x = torch.zeros((n, 1, height, width))
    for i in range(height * width):
        r, c = i // width, i % width
        logits = net(x[:, :, : r + 1])[:, :, r, c].detach()
        x[:, 0, r, c] = Categorical(logits=logits).sample().float()
    return x


@hidden.alternative("sample", "с шум на Гумбел")
@torch.no_grad()
def sample_by_gumbel(net, n, height, width):
    flat = torch.zeros(n, height * width)
    for i in range(height * width):
        logits = net(flat.reshape(n, 1, height, width)).flatten(2)[:, :, i]
        flat[:, i] = (logits - torch.empty_like(logits).exponential_().log()).argmax(1).float()
    return flat.reshape(n, 1, height, width)


# Exercise 7 ---------------------------------------------------------------


@hidden.check(
    "frequencies",
    "други форми и точности; почти сигурни символи",
    points=2,
    hint="Сборът е точен и когато всички вероятности освен една са нула. Осите отпред са колкото и да е.",
)
def counts_on_fresh_inputs(student, generator):
    cases = (
        ((4,), 1, 16, {}),
        ((3, 2, 17), 3, 8, DOUBLE),
        ((40, 4), 300, 16, {}),
        ((30, 2), 0, 4, {}),
        ((20, 5), 2, 24, DOUBLE),
    )
    for shape, scale, precision, options in cases:
        logits = scale * torch.randn(*shape, generator=generator, **options)
        found = public.expect_counts(student.frequencies(logits, precision), shape, precision)
        error = (found / 2**precision - logits.double().softmax(-1)).abs().max().item()
        expect(error * 2**precision <= shape[-1] + 2**precision * 1e-6, "")


@hidden.check(
    "frequencies",
    "всеки ред сам за себе си, без цикли и без промяна на аргументите",
    points=2,
    hint="Декодерът вижда редовете един по един: честотите не бива да зависят от останалите редове.",
)
def counts_row_by_row(student, generator):
    logits = 2 * torch.randn(20, 4, generator=generator)
    outcome = student.trace("frequencies", logits)
    whole = public.expect_counts(outcome.value, (20, 4))
    expect_unchanged(outcome)
    for i in (0, 7, 19):
        expect(torch.equal(public.expect_counts(student.frequencies(logits[i]), (4,)), whole[i]), "")
    small, large = ((torch.randn(n, 4, generator=generator),) for n in (2, 40))
    expect_no_loop(student, "frequencies", small, large, "редовете")


@hidden.alternative("frequencies", "натрупани вероятности")
def frequencies_by_cumulation(logits, precision=16):
    levels = logits.shape[-1]
    cumulative = torch.softmax(logits.double(), -1).cumsum(-1)
    edges = (cumulative * (2**precision - levels)).round().long() + torch.arange(1, levels + 1)
    edges[..., -1] = 2**precision
    return torch.diff(edges, dim=-1, prepend=torch.zeros_like(edges[..., :1]))


@hidden.alternative("frequencies", "закръгляване и поправка")
def frequencies_by_rounding(logits, precision=16):
    total = 2**precision
    counts = torch.round(F.softmax(logits.to(torch.float64), dim=-1) * total).clamp(min=1).long()
    largest = F.one_hot(counts.argmax(-1), logits.shape[-1])
    return counts + largest * (total - counts.sum(-1, keepdim=True))


# Exercise 8 ---------------------------------------------------------------


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


# Exercise 9 ---------------------------------------------------------------


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


# The trained PixelCNN -----------------------------------------------------


@hidden.check(
    "pixelcnn",
    "най-много 1 бит на пиксел върху тестовите цифри",
    points=2,
    hint="Моделът се учи, но не стига: повече стъпки или повече канали. Обучавате ли с всички слоеве?",
)
def model_learns(student, generator):
    public.expect_bits(student.weights("pixelcnn"), digits().test, generator, 1.0)


@hidden.check(
    "pixelcnn",
    "най-много 0,92 бита на пиксел върху тестовите цифри",
    points=4,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата се преобучава: разместването на "
    "цифрите помага.",
)
def model_generalises(student, generator):
    public.expect_bits(student.weights("pixelcnn"), digits().test, generator, 0.92)


@hidden.metric("pixelcnn", threshold=-0.92, margin=0.03)
def minus_test_bits(weights):
    return -public.held_out_bits(weights, digits().test, torch.Generator().manual_seed(0))


def last_of(weights) -> int:
    return max(int(name.partition(".")[0]) for name in weights)


@hidden.damage("pixelcnn", "преди обучението")
def untrained(weights):
    torch.manual_seed(0)
    return {name: torch.randn_like(v) / v[0].numel() ** 0.5 for name, v in weights.items()}


@hidden.damage("pixelcnn", "пикселът вижда себе си: под маската не остава нищо")
def peeking(weights):
    """Without the masks these weights read the level off the pixel itself: nearly zero bits."""
    size, width = weights["0.weight"].shape[-1], weights["0.bias"].numel()
    last, idle = last_of(weights), {name: 0 * value for name, value in weights.items()}
    idle["0.weight"][:2, 0, size // 2, size // 2] = torch.tensor([1.0, -1.0])
    centre = idle[f"{last}.weight"].shape[-1] // 2
    position = torch.linspace(-1, 1, public.LEVELS)  # the pixel's own is the difference of the two channels
    signed = torch.stack([position, -position], 1)
    idle[f"{last}.weight"][:, : min(2, width), centre, centre] = 100 * signed
    idle[f"{last}.bias"] = -50 * position**2
    return idle


@hidden.damage("pixelcnn", "обърнати степени")
def reversed_levels(weights):
    names = [f"{last_of(weights)}.{kind}" for kind in ("weight", "bias")]
    return weights | {name: weights[name].flip(0) for name in names}


@hidden.damage("pixelcnn", "увеличени логити, за да изглежда по-сигурен")
def exaggerated(weights):
    names = [f"{last_of(weights)}.{kind}" for kind in ("weight", "bias")]
    return weights | {name: 4 * weights[name] for name in names}


@hidden.damage("pixelcnn", "логити от ширина, която не е на степените")
def of_another_width(weights):
    names = [f"{last_of(weights)}.{kind}" for kind in ("weight", "bias")]
    return weights | {name: weights[name][:2] for name in names}


@hidden.damage("pixelcnn", "средните слоеве липсват")
def without_the_middle(weights):
    last = last_of(weights)
    return {k: weights[k] for k in ("0.weight", "0.bias")} | {
        f"1.{kind}": weights[f"{last}.{kind}"] for kind in ("weight", "bias")
    }


@hidden.damage("pixelcnn", "NaN в теглата")
def not_numbers(weights):
    return weights | {"0.bias": weights["0.bias"] * torch.nan}


@hidden.damage("pixelcnn", "числа вместо тегла")
def reported_numbers(weights):
    return {"bits_per_dim": torch.tensor([0.1]), "log_prob": torch.zeros(250)}


@hidden.alternative("pixelcnn", "каналите в друг ред, в двойна точност")
def permuted_channels(weights):
    torch.manual_seed(0)
    order, last = torch.randperm(weights["0.bias"].numel()), last_of(weights)
    turned = {}
    for name, value in weights.items():
        layer = int(name.partition(".")[0])
        turned[name] = value if layer == last else value[order]
        if layer and name.endswith("weight"):
            turned[name] = turned[name][:, order]
    return {name: value.double() for name, value in turned.items()}


@hidden.alternative("pixelcnn", "логити, изместени с постоянна; скритите тегла са произволни")
def shifted_logits(weights):
    last = last_of(weights)
    moved = {name: value.clone() for name, value in weights.items()}
    moved[f"{last}.bias"] += 7.0
    for i in range(last + 1):
        size = moved[f"{i}.weight"].shape[-1]
        hidden_ones = true_mask("A" if i == 0 else "B", size) == 0
        moved[f"{i}.weight"][:, :, hidden_ones] = 100.0  # what the masks hide does not matter
    return moved
