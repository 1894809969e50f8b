"""Public checks of lab 5: properties that a right answer has, and what to think about when it does not."""

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, Independent

from gmtools.data import digits, jitter
from gmtools.grading import Failed, Lab, expect, expect_close, expect_tensor
from gmtools.grading.inputs import DOUBLE, random_weights
from gmtools.grading.lab import WrongForm
from gmtools.nets import MaskedConv2d
from gmtools.training import seeded
from gmtools.widgets import bulgarian

lab = Lab("5-autoregressive", title="Лаборатория 5. Пиксел след пиксел: авторегресивен модел и сгъстяване")

# The nearest chapters so far; those on slides 18 to 20 will say more.
CHAIN, BITS = "3-inference/36-design-choices", "3-inference/39-variational-autoencoder"
LEVELS = 4
PRECISION = 16

mask = lab.exercise("causal_mask", title="Упражнение 1. Маската", points=8, chapter=CHAIN)
conv = lab.exercise("masked_conv", title="Упражнение 2. Маскирана конволюция", points=9, chapter=CHAIN)
logits = lab.exercise("pixel_logits", title="Упражнение 3. PixelCNN", points=9, chapter=CHAIN)
likelihood = lab.exercise("log_prob", title="Упражнение 4. Точното правдоподобие", points=9, chapter=CHAIN)
bits = lab.exercise("bits_per_dim", title="Упражнение 5. Битове на размерност", points=7, chapter=BITS)
ancestral = lab.exercise("sample", title="Упражнение 6. Пиксел след пиксел", points=10, chapter=CHAIN)
trained = lab.exercise(
    "pixelcnn", title="Обучение А. PixelCNN върху цифри", points=10, chapter=BITS, trained=True
)
counts = lab.exercise("frequencies", title="Упражнение 7. Цели честоти", points=8, chapter=BITS)
encoder = lab.exercise("encode", title="Упражнение 8. Аритметично кодиране", points=10, chapter=BITS)
decoder = lab.exercise("decode", title="Упражнение 9. Декодиране", points=10, chapter=BITS)
lab.question("answer_1", title="Въпрос 1. Сляпото петно", points=5)
lab.question("answer_2", title="Въпрос 2. Кога сгъстяването се изплаща?", points=5)


# What the checks compare with ----------------------------------------------


def every_image(height: int, width: int, levels: int) -> Tensor:
    """All images of this size, shape (levels^(H W), 1, H, W)."""
    rows = list(itertools.product(range(levels), repeat=height * width))
    return torch.tensor(rows, dtype=torch.get_default_dtype()).reshape(-1, 1, height, width)


def small_net(generator, levels: int, **options) -> Callable[[Tensor], Tensor]:
    """A random autoregressive network, from images (N, 1, H, W) to logits (N, levels, H, W)."""
    layers = MaskedConv2d(1, 6, (5, 5), "A").to(**options), MaskedConv2d(6, levels, (3, 3), "B").to(**options)
    for layer in layers:
        random_weights(layer, generator, 0.7 / math.sqrt(layer.in_channels))
    return lambda x: layers[1](torch.tanh(layers[0](x)))


def true_log_prob(x: Tensor, net: Callable) -> Tensor:
    return Independent(Categorical(logits=net(x).movedim(1, -1)), 2).log_prob(x[:, 0])


def copies_with_one_change(generator, height: int, width: int, channels: int = 1) -> Tensor:
    """An image and, for each pixel in raster order, its copy with that pixel changed: (1 + H W, C, H, W)."""
    x = torch.randint(0, LEVELS, (1, channels, height, width), generator=generator).to(torch.float64)
    changed = x.repeat(height * width, 1, 1, 1)
    pixels = torch.arange(height * width)
    changed.flatten(2)[pixels, :, pixels] = (changed.flatten(2)[pixels, :, pixels] + 1) % LEVELS
    return torch.cat([x, changed])


def influence(value: Tensor) -> Tensor:
    """Whether output i (column) feels the change of pixel j (row), from what copies_with_one_change gave."""
    moved = (value[1:] - value[:1]).abs().amax(1).flatten(1)
    return moved > 1e-9


def expect_causal(moved: Tensor, sees_itself: bool) -> None:
    """Fail unless no output depends on a later pixel, nor (without ``sees_itself``) on its own."""
    expect(bool(moved.any()), "Изходът не зависи от нито един пиксел.")
    later = moved.tril(-1).nonzero()
    if len(later):
        j, i = (int(k) + 1 for k in later[0])
        raise Failed(f"Изход № {i} се променя, когато се промени пиксел № {j}: има път от бъдещето.")
    own = moved.diagonal()
    if sees_itself:
        expect(bool(own.all()), "Изходът не вижда собствения си пиксел, а с маска B трябва.")
    else:
        expect(not own.any(), "Изходът вижда пиксела, който трябва да предскаже.")


class Counted:
    """A function that knows how many times it was called, and with how many images or symbols."""

    def __init__(self, function: Callable):
        self.function, self.sizes = function, []

    def __call__(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.function(x)


# Exercise 1 ------------------------------------------------------------------


@mask.check(
    "ядрата 3 × 3, написани на ръка",
    points=2,
    hint="Пикселите се четат ред по ред. Виждат се целите редове отгоре и тези вляво на същия ред.",
)
def masks_by_hand(student, generator):
    above, below = [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]
    for kind, middle in (("A", [1.0, 0.0, 0.0]), ("B", [1.0, 1.0, 0.0])):
        wanted = torch.tensor([above, middle, below])
        expect_close(student.causal_mask(kind, 3), wanted, f"Маска {kind} с размер 3 е друга.")


@mask.check(
    "вижда се точно половината от останалите пиксели, а A и B се различават само в средата",
    points=2,
    hint="Симетрично на всеки пиксел преди средния стои по един след него: виждат се (size² − 1)/2.",
)
def half_of_the_kernel(student, generator):
    for size in (5, 9):
        a, b = (expect_tensor(student.causal_mask(kind, size), (size, size)) for kind in "AB")
        expect(bool(((a == 0) | (a == 1)).all()), "В маската има числа, различни от 0 и 1.")
        half = (size * size - 1) // 2
        expect(int(a.sum()) == half, f"При размер {size} маска A трябва да има {half} единици.")
        middle = torch.zeros(size, size)
        middle[size // 2, size // 2] = 1
        expect_close(b - a, middle, "Маските A и B трябва да се различават само в средния пиксел.")


# Exercise 2 ------------------------------------------------------------------


def random_conv(generator, inputs: int, outputs: int, size: int, **options) -> tuple[Tensor, Tensor]:
    weight = torch.randn(outputs, inputs, size, size, generator=generator, **options)
    return weight, torch.randn(outputs, generator=generator, **options)


@conv.check(
    "няма път от бъдещето",
    points=2,
    hint="Маската умножава теглата поелементно, по последните две оси. Наоколо се допълват size // 2 нули.",
)
def conv_is_causal(student, generator):
    x = copies_with_one_change(generator, 4, 5, 2)
    for kind, size in (("A", 3), ("B", 3), ("A", 5), ("B", 5)):
        weight, bias = random_conv(generator, 2, 3, size, **DOUBLE)
        value = expect_tensor(student.masked_conv(x, weight, bias, kind), (21, 3, 4, 5))
        expect_causal(influence(value), kind == "B")


@conv.check(
    "autograd: скритите тегла нямат градиент, видимите имат",
    points=2,
    hint="Умножете weight по маската вътре във функцията: така градиентът към скритите тегла е точно нула.",
)
def hidden_weights_have_no_gradient(student, generator):
    x = 1 + torch.rand(2, 2, 5, 5, generator=generator)
    weight, bias = random_conv(generator, 2, 3, 3)
    for kind, seen in (("A", 4), ("B", 5)):
        outcome = student.trace("masked_conv", x, weight.clone().requires_grad_(), bias, kind)
        expect_tensor(outcome.value, (2, 3, 5, 5))
        expect(outcome.gradients is not None and outcome.gradients[0] is not None, "Градиентът е прекъснат.")
        moved = outcome.gradients[0].flatten(2) != 0
        expect(bool(moved[..., :seen].all()), f"Видимо тегло няма градиент (маска {kind}).")
        expect(not moved[..., seen:].any(), f"Скрито тегло има градиент (маска {kind}).")


@conv.check(
    "ядро от единици брои видимите съседи",
    points=1,
    hint="Извън изображението има нули, така че в горния ляв ъгъл маска A не вижда нищо. "
    "Отместването (bias) се прибавя навсякъде.",
)
def counts_neighbours(student, generator):
    value = student.masked_conv(torch.ones(1, 1, 2, 3), torch.ones(1, 1, 3, 3), torch.tensor([10.0]), "A")
    wanted = torch.tensor([[[[10.0, 11.0, 11.0], [12.0, 14.0, 13.0]]]])
    expect_close(value, wanted, "Броят на видимите съседи в изображение 2 × 3 е друг.")


# Exercise 3 ------------------------------------------------------------------


def random_layers(generator, depth: int, hidden: int = 5, levels: int = LEVELS, **options) -> list:
    """Weights of a PixelCNN with ``depth`` layers: 5 × 5, then 3 × 3, the last 1 × 1."""
    sizes = [5, *[3] * (depth - 2), 1]
    widths = [1, *[hidden] * (depth - 1), levels]
    return [random_conv(generator, widths[i], widths[i + 1], size, **options) for i, size in enumerate(sizes)]


@logits.check(
    "няма път от бъдещето",
    points=2,
    hint="Маска A само в първия слой, B във всички останали. С A навсякъде изчезват и видими пиксели, с B в "
    "първия моделът вижда отговора.",
)
def logits_are_causal(student, generator):
    x = copies_with_one_change(generator, 4, 4)
    layers = [(w, b + 50) for w, b in random_layers(generator, 4, **DOUBLE)]  # no ReLU is off
    moved = influence(expect_tensor(student.pixel_logits(x, layers), (17, LEVELS, 4, 4)))
    expect_causal(moved, sees_itself=False)
    beside = moved[:-1, 1:].diagonal()[[0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14]]
    expect(bool(beside.all()), "Има логити, които не зависят от пиксела вляво: къде е маска A?")


@logits.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="Първо степените се пренасят в [−1, 1] с 2x/(L − 1) − 1, после маска A, ReLU и последният слой.",
)
def logits_by_hand(student, generator):
    left = torch.zeros(1, 1, 3, 3)
    left[0, 0, 1, 0] = 1  # the pixel to the left
    last = torch.tensor([1.0, 2.0, -1.0]).reshape(3, 1, 1, 1)
    layers = [(left, torch.tensor([0.5])), (last, torch.tensor([0.0, 0.0, 3.0]))]
    value = student.pixel_logits(torch.tensor([[[[2.0, 1.0, 0.0, 0.0]]]]), layers)
    h = torch.tensor([0.5, 1.5, 0.5, 0.0])
    wanted = torch.stack([h, 2 * h, 3 - h])[None, :, None]
    expect_close(
        value,
        wanted,
        "За изображението (2, 1, 0, 0) с три степени и слой, който взема левия съсед, след ReLU трябва да "
        "остане (0,5; 1,5; 0,5; 0).",
    )


@logits.check(
    "слой с нулеви тегла не променя нищо",
    points=1,
    hint="Всеки среден слой прибавя към h: h + masked_conv(ReLU(h), …, B).",
)
def middle_layers_add(student, generator):
    layers = random_layers(generator, 2, **DOUBLE)
    idle = torch.zeros(5, 5, 3, 3, **DOUBLE), torch.zeros(5, **DOUBLE)
    x = torch.randint(0, LEVELS, (3, 1, 4, 4), generator=generator).double()
    short = expect_tensor(student.pixel_logits(x, layers), (3, LEVELS, 4, 4))
    expect(short.std().item() > 1e-3, "Логитите са навсякъде еднакви.")
    expect_close(
        student.pixel_logits(x, [layers[0], idle, layers[1]]),
        short,
        "С нулев среден слой логитите са други: липсва събирането с входа на слоя.",
    )


# Exercise 4 ------------------------------------------------------------------


@likelihood.check(
    "вероятностите на всички малки изображения се събират до единица",
    points=3,
    hint="log p(x) е сборът по всички пиксели на log softmax по оста на степените, взет там, където е "
    "степента на пиксела.",
)
def sums_to_one(student, generator):
    x = every_image(2, 2, 3)
    value = expect_tensor(student.log_prob(x, small_net(generator, 3)), (81,))
    expect(value.std().item() > 1e-3, "Всички изображения са еднакво вероятни: гледате ли x?")
    total = value.double().exp().sum().item()
    expect(
        abs(total - 1) < 1e-4,
        f"Вероятностите на всичките 81 изображения 2 × 2 с три степени се събират до {bulgarian(total)}.",
    )


@likelihood.check(
    "независими пиксели: стойност, която се смята на ръка",
    points=2,
    hint="При постоянни логити ln 1, ln 2, ln 1 вероятностите са ¼, ½, ¼. Пикселите се събират, не се "
    "усредняват.",
)
def independent_pixels(student, generator):
    def net(x):
        return torch.tensor([1.0, 2.0, 1.0]).log().reshape(1, 3, 1, 1).expand(len(x), 3, *x.shape[2:])

    x = torch.tensor([[[[0.0, 1.0], [1.0, 2.0]]], [[[1.0, 1.0], [1.0, 1.0]]]])
    expect_close(
        student.log_prob(x, net),
        torch.tensor([-6 * math.log(2), -4 * math.log(2)]),
        "За пиксели (0, 1, 1, 2) отговорът е −6 ln 2, за (1, 1, 1, 1) е −4 ln 2, а вашият е друг.",
    )


# Exercise 5 ------------------------------------------------------------------


@bits.check(
    "равномерен дискретен модел с L степени: log₂ L бита",
    points=2,
    hint="Натове се превръщат в битове с деление на ln 2. Знакът се сменя и се дели на броя на пикселите.",
)
def uniform_levels(student, generator):
    log_p = torch.tensor([-64 * math.log(4.0), -64 * math.log(8.0)])
    expect_close(
        student.bits_per_dim(log_p, 64),
        torch.tensor([2.0, 3.0]),
        "С 4 и 8 равновероятни степени един пиксел струва 2 и 3 бита, а при вас – друго.",
    )


@bits.check(
    "плътност на деквантувани данни: същата цена като на дискретния модел",
    points=2,
    hint="Ако q е постоянна във всяка клетка, q(y) = P(x)·L^D: за да се върнем към P(x), изваждаме D ln L.",
)
def density_of_bins(student, generator):
    log_p = -20 - 10 * torch.rand(5, generator=generator)
    plain = expect_tensor(student.bits_per_dim(log_p, 16), (5,))
    density = log_p + 16 * math.log(17.0)
    expect_close(
        student.bits_per_dim(density, 16, 17),
        plain,
        "Дискретен модел P(x) и плътността му q(y) = P(x)·L^D дават различен брой битове.",
    )
    uniform = student.bits_per_dim(torch.zeros(2), 64, 256)
    expect_close(
        uniform, torch.full((2,), 8.0), "При равномерна плътност и 256 степени пикселът струва 8 бита."
    )


# Exercise 6 ------------------------------------------------------------------


def expect_levels(x: Tensor, levels: int) -> None:
    expect(
        bool(((x == x.round()) & (x >= 0) & (x < levels)).all()),
        f"Стойностите на пикселите трябва да са степените 0, …, {levels - 1}.",
    )


def expect_distribution(x: Tensor, net: Callable, levels: int, message: str) -> None:
    """Fail unless each image's frequency in ``x`` is within 5.5 standard errors of its probability."""
    images = every_image(*x.shape[2:], levels)
    p = true_log_prob(images.double(), lambda y: net(y.float()).double()).exp()
    base = levels ** torch.arange(x[0].numel() - 1, -1, -1)
    index = (x.flatten(1).long() * base).sum(1)
    found = torch.bincount(index, minlength=len(images)) / len(x)
    error = (p * (1 - p) / len(x)).sqrt() + 1 / len(x)
    expect(bool(((found - p).abs() < 5.5 * error).all()), message)


@ancestral.check(
    "всеки пиксел вижда вече изтеглените",
    points=2,
    hint="Преди всяко теглене net се вика наново, с вече попълнените пиксели. Редът е ред по ред, отляво "
    "надясно.",
)
def follows_its_past(student, generator):
    def successor(x):
        """The next level of the pixel before, with certainty; 1 at the beginning."""
        before = F.pad(x.flatten(1), (1, 0))[:, :-1]
        wanted = (before.long() + 1) % 3
        return 100 * F.one_hot(wanted, 3).movedim(-1, 1).reshape(len(x), 3, *x.shape[2:]).to(x)

    x = expect_tensor(student.sample(successor, 2, 2, 4), (2, 1, 2, 4))
    wanted = torch.tensor([[1.0, 2.0, 0.0, 1.0], [2.0, 0.0, 1.0, 2.0]]).expand(2, 1, 2, 4)
    expect_close(x.float(), wanted, "Мрежа, която винаги дава „предишния плюс едно“, дава при вас друго.")


@ancestral.check(
    "честотите на всички изображения 2 × 2 са вероятностите им",
    points=3,
    hint="Тегли се от softmax по оста на степените (torch.multinomial или Categorical), за всяко изображение "
    "отделно.",
)
def frequencies_of_images(student, generator):
    net = small_net(generator, 2)
    x = expect_tensor(student.sample(net, 4000, 2, 2), (4000, 1, 2, 2))
    expect_levels(x, 2)
    expect_distribution(x, net, 2, "Честотата на някое изображение се отличава от вероятността му.")


@ancestral.check(
    "net се вика по веднъж за пиксел",
    points=1,
    hint="Всички n изображения се теглят заедно; един обход на пикселите стига.",
)
def one_pass_a_pixel(student, generator):
    net = Counted(small_net(generator, 3))
    x = expect_tensor(student.sample(net, 7, 3, 2), (7, 1, 3, 2))
    expect_levels(x, 3)
    calls = len(net.sizes)
    expect(calls <= 6, f"За 7 изображения 3 × 2 мрежата беше викана {calls} пъти, а стигат 6.")


# The trained PixelCNN ---------------------------------------------------------

MAX_NUMBERS = 500_000


def images(part, generator, copies: int = 2) -> Tensor:
    """Digits turned, stretched and moved a little at random, on four levels: (N, 1, 8, 8), float64.

    They are drawn when they are needed, so nobody has trained on them.
    """
    with seeded(int(torch.randint(2**31, (), generator=generator))):
        moved = jitter(part.scaled.repeat(copies, 1, 1, 1), degrees=6, scale=0.05, shift=0.03)
    return (LEVELS * moved).floor().clamp(0, LEVELS - 1).double()


def rebuilt(weights: dict[str, Tensor]) -> Callable[[Tensor], Tensor]:
    """The network of exercise 3 with these weights, in masked layers of our own: x to logits, in float64.

    Whatever the student's layers did, here no weight reaches the future and softmax sums to one.

    Raises:
        WrongForm: the weights are not those of such a network. Failed: they are not finite, or too many.
    """
    count = len(weights) // 2
    names = [f"{i}.{kind}" for i in range(count) for kind in ("weight", "bias")]
    if count < 2 or set(weights) != set(names):
        raise WrongForm(
            "Очаква се nn.ModuleList от поне два слоя nn.Conv2d, всеки с тегла и отместване (bias)."
        )
    if sum(value.numel() for value in weights.values()) > MAX_NUMBERS:
        raise Failed(f"Мрежата има над {MAX_NUMBERS // 1000} хиляди числа.")
    hidden = weights["0.bias"].numel()
    layers = []
    for i in range(count):
        widths = 1 if i == 0 else hidden, LEVELS if i == count - 1 else hidden
        size = weights[f"{i}.weight"].shape[-1] if weights[f"{i}.weight"].dim() == 4 else 0
        wanted = (widths[1], widths[0], size, size), (widths[1],)
        found = tuple(tuple(weights[f"{i}.{kind}"].shape) for kind in ("weight", "bias"))
        if found != wanted or size % 2 == 0:
            raise WrongForm(
                f"Слой {i} не е nn.Conv2d от {widths[0]} към {widths[1]} канала с нечетно квадратно ядро."
            )
        layers.append(MaskedConv2d(*widths, (size, size), "A" if i == 0 else "B").double())
        layers[i].load_state_dict({kind: weights[f"{i}.{kind}"].double() for kind in ("weight", "bias")})
    if not all(bool(torch.isfinite(value).all()) for value in weights.values()):
        raise Failed("В теглата има NaN или безкрайност.")

    def net(x: Tensor) -> Tensor:
        h = layers[0](2 * x / (LEVELS - 1) - 1)
        for layer in layers[1:-1]:
            h = h + layer(h.relu())
        return layers[-1](h.relu())

    return net


def held_out_bits(weights: dict[str, Tensor], part, generator) -> float:
    """Mean bits a pixel of the handed-in model on fresh images; the exact likelihood, computed here."""
    net, x = rebuilt(weights), images(part, generator)
    with torch.no_grad():
        log_p = torch.cat([true_log_prob(rows, net) for rows in x.split(100)])
    return -log_p.mean().item() / (x[0].numel() * math.log(2))


def expect_bits(weights: dict[str, Tensor], part, generator, most: float) -> None:
    found = held_out_bits(weights, part, generator)
    text = f"{bulgarian(found)} бита на пиксел, а трябва да е най-много {bulgarian(most, 2)}"
    expect(found <= most, f"Моделът дава {text}.")


@trained.check(
    "моделът е по-добър от независими пиксели",
    points=2,
    hint="Модел, който помни само колко често се среща всяка степен на всяко място, достига 1,25 бита. Ако "
    "вашата собствена загуба е много по-ниска, пикселът някъде вижда себе си.",
)
def beats_independent_pixels(student, generator):
    expect_bits(student.weights("pixelcnn"), digits().validation, generator, 1.2)


@trained.check(
    "най-много 0,92 бита на пиксел върху отделени цифри",
    points=2,
    hint="Загубата още ли спада в края? Увеличете STEPS или HIDDEN.",
)
def reaches_the_threshold(student, generator):
    expect_bits(student.weights("pixelcnn"), digits().validation, generator, 0.92)


# Exercise 7 ------------------------------------------------------------------


def expect_counts(value, shape: tuple[int, ...], precision: int = PRECISION) -> Tensor:
    """Fail unless ``value`` is a tensor of positive whole numbers that add to 2^precision; return it."""
    if type(value) is Tensor and value.is_floating_point():
        raise WrongForm("Честотите трябва да са цели числа (torch.long): накрая .long().")
    found = expect_tensor(value.double() if type(value) is Tensor else value, shape).long()
    expect(bool((found >= 1).all()), "Има честота под 1: такъв символ не може да се кодира.")
    total = found.sum(-1)
    wrong = total != 2**precision
    if wrong.any():
        raise Failed(f"Сборът на честотите е {int(total[wrong].flatten()[0])}, а не {2**precision}.")
    return found


@counts.check(
    "положителни и със сбор точно 2¹⁶",
    points=2,
    hint="Дайте на всеки символ по 1, разпределете останалото, а недостигащото добавете към най-честия "
    "символ.",
)
def counts_add_up(student, generator):
    expect_counts(student.frequencies(2 * torch.randn(50, 4, generator=generator)), (50, 4))
    certain = torch.tensor([[40.0, 0.0, -40.0, 0.0]])
    expect_counts(student.frequencies(certain), (1, 4))


@counts.check(
    "близо до вероятностите",
    points=2,
    hint="Честота, делена на 2¹⁶, е softmax(logits) с точност L/2¹⁶. Закръглявайте надолу, не напосоки.",
)
def counts_are_close(student, generator):
    drawn = 2 * torch.randn(50, 6, generator=generator)
    found = expect_counts(student.frequencies(drawn), (50, 6))
    error = (found / 2**PRECISION - drawn.double().softmax(-1)).abs().max().item() * 2**PRECISION
    expect(error <= 6.1, f"Някоя честота се отличава от вероятността с {error:.0f}/2¹⁶, а не с най-много 6.")


# Exercise 8 ------------------------------------------------------------------

# Where every frequency is a power of two, a message's code is put together from words.
LEADING, TRAILING = torch.tensor([2, 1, 1]), torch.tensor([1, 1, 2])
WORDS = {2: ("0", "10", "11"), 1: ("00", "01", "1")}  # by the first of the frequencies


def dyadic_rows(symbols: list[int]) -> list[Tensor]:
    """Frequencies for each of the symbols: LEADING at first and after a 0, TRAILING after any other."""
    return [TRAILING if t and symbols[t - 1] else LEADING for t in range(len(symbols))]


def dyadic_code(symbols: list[int], rows: list[Tensor]) -> str:
    return "".join(WORDS[int(row[0])][symbol] for symbol, row in zip(symbols, rows, strict=True))


def expect_binary(value) -> str:
    if not isinstance(value, str):
        raise WrongForm("Кодът трябва да е низ (str) от „0“ и „1“.")
    expect(set(value) <= set("01"), "В кода има знаци, различни от „0“ и „1“.")
    return value


def ideal_length(symbols: Tensor, freq: Tensor) -> float:
    """−log₂ p of the message under its frequencies."""
    p = freq.double() / freq.sum(1, keepdim=True)
    return -p[torch.arange(len(symbols)), symbols].log2().sum().item()


def random_message(generator, length: int, levels: int = 4) -> tuple[Tensor, Tensor]:
    """Frequencies of total 2^16, most of them uneven, and symbols drawn by them."""
    weight = torch.rand(length, levels, generator=generator) ** 4 + 0.01
    freq = 1 + (weight / weight.sum(1, keepdim=True) * (2**PRECISION - levels)).long()
    freq[:, 0] += 2**PRECISION - freq.sum(1)
    return torch.multinomial(freq.double(), 1, generator=generator)[:, 0], freq


@encoder.check(
    "при честоти 2, 1, 1 символите имат думи 0, 10 и 11",
    points=2,
    hint="Символ 0 заема половината интервал, другите – по четвърт; съобщението (1, 0) е от ½ до ⅝, дробта "
    "0,100. Ако само дългото съобщение не излиза: смятайте с цели числа на Python, не с float и torch.long.",
)
def words_of_a_message(student, generator):
    for length in (1, 2, 4, 60):
        symbols = torch.randint(0, 3, (length,), generator=generator)
        rows = dyadic_rows(symbols.tolist())
        word = dyadic_code(symbols.tolist(), rows)
        value = expect_binary(student.encode(symbols, torch.stack(rows)))
        if value.startswith(word) and len(value) <= len(word) + 1:
            continue
        if length > 4:
            first = next((i for i, (a, b) in enumerate(zip(value, word, strict=False)) if a != b), len(word))
            raise Failed(
                f"Кодът на съобщение от {length} символа се различава от готовите думи от бит № {first + 1} "
                f"нататък (от {len(word)})."
            )
        message = ", ".join(map(str, symbols.tolist()))
        raise Failed(
            f"Кодът на съобщението ({message}) започва с „{word}“ и продължава с най-много още един бит, а "
            f"вашият е „{value[:40]}“."
        )


@encoder.check(
    "никой код не е начало на друг, а подредбата на съобщенията се запазва",
    points=2,
    hint="Интервалите на различните съобщения не се пресичат и са подредени по азбучен ред. Дробта трябва да "
    "остава в интервала и ако след нея се допишат други цифри.",
)
def codes_are_prefix_free(student, generator):
    _, freq = random_message(generator, 3, 3)
    messages = list(itertools.product(range(3), repeat=3))
    found = [expect_binary(student.encode(torch.tensor(m), freq)) for m in messages]
    for (one, first), (two, second) in itertools.pairwise(zip(messages, found, strict=True)):
        expect(first != second, f"Съобщенията {one} и {two} имат един и същ код.")
        expect(not second.startswith(first), f"Кодът на {one} е начало на кода на {two}.")
        expect(not first.startswith(second), f"Кодът на {two} е начало на кода на {one}.")
        expect(first < second, f"Кодът на {one} трябва да е преди кода на {two}: интервалите са подредени.")


@encoder.check(
    "под два бита над −log₂ p",
    points=2,
    hint="В интервал с ширина w има подходяща дроб с ⌈−log₂ w⌉ + 1 цифри. Символите не се кодират един по "
    "един: закръглява се веднъж, накрая.",
)
def code_is_short(student, generator):
    symbols, freq = random_message(generator, 80)
    found, ideal = len(expect_binary(student.encode(symbols, freq))), ideal_length(symbols, freq)
    text = f"Кодът е от {found} бита, а −log₂ p е {bulgarian(ideal, 1)}."
    expect(found < ideal + 2, text)
    expect(found > ideal - 20, text + " Толкова къс код не може да се разчете.")


# Exercise 9 ------------------------------------------------------------------


def expect_symbols(value, symbols: Tensor) -> None:
    if type(value) is not Tensor or value.is_floating_point():
        raise WrongForm("Резултатът трябва да е тензор от цели числа (torch.long).")
    if value.shape != symbols.shape:
        raise WrongForm(f"Формата на резултата е {tuple(value.shape)}, а се очаква {tuple(symbols.shape)}.")
    wrong = (value != symbols).nonzero()
    if len(wrong):
        first = int(wrong[0]) + 1
        raise Failed(f"Символ № {first} от {len(symbols)} е друг (преди него всички са верни).")


@decoder.check(
    "чете думите 0, 10 и 11 при честоти 2, 1, 1",
    points=2,
    hint="На всяка стъпка изберете символа, в чиято част от интервала е дробта, и стеснете интервала, както "
    "при кодирането.",
)
def decodes_words(student, generator):
    symbols = torch.randint(0, 3, (30,), generator=generator)
    code = dyadic_code(symbols.tolist(), [LEADING] * 30)
    expect_symbols(student.decode(code, lambda past: LEADING, 30), symbols)


@decoder.check(
    "чете и когато честотите зависят от миналото",
    points=3,
    hint="model се вика с вече възстановените символи, по веднъж за символ; първия път с празен тензор.",
)
def decodes_adaptive(student, generator):
    symbols = torch.randint(0, 3, (40,), generator=generator)
    model = Counted(lambda past: TRAILING if len(past) and past[-1] else LEADING)
    value = student.decode(dyadic_code(symbols.tolist(), dyadic_rows(symbols.tolist())), model, 40)
    expect(len(model.sizes) > 0, "Функцията model не се вика нито веднъж.")
    expect(model.sizes[0] == 0, "Първото викане на model трябва да е с празен тензор.")
    expect_symbols(value, symbols)
