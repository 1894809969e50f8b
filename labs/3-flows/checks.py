"""Public checks of lab 3: properties that a right answer has, and what to think about when it does not."""

import math

import torch
from torch import nn
from torch.distributions import Normal
from torch.func import jacrev, vmap

from gmtools.data import TwoMoons
from gmtools.flows import AffineMap, Compose, Coupling, Flow, Permute, standard_normal
from gmtools.grading import Failed, Lab, expect, expect_close, expect_tensor, expect_tensors
from gmtools.grading.inputs import DOUBLE, random_weights
from gmtools.grading.lab import WrongForm
from gmtools.grading.rebuild import mlp_from
from gmtools.training import seeded
from gmtools.widgets import bulgarian

lab = Lab("3-flows", title="Лаборатория 3. Нормализиращи потоци, слой по слой")

SEQUENCE = "5-posteriors/56-sequences-of-transformations"
POSTERIOR = "5-posteriors/57-flows-as-posteriors"
LAYERS = "5-posteriors/58-choice-of-transformation"

constraint = lab.exercise(
    "planar_constraint", title="Упражнение 1. Кога планарният слой е обратим", points=8, chapter=SEQUENCE
)
planar = lab.exercise(
    "planar", title="Упражнение 2. Планарният слой и неговият якобиан", points=9, chapter=SEQUENCE
)
coupling = lab.exercise(
    "coupling", title="Упражнение 3. Свързващ слой, от шум към данни", points=9, chapter=LAYERS
)
inverse = lab.exercise(
    "coupling_inverse", title="Упражнение 4. Свързващ слой, от данни към шум", points=8, chapter=LAYERS
)
masks = lab.exercise(
    "made_masks", title="Упражнение 5. Маски, които крият бъдещето", points=10, chapter=LAYERS
)
forward = lab.exercise(
    "flow_forward", title="Упражнение 6. Слой след слой, от шум към данни", points=8, chapter=SEQUENCE
)
density = lab.exercise(
    "flow_log_prob", title="Упражнение 7. Плътността на потока", points=9, chapter=SEQUENCE
)
bound = lab.exercise(
    "planar_elbo", title="Упражнение 8. Потокът като апостериорно разпределение", points=9, chapter=POSTERIOR
)

moons = lab.exercise(
    "moons", title="Обучение А. Поток върху двата полумесеца", points=12, chapter=LAYERS, trained=True
)
posterior = lab.exercise(
    "posterior", title="Обучение Б. Апостериорният банан", points=8, chapter=POSTERIOR, trained=True
)
lab.question("answer_1", title="Въпрос 1. Колко плътност остава между полумесеците?", points=5)
lab.question("answer_2", title="Въпрос 2. Коя посока е нужна за обучение?", points=5)


def log_normal(z):
    """Log-density of N(0, I), shape (N,)."""
    return Normal(0.0, 1.0).log_prob(z).sum(-1)


def numerical_log_det(function, z, step: float = 1e-5) -> torch.Tensor:
    """log|det| of the Jacobian of ``function`` at each row of z (float64), by central differences: (N,)."""
    n, d = z.shape
    moves = step * torch.eye(d, dtype=z.dtype)
    both = torch.cat([(z[:, None] + moves).reshape(-1, d), (z[:, None] - moves).reshape(-1, d)])
    after, before = expect_tensor(function(both), both.shape, z.dtype).reshape(2, n, d, d)
    return torch.linalg.slogdet((after - before) / (2 * step)).logabsdet


def expect_log_det(function, z, message: str) -> None:
    """Fail unless the second value of ``function`` is the log-determinant of its first, numerically."""
    n, d = z.shape
    _, ladj = expect_tensors(function(z), (n, d), (n,), dtype=z.dtype)
    true = numerical_log_det(
        lambda points: expect_tensors(function(points), points.shape, points.shape[:1])[0], z
    )
    expect(bool((true.abs() > 1e-3).any()), "Слоят не разтяга и не свива нищо: зависи ли x от параметрите?")
    expect_close(ladj, true, message, atol=1e-6)


@constraint.check(
    "w·û е точно m(w·u) и слоят е обратим",
    points=2,
    hint="Умножете скаларно вашето û по w: трябва да остане само m(w·u). Скаларното произведение е сума по "
    "последната ос, а делителят е квадратът на нормата на w.",
)
def invertible(student, generator):
    w, u = torch.randn(2, 50, 3, generator=generator)
    u = 3 * u
    product = (w * expect_tensor(student.planar_constraint(w, u), (50, 3))).sum(-1)
    expect(
        bool((product > -1 - 1e-4).all()), "За някои w и u произведението w·û е под −1: слоят не е обратим."
    )
    expected = (1 + (w * u).sum(-1).exp()).log() - 1
    expect_close(product, expected, "w·û не е −1 + log(1 + exp(w·u)).", atol=1e-3)


@constraint.check(
    "u се мести само по посоката на w",
    points=2,
    hint="Поправката е число, умножено по w. Всичко, което е перпендикулярно на w, остава, каквото е било.",
)
def only_along_w(student, generator):
    w, u = torch.randn(2, 20, 4, generator=generator)
    u = u - (3 + (w * u).sum(-1, keepdim=True)) * w / (w * w).sum(-1, keepdim=True)  # w·u = −3
    change = expect_tensor(student.planar_constraint(w, u), (20, 4)) - u
    expect(bool((change.abs().amax(-1) > 1e-3).all()), "При w·u = −3 слоят не е обратим, а û = u.")
    across = change - (change * w).sum(-1, keepdim=True) * w / (w * w).sum(-1, keepdim=True)
    expect(bool((across.abs() < 1e-3).all()), "û − u не е успоредно на w.")


@planar.check(
    "две точки, които се смятат на ръка",
    points=2,
    hint="При z = 0 и b = 0 е tanh(0) = 0 и tanh′(0) = 1. Далеч от правата w·z + b = 0 е tanh = ±1, а "
    "производната му е нула.",
)
def two_points(student, generator):
    w, u, b = torch.tensor([1.0, 0.0]), torch.tensor([1.0, 2.0]), torch.tensor(0.0)
    z = torch.tensor([[0.0, 5.0], [50.0, 5.0]])
    x, ladj = expect_tensors(student.planar(z, w, u, b), (2, 2), (2,))
    expect_close(
        x,
        torch.tensor([[0.0, 5.0], [51.0, 7.0]]),
        "При w = (1, 0), u = (1, 2) и b = 0 точката (0, 5) остава на място, а (50, 5) отива в (51, 7). "
        "Вашият слой ги праща другаде.",
    )
    expect_close(
        ladj,
        torch.tensor([math.log(2.0), 0.0]),
        "За същия слой ladj е ln 2 в точката (0, 5) и 0 в (50, 5), а вашите стойности са други.",
    )


@planar.check(
    "ladj е логаритъмът от якобиана на собственото ви x",
    points=2,
    hint="det(I + u vᵀ) = 1 + v·u, където v = (1 − tanh²)·w. Отпред стои логаритъм, а не самата "
    "детерминанта.",
)
def planar_log_det(student, generator):
    w, u = torch.randn(2, 3, generator=generator, **DOUBLE)
    u = u * (w @ u).sign() / 2
    b = torch.randn((), generator=generator, **DOUBLE)
    z = torch.randn(6, 3, generator=generator, **DOUBLE)
    expect_log_det(
        lambda points: student.planar(points, w, u, b),
        z,
        "ladj се отличава от log|det ∂x/∂z|, пресметнат числено от вашето x.",
    )


def constant_net(shift, raw) -> nn.Sequential:
    """A network that gives the same shift and raw log-scale whatever it is shown."""
    layer = nn.Linear(len(shift), 2 * len(shift), dtype=torch.float64)
    layer.weight = nn.Parameter(torch.zeros_like(layer.weight))
    layer.bias = nn.Parameter(torch.tensor([*shift, *raw], **DOUBLE))
    return nn.Sequential(layer)


def random_net(generator, d: int, scale: float = 0.5, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A small network from half of the dimensions to shifts and raw log-scales of the other half."""
    layers = nn.Linear(d // 2, 8, dtype=dtype), nn.Tanh(), nn.Linear(8, d, dtype=dtype)
    return random_weights(nn.Sequential(*layers), generator, scale)


@coupling.check(
    "първата половина стои, втората се мести и разтяга",
    points=2,
    hint="Изходът на мрежата се дели на две: първо t, после a. Във формулата влиза s = 2·tanh(a/2), а не a.",
)
def moves_the_second_half(student, generator):
    z = torch.randn(5, 4, generator=generator, **DOUBLE)
    x, _ = expect_tensors(student.coupling(z, constant_net([1, -2], [0, 0])), (5, 4), (5,))
    expect_close(x[:, :2], z[:, :2], "Първата половина от координатите не бива да се променя.")
    expect_close(
        x[:, 2:] - z[:, 2:],
        torch.tensor([[-1.0, 2.0]], **DOUBLE).expand(5, 2),
        "При a = 0 и t = (1, −2) от втората половина се изважда точно (1, −2), а от вашата – не.",
    )
    wide = 2 * math.atanh(0.5 * math.log(3.0))  # s = ln 3
    x, ladj = expect_tensors(student.coupling(z, constant_net([0, 0], [wide, 0])), (5, 4), (5,))
    expect_close(x[:, 2], 3 * z[:, 2], "При t = 0 и s = ln 3 координатата се умножава по 3, а вашата – не.")
    expect_close(
        ladj, torch.full((5,), math.log(3.0), **DOUBLE), "За същия слой ladj е ln 3, а вашето е друго."
    )


@coupling.check(
    "ladj е логаритъмът от якобиана на собственото ви x",
    points=2,
    hint="Матрицата на Якоби е триъгълна: логаритъмът от детерминантата ѝ е сумата на s "
    "по преместените координати.",
)
def coupling_log_det(student, generator):
    net, z = random_net(generator, 6), torch.randn(5, 6, generator=generator, **DOUBLE)
    expect_log_det(
        lambda points: student.coupling(points, net),
        z,
        "ladj се отличава от log|det ∂x/∂z|, пресметнат числено от вашето x.",
    )


@inverse.check(
    "връща точките там, откъдето са тръгнали",
    points=2,
    hint="Решете x₂ = (z₂ − t)·exp(s) спрямо z₂: първо се дели на exp(s), после се прибавя t. Мрежата "
    "гледа x₁ = z₁.",
)
def comes_back(student, generator):
    z = torch.randn(5, 2, generator=generator, **DOUBLE)
    wide = 2 * math.atanh(0.5 * math.log(3.0))
    x = torch.stack([z[:, 0], 3 * (z[:, 1] - 4)], -1)
    found, _ = expect_tensors(student.coupling_inverse(x, constant_net([4], [wide])), (5, 2), (5,))
    expect_close(found, z, "Слоят x₂ = 3·(z₂ − 4) не е обърнат: получава се друго z.")
    line = nn.Linear(1, 2, dtype=torch.float64)
    line.weight, line.bias = (nn.Parameter(torch.tensor(v, **DOUBLE)) for v in ([[2.0], [0.0]], [1.0, 0.0]))
    x = torch.stack([z[:, 0], z[:, 1] - (2 * z[:, 0] + 1)], -1)
    found, _ = expect_tensors(student.coupling_inverse(x, nn.Sequential(line)), (5, 2), (5,))
    expect_close(found, z, "Слоят x₂ = z₂ − (2·z₁ + 1) не е обърнат: какво подавате на мрежата?")


@inverse.check(
    "ladj е за тази посока: от x към z",
    points=2,
    hint="Якобианът на обратното преобразуване е реципрочният: логаритъмът сменя знака си.",
)
def inverse_log_det(student, generator):
    net, x = random_net(generator, 4), torch.randn(6, 4, generator=generator, **DOUBLE)
    expect_log_det(
        lambda points: student.coupling_inverse(points, net),
        x,
        "ladj се отличава от log|det ∂z/∂x|, пресметнат числено от вашето z.",
    )


def masks_of(student, dim: int, hidden: list[int]) -> list[torch.Tensor]:
    sizes = [dim, *hidden, dim]
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    return expect_tensors(student.made_masks(dim, hidden), *shapes)


def paths(found: list[torch.Tensor]) -> torch.Tensor:
    """How many ways lead from input j to output i: (D, D)."""
    total = torch.eye(found[0].shape[1])
    for mask in found:
        total = mask.float() @ total
    return total


@masks.check(
    "по една маска за слой, от нули и единици",
    points=1,
    hint="Маската се умножава по теглата на слоя поелементно и затова има тяхната форма: (изходи, входове).",
)
def zeros_and_ones(student, generator):
    for mask in masks_of(student, 4, [7, 5]):
        expect(bool(((mask == 0) | (mask == 1)).all()), "В маските има числа, различни от 0 и 1.")


@masks.check(
    "няма път от бъдещето",
    points=2,
    hint="Дайте на всяка скрита единица степен m: тя вижда входовете от 1 до m. Изход i вижда единиците със "
    "степен строго под i, а скрит слой – тези с не по-голяма степен от своята.",
)
def no_path_from_the_future(student, generator):
    for hidden in ([8], [8, 6]):
        total = paths(masks_of(student, 4, hidden))
        expect(bool((total > 0).any()), "През маските не минава нищо: изходите не зависят от нито един вход.")
        expect(
            bool((total.diagonal() == 0).all()), "Изход i зависи от вход i: сравнението трябва да е строго."
        )
        expect(bool((total.triu() == 0).all()), "Някой изход зависи от по-късен вход.")


@masks.check(
    "всяка позволена зависимост има път",
    points=2,
    hint="Степените трябва да покриват 1, …, D − 1: тогава последният изход стига до всички входове преди "
    "него.",
)
def every_past_is_seen(student, generator):
    for dim, hidden in ((5, [4]), (3, [6, 2, 5])):
        total = paths(masks_of(student, dim, hidden))
        allowed = torch.ones(dim, dim).tril(-1).bool()
        expect(bool((total[allowed] > 0).all()), "Някой изход не зависи от вход, който стои преди него.")
        expect(bool((total[~allowed] == 0).all()), "Има път от бъдещето.")


@forward.check(
    "потоци, които само разместват",
    points=2,
    hint="Без слоеве x = z и log q(x) = log N(z; 0, I). Всеки слой завършва с обръщане на реда: x.flip(-1).",
)
def only_flips(student, generator):
    z = torch.randn(6, 4, generator=generator, **DOUBLE)
    x, log_q = expect_tensors(student.flow_forward(z, []), (6, 4), (6,))
    expect_close(x, z, "Потокът без слоеве променя точките.")
    expect_close(log_q, log_normal(z), "Потокът без слоеве не дава плътността на N(0, I).")
    still = constant_net([0, 0], [0, 0])
    x, log_q = expect_tensors(student.flow_forward(z, [still]), (6, 4), (6,))
    expect_close(x, z.flip(-1), "Слой с t = 0 и s = 0 само обръща реда на координатите, а вашият – не.")
    expect_close(log_q, log_normal(z), "Обръщането на реда не променя плътността: якобианът му е ±1.")


@forward.check(
    "log q пада толкова, колкото потокът разтяга",
    points=2,
    hint="log q(x) = log N(z; 0, I) − сумата от ladj на всички слоеве. Събирате ли ги за всички слоеве?",
)
def stretches(student, generator):
    nets = [random_net(generator, 4) for _ in range(3)]
    z = torch.randn(5, 4, generator=generator, **DOUBLE)
    _, log_q = expect_tensors(student.flow_forward(z, nets), (5, 4), (5,))
    true = numerical_log_det(
        lambda points: expect_tensors(student.flow_forward(points, nets), points.shape, points.shape[:1])[0],
        z,
    )
    expect(bool((true.abs() > 1e-3).any()), "Потокът не разтяга и не свива нищо: минава ли z през слоевете?")
    expect_close(
        log_q,
        log_normal(z) - true,
        "log q(x) се отличава от log N(z; 0, I) − log|det ∂x/∂z|, пресметнато числено от вашето x.",
        atol=1e-6,
    )


@density.check(
    "плътността се интегрира до единица",
    points=2,
    hint="Прибавят се ladj на обратните слоеве. С обратен знак или без тях се получава функция, която не "
    "е плътност.",
)
def integrates_to_one(student, generator):
    nets = [random_net(generator, 2, scale=0.25) for _ in range(3)]
    side = torch.linspace(-14, 14, 281, **DOUBLE)
    log_q = expect_tensor(student.flow_log_prob(torch.cartesian_prod(side, side), nets), (281**2,))
    total = log_q.exp().sum().item() * 0.1**2
    expect(
        abs(total - 1) < 0.01, f"Интегралът от плътността по равнината е {bulgarian(total)}, а трябва да е 1."
    )
    centre = log_q[281 * 140 + 140].item() + math.log(2 * math.pi)
    expect(abs(centre) > 1e-3, "Плътността е тази на N(0, I): минава ли x през слоевете?")


@density.check(
    "при постоянни мрежи потокът е познато нормално разпределение",
    points=3,
    hint="Обратният път минава през слоевете отзад напред, и във всеки от тях редът се обръща преди обратния "
    "свързващ слой, а не след него.",
)
def known_normal(student, generator):
    raw = 2 * math.atanh(math.log(2.0) / 2)  # s = ln 2
    nets = [constant_net([1.0], [raw]), constant_net([-2.0], [-raw])]
    x = 2 * torch.randn(7, 2, generator=generator, **DOUBLE)
    mean, scale = torch.tensor([1.0, -2.0], **DOUBLE), torch.tensor([0.5, 2.0], **DOUBLE)
    expect_close(
        student.flow_log_prob(x, nets),
        Normal(mean, scale).log_prob(x).sum(-1),
        "За две мрежи, които винаги дават (t, s) = (1, ln 2) и (−2, −ln 2), x е нормално със средно "
        "(1, −2) и отклонения (½, 2), а вашата плътност е друга.",
    )


@bound.check(
    "когато z не влияе на x, а потокът не прави нищо, границата е log p(x)",
    points=1,
    hint="Тук û = 0 и q(z|x) = p(z): остава средното на log p(x|z). Ограничавате ли u с planar_constraint?",
)
def nothing_to_infer(student, generator):
    w = torch.randn(2, 3, generator=generator, **DOUBLE)
    u = math.log(math.e - 1) * w / (w * w).sum(-1, keepdim=True)  # m(w·u) = 0
    x, mean = torch.randn(2, 2, generator=generator, **DOUBLE)
    decoder = nn.Sequential(nn.Linear(3, 2, **DOUBLE))
    decoder[0].weight, decoder[0].bias = nn.Parameter(torch.zeros(2, 3, **DOUBLE)), nn.Parameter(mean)
    z = torch.randn(9, 3, generator=generator, **DOUBLE)
    value = student.planar_elbo(x, z, w, u, torch.zeros(2, **DOUBLE), decoder, 0.5)
    expect_close(value, Normal(mean, 0.5).log_prob(x).sum(), "Границата е различна от log p(x).", atol=1e-6)


@bound.check(
    "границата е плътна, когато потокът е точното апостериорно разпределение",
    points=2,
    hint="Тогава log p(x, z) − log q(z) е log p(x) за всяко z, без никакъв шум. Първото z е след слоевете, "
    "а това в log N(z; 0, I) – преди тях.",
)
def tight(student, generator):
    x, slope, sigma, small = torch.tensor([1.3], **DOUBLE), 1.5, 0.7, 1e-4
    variance = 1 / (1 + slope**2 / sigma**2)
    deviation, mean = math.sqrt(variance), variance * slope * x.item() / sigma**2
    # Where tanh is a straight line, z + û·tanh(w·z + b) = deviation·z + mean
    w = torch.tensor([[small]], **DOUBLE)
    u = torch.tensor([[math.log(math.expm1(deviation)) / small]], **DOUBLE)
    b = torch.tensor([small * mean / (deviation - 1)], **DOUBLE)
    decoder = nn.Sequential(nn.Linear(1, 1, bias=False, **DOUBLE))
    decoder[0].weight = nn.Parameter(torch.tensor([[slope]], **DOUBLE))
    z = torch.randn(5, 1, generator=generator, **DOUBLE)
    value = student.planar_elbo(x, z, w, u, b, decoder, sigma)
    exact = Normal(0.0, math.sqrt(slope**2 + sigma**2)).log_prob(x).sum()
    expect_close(value, exact, "Границата се отличава от log p(x).", atol=1e-5)


@bound.check(
    "не надминава log p(x), каквито и да са слоевете",
    points=2,
    hint="ELBO = log p(x) − KL(q ‖ p(z|x)). Ако е над log p(x), липсва ladj на някой слой или знакът му "
    "е обратен.",
)
def is_a_bound(student, generator):
    w, u = 2 * torch.randn(2, 4, 2, generator=generator, **DOUBLE)
    b = torch.randn(4, generator=generator, **DOUBLE)
    decoder = nn.Sequential(nn.Linear(2, 1, bias=False, **DOUBLE))
    weight = torch.randn(1, 2, generator=generator, **DOUBLE)
    decoder[0].weight = nn.Parameter(weight)
    x = torch.randn(1, generator=generator, **DOUBLE)
    values = []
    for z in torch.randn(40, 200, 2, generator=generator, **DOUBLE):
        values.append(expect_tensor(student.planar_elbo(x, z, w, u, b, decoder, 1.0), ()))
    values = torch.stack(values)
    log_evidence = Normal(0.0, (1 + (weight**2).sum()).sqrt()).log_prob(x).sum()
    margin = 5 * values.std() / math.sqrt(len(values)) + 1e-6
    expect(
        bool(values.mean() < log_evidence + margin),
        "Средната стойност е над log p(x): това не е долна граница.",
    )


def rebuilt_flow(weights: dict) -> Flow:
    """The flow whose networks were handed in, made of the library's layers: no code of the student's."""
    count = len({name.partition(".")[0] for name in weights})
    if not 1 <= count <= 32:
        raise WrongForm(f"Потокът е от {count} мрежи, а трябва да са между 1 и 32, в nn.ModuleList.")
    layers = []
    for index in range(count):
        layer = Coupling(2, AffineMap(2.0))
        layer.net = mlp_from(weights, str(index), 1, 2)
        layers += [layer, Permute([1, 0])]
    return Flow(standard_normal(2, torch.zeros(1, **DOUBLE)), Compose(*layers))


def held_out_nll(flow: Flow, generator, count: int = 10_000) -> float:
    """Mean negative log-likelihood, in nats a point, on points that nobody has seen."""
    with seeded(int(torch.randint(2**31, (1,), generator=generator))):
        x = TwoMoons().sample((count,)).double()
    return -flow.log_prob(x).mean().item()


def expect_density(flow: Flow) -> None:
    """Fail unless the density integrates to one, on a grid far wider than the data."""
    side = torch.linspace(-5, 5, 201, **DOUBLE)
    total = flow.log_prob(torch.cartesian_prod(side, side)).exp().sum().item() * 0.05**2
    expect(abs(total - 1) < 0.03, f"Интегралът от плътността е {bulgarian(total)}, а не 1.")


def expect_nll(weights: dict, generator, most: float) -> None:
    flow = rebuilt_flow(weights)
    expect_density(flow)
    nll = held_out_nll(flow, generator)
    expect(nll <= most, f"NLL е {bulgarian(nll)} ната на точка, а е нужно най-много {bulgarian(most, 2)}.")


@moons.check(
    "потокът е по-добър от нормално разпределение",
    points=3,
    hint="Нормалното разпределение с най-доброто средно и ковариация достига 1,91 ната. Спада ли загубата по "
    "време на обучението? Загубата е минус средното на flow_log_prob.",
)
def beats_a_gaussian(student, generator):
    expect_nll(student.weights("moons"), generator, 1.8)


@moons.check(
    "отрицателното логаритмично правдоподобие на нови точки е най-много 1,35 ната",
    points=3,
    hint="Загубата още ли спада в края? Увеличете STEPS или LAYERS. Ако загубата за отделените данни расте, "
    "мрежите се преобучават.",
)
def reaches_the_threshold(student, generator):
    expect_nll(student.weights("moons"), generator, 1.35)


OBSERVED, NOISE = 0.0, 0.4


def parabola(z):
    """The decoder of the small model: (..., 2) to (..., 1)."""
    return z[..., 1:] - z[..., :1] ** 2


def held_out_elbo(weights: dict, generator, count: int = 10_000) -> float:
    """ELBO of the handed-in posterior in nats, with draws and log-determinants of the grader's own."""
    if set(weights) != {"w", "u", "b"}:
        raise WrongForm("Предават се точно три тензора: w, u и b.")
    w, u, b = (weights[name].double() for name in "wub")
    if w.shape != u.shape or w.dim() != 2 or w.shape[1] != 2 or b.shape != w.shape[:1] or len(b) > 64:
        raise WrongForm("w и u са с форма (L, 2), а b – (L,), L е най-много 64.")
    if not all(bool(torch.isfinite(t).all()) for t in (w, u, b)):
        raise Failed("В предадените числа има NaN или безкрайност.")
    if not bool(((w * u).sum(-1) > -1).all()):
        raise Failed("Някой слой не е обратим: предава се ограниченото û, за което w·û > −1.")

    def whole(point):
        for w_l, u_l, b_l in zip(w, u, b, strict=True):
            point = point + u_l * torch.tanh((w_l * point).sum() + b_l)
        return point, point

    z = torch.randn(count, 2, generator=generator, **DOUBLE)
    jacobian, moved = vmap(jacrev(whole, has_aux=True))(z)
    log_q = log_normal(z) - torch.linalg.slogdet(jacobian).logabsdet
    log_p = log_normal(moved) + Normal(OBSERVED, NOISE).log_prob(parabola(moved)).sum(-1)
    return torch.mean(log_p - log_q).item()


def expect_elbo(weights: dict, generator, least: float) -> None:
    elbo = held_out_elbo(weights, generator)
    expect(elbo >= least, f"ELBO е {bulgarian(elbo)}, а е нужно поне {bulgarian(least, 2)}.")


@posterior.check(
    "потокът е по-добър от средното поле",
    points=2,
    hint="Най-доброто средно поле достига −1,657. Предадено ли е ограниченото û и в същия ред на слоевете?",
)
def beats_mean_field(student, generator):
    expect_elbo(student.weights("posterior"), generator, -1.62)


@posterior.check(
    "ELBO е поне −1,45 ната",
    points=2,
    hint="Увеличете броя на слоевете или на стъпките. Ако границата скача, увеличете броя на реализациите K.",
)
def posterior_reaches_the_threshold(student, generator):
    expect_elbo(student.weights("posterior"), generator, -1.45)
