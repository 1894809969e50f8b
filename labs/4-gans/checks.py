"""Public checks of lab 4: properties that a right answer has, and what to think about when it does not."""

import math

import torch
from torch import nn

from gmtools.comparison import Kernel
from gmtools.comparison import mmd2 as library_mmd2
from gmtools.data import EightGaussians
from gmtools.evaluation import modes_covered
from gmtools.grading import (
    Lab,
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_tensor,
    expect_tensors,
)
from gmtools.grading.inputs import DOUBLE, random_weights
from gmtools.grading.lab import WrongForm
from gmtools.grading.rebuild import mlp_from
from gmtools.training import seeded
from gmtools.widgets import bulgarian

RATIO = "6-comparison/65-density-ratio-by-bayes"
GAN = "6-comparison/67-generative-adversarial-networks"

lab = Lab("4-gans", title="Лаборатория 4. Игра за двама")
bayes = lab.exercise("log_ratio", title="Упражнение 1. Какво знае класификаторът", points=6, chapter=RATIO)
judge = lab.exercise(
    "discriminator_loss",
    title="Упражнение 2. Загубата на дискриминатора",
    points=10,
    chapter="6-comparison/66-unsupervised-as-supervised",
)
logistic = lab.exercise(
    "logistic_ratio",
    title="Упражнение 3. Отношение чрез логистична регресия",
    points=13,
    chapter="6-comparison/64-density-ratio-and-classification",
)
forger = lab.exercise(
    "generator_losses", title="Упражнение 4. Двете загуби на генератора", points=12, chapter=GAN
)
penalty = lab.exercise("gradient_penalty", title="Упражнение 5. Наказание за наклона", points=16, chapter=GAN)
mmd = lab.exercise(
    "mmd2",
    title="Упражнение 6. Неотместеното MMD",
    points=12,
    chapter="6-comparison/68-integral-probability-metrics",
)
shares = lab.exercise("mode_shares", title="Упражнение 7. Преброяване на модите", points=9, chapter=GAN)
trained = lab.exercise(
    "generator", title="Упражнение 8. Обученият генератор", points=12, chapter=GAN, trained=True
)
lab.question("answer_1", title="Въпрос 1. Защо сравнението е с най-близката, а не с всяка мода?", points=5)
lab.question("answer_2", title="Въпрос 2. Коя загуба и защо?", points=5)


@bayes.check(
    "при равни извадки това е самият логит, иначе се поправя с отношението им",
    points=3,
    hint="Класификаторът вижда p(y=1|x)/p(y=0|x) = (n_p/n_q)·p(x)/q(x). Логитът е логаритъмът на лявата "
    "страна.",
)
def corrected_by_the_sizes(student, generator):
    logits = torch.randn(5, generator=generator)
    expect_close(student.log_ratio(logits, 40, 40), logits, "При равни извадки отговорът не е самият логит.")
    expect_close(
        student.log_ratio(logits, 100, 300),
        logits + math.log(3),
        "Щом точките от q са три пъти повече, класификаторът подценява p/q три пъти: прибавя се ln 3.",
    )


@judge.check(
    "който хвърля монета, плаща ln 4; който е сигурен и прав – нищо",
    points=2,
    hint="−log D = softplus(−логит), −log(1 − D) = softplus(логит). Двете средни се събират.",
)
def known_losses(student, generator):
    loss = student.discriminator_loss(torch.zeros(3), torch.zeros(5))
    expect_close(loss, torch.tensor(math.log(4)), "При D = ½ навсякъде загубата не е ln 4 ≈ 1,386.")
    loss = student.discriminator_loss(torch.full((3,), 20.0), torch.full((2,), -20.0))
    expect_close(loss, torch.tensor(0.0), "Сигурен и прав дискриминатор трябва да плаща почти нула.")
    loss = student.discriminator_loss(torch.full((3,), -9.0), torch.full((2,), 9.0))
    expect_close(loss, torch.tensor(18.0), "Сигурен и сбъркал дискриминатор плаща логитите си.", atol=1e-3)


@judge.check(
    "двете извадки тежат еднакво, колкото и точки да имат",
    points=2,
    hint="Средното се взема поотделно за данните и за извадката, а не общо за всички точки.",
)
def samples_weigh_the_same(student, generator):
    real, fake = torch.randn(4, generator=generator), torch.randn(3, generator=generator)
    once = expect_tensor(student.discriminator_loss(real, fake), ())
    expect(once.item() > 0, "Загубата е сбор от положителни числа, а излезе отрицателна или нула.")
    again = student.discriminator_loss(real, fake.repeat(5))
    expect_close(again, once, "Ако всяка точка от извадката се повтори пет пъти, загубата се променя.")


@judge.check(
    "градиентът дърпа данните нагоре, а извадката – надолу",
    points=1,
    hint="Производната по логит на данните е −(1 − D)/N, а по логит на извадката – D/M.",
)
def pulls_apart(student, generator):
    real = torch.randn(4, generator=generator).requires_grad_()
    fake = torch.randn(6, generator=generator).requires_grad_()
    expected = [-(1 - real.sigmoid()) / 4, fake.sigmoid() / 6]
    outcome = student.trace("discriminator_loss", real, fake)
    expect_gradients(outcome, expected, "Производните по логитите са други.")


def slope_of_objective(w, h_p, h_q, ridge: float) -> torch.Tensor:
    """Gradient of the regularised logistic loss, shape (F,)."""
    wrong_p, wrong_q = torch.sigmoid(-(h_p @ w)), torch.sigmoid(h_q @ w)
    return -(wrong_p @ h_p) / len(h_p) + (wrong_q @ h_q) / len(h_q) + ridge * w


@logistic.check(
    "в намереното w градиентът на загубата е нула",
    points=3,
    hint="Задачата е изпъкнала: torch.optim.LBFGS с line_search_fn='strong_wolfe' или няколко стъпки на "
    "Нютон "
    "стигат до минимума. Не забравяйте ridge и средните поотделно за p и q.",
)
def at_the_minimum(student, generator):
    h_p = 1 + torch.randn(40, 3, generator=generator, **DOUBLE)
    h_q = torch.randn(25, 3, generator=generator, **DOUBLE)
    for ridge in (0.01, 1.0):
        w = expect_tensor(student.logistic_ratio(h_p, h_q, ridge), (3,), torch.float64)
        size = slope_of_objective(w, h_p, h_q, ridge).norm().item()
        expect(
            size < 1e-4, f"Нормата на градиента в намереното w е {bulgarian(size, 4)}: това не е минимумът."
        )


@logistic.check(
    "за N(1, 1) и N(0, 1) намира x − ½",
    points=2,
    hint="log p(x)/q(x) = x − ½: при признаци (1, x) теглата са (−½, 1). Ако знакът е обратен, p и q са "
    "разменени.",
)
def finds_the_gaussian_ratio(student, generator):
    x_p = 1 + torch.randn(4000, generator=generator, **DOUBLE)
    x_q = torch.randn(4000, generator=generator, **DOUBLE)
    h_p, h_q = (torch.stack([torch.ones_like(x), x], -1) for x in (x_p, x_q))
    w = expect_tensor(student.logistic_ratio(h_p, h_q, 1e-6), (2,))
    away = (w - torch.tensor([-0.5, 1.0], **DOUBLE)).abs().max().item()
    expect(away < 0.25, f"Намерено е log r(x) ≈ {bulgarian(w[1], 2)}·x + ({bulgarian(w[0], 2)}).")


@logistic.check(
    "отношението не зависи от това колко точки има от всяко разпределение",
    points=2,
    hint="Не обединявайте двете извадки в общо средно: discriminator_loss вече ги претегля поравно.",
)
def sizes_do_not_matter(student, generator):
    h_p = 0.5 + torch.randn(30, 2, generator=generator, **DOUBLE)
    h_q = torch.randn(20, 2, generator=generator, **DOUBLE)
    w = expect_tensor(student.logistic_ratio(h_p, h_q, 0.1), (2,))
    expect(bool(w.norm() > 1e-3), "Двете извадки се различават, а w е нула.")
    repeated = student.logistic_ratio(h_p, h_q.repeat(4, 1), 0.1)
    expect_close(repeated, w, "Ако всяка точка от q се повтори четири пъти, w се променя.", atol=1e-3)


@forger.check(
    "стойности, които се смятат на ръка",
    points=2,
    hint="log(1 − D) = −softplus(логит), −log D = softplus(−логит). Първо насищащата се, после ненасищащата "
    "се.",
)
def known_generator_losses(student, generator):
    for logit in (0.0, 3.0, -2.0):
        d = 1 / (1 + math.exp(-logit))
        found = expect_tensors(student.generator_losses(torch.full((4,), logit)), (), ())
        for value, wanted, name in zip(
            found, (math.log(1 - d), -math.log(d)), ("Насищащата се", "Ненасищащата се"), strict=True
        ):
            expect_close(
                value,
                torch.tensor(wanted),
                f"{name} загуба при D = {bulgarian(d, 2)} трябва да е {bulgarian(wanted, 3)}, а е "
                f"{bulgarian(value, 3)}.",
            )


@forger.check(
    "и двете намаляват, когато дискриминаторът повярва",
    points=2,
    hint="Генераторът минимизира. Загуба, която расте с D, го учи да бъде разкриван.",
)
def belief_is_rewarded(student, generator):
    logits = torch.linspace(-4, 4, 9)
    found = [expect_tensors(student.generator_losses(v.reshape(1)), (), ()) for v in logits]
    for values, name in zip(zip(*found, strict=True), ("Насищащата се", "Ненасищащата се"), strict=True):
        falls = bool((torch.stack(values).diff() < 0).all())
        expect(falls, f"{name} загуба не намалява, когато логитът расте.")


@forger.check(
    "градиентите им се допълват: D + (1 − D) = 1",
    points=2,
    hint="Теглата на точка са D/M при насищащата се загуба и (1 − D)/M при другата. Нито една не минава през "
    ".detach() или .item().",
)
def weights_are_complementary(student, generator):
    fake = (2 * torch.randn(5, generator=generator)).requires_grad_()
    outcome = student.trace("generator_losses", fake)
    expect_tensors(outcome.value, (), ())
    expect_gradients(
        outcome,
        [torch.full((5,), -1 / 5)],
        "Сборът на двете производни по всеки логит е −(D + 1 − D)/M = −1/M, а вашият е друг.",
    )


def random_critic(generator, d: int, width: int = 8, **options) -> nn.Sequential:
    """A critic of two layers with random weights: (N, d) to (N, 1)."""
    critic = nn.Sequential(nn.Linear(d, width, **options), nn.Tanh(), nn.Linear(width, 1, **options))
    return random_weights(critic, generator)


def numerical_slopes(critic, x, step: float = 1e-5) -> torch.Tensor:
    """Norm of the critic's gradient at each row of x (float64), by central differences: (N,)."""
    moves = step * torch.eye(x.shape[1], dtype=x.dtype)
    with torch.no_grad():
        both = [critic(x[:, None] + sign * moves)[..., 0] for sign in (1, -1)]
    return ((both[0] - both[1]) / (2 * step)).norm(dim=1)


@penalty.check(
    "линеен критик: наклонът е един и същ навсякъде",
    points=2,
    hint="За critic(x) = a·x наклонът е ‖a‖. Наказанието е (‖a‖ − slope)², без корен и без множител.",
)
def linear_critic(student, generator):
    critic = nn.Sequential(nn.Linear(2, 1, **DOUBLE))
    critic[0].weight = nn.Parameter(torch.tensor([[3.0, -4.0]], **DOUBLE))
    x = torch.randn(6, 2, generator=generator, **DOUBLE)
    for slope, wanted in ((0.0, 25.0), (1.0, 16.0), (5.0, 0.0)):
        value = student.gradient_penalty(critic, x, slope)
        expect_close(
            value,
            torch.tensor(wanted, **DOUBLE),
            f"За critic(x) = 3·x₁ − 4·x₂ и slope = {slope:g} наказанието трябва да е {wanted:g}.",
        )


@penalty.check(
    "всяка точка се наказва за своя наклон",
    points=3,
    hint="Нормата е по координатите на една точка, квадратът – за всяка точка, и чак тогава средното. "
    "torch.autograd.grad(critic(x).sum(), x) дава градиентите на всички точки наведнъж.",
)
def every_point_pays(student, generator):
    critic = random_critic(generator, 3, **DOUBLE)
    x = torch.randn(7, 3, generator=generator, **DOUBLE)
    slopes = numerical_slopes(critic, x)
    for slope in (0.0, 1.5):
        expect_close(
            student.gradient_penalty(critic, x, slope),
            (slopes - slope).square().mean(),
            "Наказанието е различно от това, в което наклоните са пресметнати числено.",
            atol=1e-6,
        )


@penalty.check(
    "наказанието променя критика: има градиент по теглата му",
    points=3,
    hint="Градиентът се диференцира още веднъж: torch.autograd.grad(…, create_graph=True), без .detach() "
    "след него.",
)
def teaches_the_critic(student, generator):
    critic = nn.Sequential(nn.Linear(2, 1, **DOUBLE))
    critic[0].weight = nn.Parameter(torch.tensor([[3.0, -4.0]], **DOUBLE))
    x = torch.randn(5, 2, generator=generator, **DOUBLE)
    outcome = student.trace("gradient_penalty", critic, x, 1.0, parameters=True)
    expect_tensor(outcome.value, ())
    found = (outcome.parameters or {}).get("0.weight")
    expect(
        found is not None,
        "Наказанието не зависи диференцируемо от теглата на критика: то няма да ги промени.",
    )
    expect_close(
        found,
        torch.tensor([[4.8, -6.4]], **DOUBLE),
        "За critic(x) = a·x и slope = 1 производната по a е 2(‖a‖ − 1)·a/‖a‖, а вашата е друга.",
    )


def true_mmd2(x, y, bandwidths) -> torch.Tensor:
    """The library's unbiased estimate."""
    return library_mmd2(x, y, Kernel("gaussian", tuple(bandwidths)))


@mmd.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="Вътре във всяка извадка се взема средното по N(N − 1) наредени двойки от различни точки; между "
    "двете – по "
    "всичките N·M, и се изважда два пъти.",
)
def mmd_by_hand(student, generator):
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0], [2.0]])
    k = [math.exp(-(d**2) / 2) for d in range(3)]
    wanted = k[1] + (2 * k[1] + k[0]) / 3 - 2 * (k[0] + 3 * k[1] + 2 * k[2]) / 6
    expect_close(
        student.mmd2(x, y, (1.0,)),
        torch.tensor(wanted),
        f"За x = (0, 1), y = (1, 2, 2) и h = 1 отговорът е {bulgarian(wanted, 4)}, а вашият е друг.",
    )
    far = student.mmd2(100 + torch.zeros(3, 2), torch.zeros(2, 2), (1.0, 2.0))
    expect_close(far, torch.tensor(2.0), "За две точки, безкрайно далеч една от друга, MMD² е 1 + 1 − 0 = 2.")


@mmd.check(
    "когато двете разпределения са едно и също, средното е нула",
    points=2,
    hint="Точка сравнена сама със себе си дава k = 1 и отмества оценката нагоре. Извадете диагонала и "
    "делете на "
    "N(N − 1). Понякога оценката е отрицателна: така трябва.",
)
def mmd_is_unbiased(student, generator):
    values = []
    for _ in range(200):
        x, y = torch.randn(6, 2, generator=generator), torch.randn(9, 2, generator=generator)
        values.append(expect_tensor(student.mmd2(x, y, (0.5, 1.5)), ()))
    values = torch.stack(values)
    expect(len(values.unique()) > 100, "Резултатът не зависи от точките.")
    expect_mean(values, 0.0, "Средното на 200 оценки е далеч от нула: над пет стандартни грешки.")


@mmd.check(
    "няколко ширини: средното на ядрата, двете извадки са равноправни",
    points=2,
    hint="MMD² е линейно по ядрото: с две ширини е средното на оценките с всяка поотделно.",
)
def mmd_averages_bandwidths(student, generator):
    x, y = torch.randn(5, 2, generator=generator), 1 + torch.randn(7, 2, generator=generator)
    both = expect_tensor(student.mmd2(x, y, (0.4, 2.0)), ())
    expect(bool(both != 0), "За две различни извадки резултатът е нула.")
    alone = [expect_tensor(student.mmd2(x, y, (h,)), ()) for h in (0.4, 2.0)]
    expect_close(both, sum(alone) / 2, "С две ширини резултатът не е средното на двата поотделно.")
    expect_close(student.mmd2(y, x, (0.4, 2.0)), both, "Разменянето на двете извадки променя резултата.")


@shares.check(
    "пример, който се брои на ръка",
    points=2,
    hint="Дялът е спрямо всичките M точки, и далечните. Точно на границата се брои.",
)
def counted_by_hand(student, generator):
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 9.0]])
    x = torch.tensor([[0.5, 0.0], [0.0, -1.0], [4.0, 0.5], [2.0, 2.0], [50.0, 0.0]])
    expect_close(
        student.mode_shares(x, means, 1.0),
        torch.tensor([0.4, 0.2, 0.0]),
        "От пет точки две са при първата мода, една при втората, две са далеч от всички: (0,4; 0,2; 0).",
    )


@shares.check(
    "точка не се брои при две моди",
    points=2,
    hint="Когато кръговете се застъпват, точката е на най-близката мода: argmin по разстоянието.",
)
def nearest_alone(student, generator):
    means = torch.tensor([[0.0], [1.0], [2.0]])
    x = torch.tensor([[0.2], [0.9], [1.1], [1.9]])
    found = expect_tensor(student.mode_shares(x, means, 5.0), (3,))
    expect(found.sum().item() < 1.01, "Дяловете се събират до повече от единица.")
    expect_close(found, torch.tensor([0.25, 0.5, 0.25]), "Точките не са при най-близките си моди.")


LATENT, MODES, RADIUS = 2, 8, 0.6  # the radius is three standard deviations of a mode
MAX_SIZE = 200_000


def drawn(weights: dict, generator, count: int = 8000) -> torch.Tensor:
    """A sample of the handed-in generator, (count, 2) in float64, from noise of the grader's own."""
    if sum(value.numel() for value in weights.values()) > MAX_SIZE:
        raise WrongForm(f"Генераторът има над {MAX_SIZE // 1000} хиляди числа: твърде голям е за осем петна.")
    network = mlp_from({f"generator.{k}": v for k, v in weights.items()}, "generator", LATENT, 2, nn.ReLU)
    return network(torch.randn(count, LATENT, generator=generator, **DOUBLE))


def real_points(generator, count: int) -> torch.Tensor:
    """Points of the true density that nobody has seen, in float64."""
    with seeded(int(torch.randint(2**31, (1,), generator=generator))):
        return EightGaussians().sample((count,)).double()


def covered(weights: dict, generator, share: float) -> int:
    """How many of the eight modes get at least ``share`` of a sample."""
    x = drawn(weights, generator)
    return modes_covered(x, EightGaussians().means, RADIUS, math.ceil(share * len(x))).covered


def quality(weights: dict, generator) -> float:
    """The share of a sample within three standard deviations of a mode (0.989 for the data)."""
    return modes_covered(drawn(weights, generator), EightGaussians().means, RADIUS).share


def discrepancy(weights: dict, generator, count: int = 1500) -> float:
    """Unbiased squared MMD between a sample and new data, with kernels that see the shape of one mode."""
    return true_mmd2(drawn(weights, generator, count), real_points(generator, count), (0.1, 0.2, 0.4)).item()


@trained.check(
    "генераторът достига всичките осем моди",
    points=3,
    hint="При всяка мода трябва да са поне 5 % от извадката. Липсват ли моди, генераторът учи по-бързо от "
    "дискриминатора, "
    "или наказанието е твърде слабо.",
)
def reaches_every_mode(student, generator):
    found = covered(student.weights("generator"), generator, 0.05)
    expect(found == MODES, f"Модите, при които са поне 5 % от извадката, са {found} от {MODES}.")


@trained.check(
    "поне 85 % от извадката е близо до някоя мода",
    points=3,
    hint="Точките между петната са следи от непрекъснатостта на генератора. Още стъпки или по-широка мрежа "
    "ги намаляват.",
)
def most_are_good(student, generator):
    found = quality(student.weights("generator"), generator)
    expect(
        found >= 0.85, f"Близо до мода са {bulgarian(100 * found, 1)} % от извадката, а са нужни поне 85 %."
    )
