"""Public checks of lab 2: properties that a right answer has, and what to think about when it does not."""

import itertools
import math

import torch
from torch import nn
from torch.distributions import Bernoulli

from gmtools.data import digits
from gmtools.grading import (
    Lab,
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_tensor,
    expect_tensors,
)
from gmtools.grading.inputs import random_linear
from gmtools.grading.rebuild import black_and_white, expect_bound, mean_bound, mlp_from

SCORE, PATH = "4-gradients/45-score-function-estimator", "4-gradients/47-pathwise-estimator"

lab = Lab("2-gradients", title="Лаборатория 2. Градиент през случайността")
score = lab.exercise("bernoulli_score", title="Упражнение 1. Скор-функцията", points=8, chapter=SCORE)
estimate = lab.exercise(
    "score_function_gradient", title="Упражнение 2. Оценител чрез скор-функцията", points=10, chapter=SCORE
)
path = lab.exercise("pathwise_gradient", title="Упражнение 3. Оценител по пътя", points=12, chapter=PATH)
best = lab.exercise(
    "optimal_baseline", title="Упражнение 4. Най-добрата базова линия", points=10, chapter=SCORE
)
others = lab.exercise(
    "leave_one_out", title="Упражнение 5. Базова линия от останалите", points=10, chapter=SCORE
)
stand_in = lab.exercise(
    "surrogate",
    title="Упражнение 6. Заместител за autograd",
    points=10,
    chapter="4-gradients/44-gradient-estimators",
)
relaxed = lab.exercise("gumbel_softmax", title="Упражнение 7. Gumbel-softmax", points=12, chapter=PATH)
loss = lab.exercise(
    "discrete_vae_loss", title="Упражнение 8. Загубата на двоичния автоенкодер", points=8, chapter=SCORE
)
trained = lab.exercise(
    "vae", title="Упражнение 9. Обученият двоичен автоенкодер", points=10, chapter=SCORE, trained=True
)
lab.question("answer_1", title="Въпрос 1. Защо базовата линия не гледа своята реализация?", points=5)
lab.question("answer_2", title="Въпрос 2. Кога бихте избрали Gumbel-softmax?", points=5)


def every_vector(size: int, dtype=torch.float32) -> torch.Tensor:
    """All binary vectors, shape (2^size, size)."""
    return torch.tensor(list(itertools.product((0, 1), repeat=size)), dtype=dtype)


@score.check(
    "съвпада с производната, която дава autograd",
    points=2,
    hint="log q(z) = z·ℓ − softplus(ℓ) за всяка координата. На какво е равна производната на softplus?",
)
def score_is_the_derivative(student, generator):
    logits = torch.randn(4, 3, generator=generator)
    z = torch.randint(0, 2, (5, 4, 3), generator=generator).float()
    leaf = logits.clone().requires_grad_()
    wanted = [torch.autograd.grad(Bernoulli(logits=leaf).log_prob(one).sum(), leaf)[0] for one in z]
    expect_close(
        student.bernoulli_score(z, logits),
        torch.stack(wanted),
        "Стойностите са различни от производната на log q(z) по логитите.",
    )


@score.check(
    "средното ѝ по q е нула",
    points=2,
    hint="Вероятностите се събират до единица при всеки логит, затова средното на скор-функцията е нула. "
    "Проверете знака пред σ(ℓ).",
)
def score_has_mean_zero(student, generator):
    logits = 2 * torch.randn(6, 1, generator=generator)
    z = torch.tensor([0.0, 1.0]).reshape(2, 1, 1).expand(2, 6, 1)
    value = expect_tensor(student.bernoulli_score(z, logits), (2, 6, 1))
    expect(bool((value != 0).all()), "При крайни логити скор-функцията не е нула за никое z.")
    p = logits.sigmoid()
    expect_close(
        (1 - p) * value[0] + p * value[1],
        torch.zeros(6, 1),
        "Сборът q(0)·s(0) + q(1)·s(1) е различен от нула.",
    )


@estimate.check(
    "постоянната функция няма градиент",
    points=2,
    hint="При нулеви логити и всички 2⁴ вектора средното е точно: E[c·s(z)] = 0.",
)
def constant_has_no_gradient(student, generator):
    z = every_vector(4)[:, None]
    values = torch.full((16, 1), 3.0)
    value = student.score_function_gradient(values, z, torch.zeros(1, 4))
    expect_close(value, torch.zeros(1, 4), "При f = 3 и z – всички вектори, градиентът трябва да е нула.")
    moving = expect_tensor(student.score_function_gradient(z[..., 0], z, torch.zeros(1, 4)), (1, 4))
    expect(bool(moving.abs().sum() > 0), "Резултатът е нула за всяко f.")


@estimate.check(
    "за f(z) = z₁ градиентът е p(1 − p), и то само по първия логит",
    points=2,
    hint="E[z₁] = σ(ℓ₁), а производната на σ при нула е ¼. Другите логити не участват.",
)
def gradient_of_a_coordinate(student, generator):
    z = every_vector(4)[:, None]
    value = student.score_function_gradient(z[..., 0], z, torch.zeros(1, 4))
    expect_close(
        value,
        torch.tensor([[0.25, 0.0, 0.0, 0.0]]),
        "При нулеви логити градиентът на E[z₁] е (¼, 0, 0, 0), а вашият е друг. Усреднявате ли по K?",
    )


@estimate.check(
    "всеки обект използва своите стойности",
    points=2,
    hint="values е (K, N), а скор-функцията (K, N, D): добавете ос отзад, values.unsqueeze(-1).",
)
def objects_stay_apart(student, generator):
    z = torch.randint(0, 2, (4, 3, 2), generator=generator).float()
    values, logits = torch.randn(4, 3, generator=generator), torch.randn(3, 2, generator=generator)
    whole = expect_tensor(student.score_function_gradient(values, z, logits), (3, 2))
    expect(bool((whole != 0).any()), "Резултатът е нула.")
    for i in range(3):
        alone = student.score_function_gradient(values[:, i : i + 1], z[:, i : i + 1], logits[i : i + 1])
        expect_close(alone, whole[i : i + 1], "Градиентът на един обект зависи от останалите.")


@path.check(
    "за линейна функция градиентът по mu е точен",
    points=2,
    hint="f(z) = a·z има производна a навсякъде, така че шумът не пречи: всяка реализация дава точно a.",
)
def exact_for_lines(student, generator):
    a = torch.randn(3, generator=generator)
    mu, log_sigma = torch.randn(2, 4, 3, generator=generator)
    found = expect_tensors(
        student.pathwise_gradient(lambda z: (z * a).sum(-1), mu, log_sigma, 6), (4, 3), (4, 3)
    )
    expect_close(
        found[0],
        a.expand(4, 3),
        "При f(z) = a·z градиентът по mu е a, а вашият е друг. Средно (не сума) по K ли е?",
    )


@path.check(
    "за f(z) = z²/2 средните са mu и sigma²",
    points=2,
    hint="E[z²/2] = (mu² + sigma²)/2. По log_sigma производната е df/dz·sigma·ε: минава през експонентата.",
)
def right_on_average(student, generator):
    mu, log_sigma = torch.tensor([[0.7]]), torch.tensor([[0.4]])
    found = student.pathwise_gradient(
        lambda z: 0.5 * (z**2).sum(-1), mu.expand(4000, 1), log_sigma.expand(4000, 1), 2
    )
    by_mu, by_log_sigma = expect_tensors(found, (4000, 1), (4000, 1))
    expect_mean(by_mu, 0.7, "Средното на градиента по mu се отличава от mu с над пет стандартни грешки.")
    expect_mean(
        by_log_sigma,
        math.exp(0.8),
        "Средното на градиента по log_sigma се отличава от sigma² с над пет стандартни грешки.",
    )


@path.check(
    "всеки обект и всяка реализация имат свой шум",
    points=2,
    hint="Формата на шума е (K, N, D). С повече реализации оценката се мени по-малко.",
)
def noise_is_fresh(student, generator):
    mu, log_sigma = torch.zeros(500, 2), torch.zeros(500, 2)

    def square(z):
        return (z**2).sum(-1)

    few, many = (
        expect_tensors(student.pathwise_gradient(square, mu, log_sigma, K), (500, 2), (500, 2))[0]
        for K in (1, 25)
    )
    expect(len(few.unique()) > 900, "Различни обекти или координати получават един и същ шум.")
    expect(few.std() > 3 * many.std(), "С 25 реализации оценката шуми почти колкото с една.")


@best.check(
    "за постоянна функция тя е самата константа",
    points=2,
    hint="Ако f винаги е c, с b = c не остава никакъв шум. Теглата в средното се събират до единица.",
)
def baseline_of_a_constant(student, generator):
    s = torch.randn(6, 3, 2, generator=generator)
    value = student.optimal_baseline(torch.full((6, 3), -2.5), s)
    expect_close(value, torch.full((3, 2), -2.5), "При f = −2,5 базовата линия не е −2,5.")


@best.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="b = Σ f·s² / Σ s². Средното е претеглено с квадрата на скор-функцията, а не с нея самата.",
)
def baseline_by_hand(student, generator):
    value = student.optimal_baseline(torch.tensor([[1.0], [3.0]]), torch.tensor([[[1.0]], [[-2.0]]]))
    expect_close(
        value,
        torch.tensor([[2.6]]),
        "За стойности 1 и 3 и скор 1 и −2 отговорът е (1·1 + 3·4)/5 = 2,6, а вашият е друг.",
    )


@best.check(
    "никое друго число не дава по-малък разброс",
    points=2,
    hint="Търси се минимумът на средното на ((f − b)·s)². Диференцирайте по b. Всяка координата има свое b.",
)
def baseline_is_a_minimum(student, generator):
    s, values = torch.randn(40, 3, 2, generator=generator), 5 + torch.randn(40, 3, generator=generator)
    b = expect_tensor(student.optimal_baseline(values, s), (3, 2))

    def spread(b):
        return (((values[..., None] - b) * s) ** 2).mean(0)

    for step in (-0.1, 0.1):
        expect(
            bool((spread(b) < spread(b + step)).all()),
            "Има базова линия с по-малък втори момент: преместете вашата с 0,1.",
        )


@others.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="Средното е само на останалите стойности: делителят е K − 1 и самата стойност не участва.",
)
def left_out_by_hand(student, generator):
    value = student.leave_one_out(torch.tensor([[1.0], [2.0], [6.0]]))
    expect_close(
        value,
        torch.tensor([[-3.0], [-1.5], [4.5]]),
        "За стойностите 1, 2 и 6 отговорът е −3, −1,5 и 4,5, а вашият е друг.",
    )


@others.check(
    "прибавяне на константа не променя нищо",
    points=2,
    hint="Ако всички стойности растат с c, и средното на останалите расте с c.",
)
def shift_changes_nothing(student, generator):
    values = torch.randn(5, 4, generator=generator)
    value = expect_tensor(student.leave_one_out(values), (5, 4))
    expect(bool((value != 0).any()), "Резултатът е нула за всички стойности.")
    expect_close(student.leave_one_out(values + 10), value, "С 10 към всички стойности резултатът е друг.")


@others.check(
    "базовата линия на една реализация не зависи от нея самата",
    points=2,
    hint="Ако само f₁ нарасне с 1, резултатът за нея нараства с 1, а за другите намалява с 1/(K − 1).",
)
def own_value_is_left_out(student, generator):
    values = torch.randn(4, 3, generator=generator)
    raised = values.clone()
    raised[0] += 1
    change = expect_tensor(student.leave_one_out(raised), (4, 3)) - student.leave_one_out(values)
    expect_close(change[0], torch.ones(3), "Собствената стойност участва в базовата си линия.")
    expect_close(
        change[1:],
        torch.full((3, 3), -1 / 3),
        "Останалите три не са усетили, че f₁ е нараснала: с −1/3 всяка.",
    )


@stand_in.check(
    "стойността е средното на f",
    points=2,
    hint="Членът със скор-функцията носи градиент, но не и стойност: t − t.detach() е нула.",
)
def value_is_the_mean(student, generator):
    values, log_q = torch.randn(2, 5, 3, generator=generator)
    expect_close(student.surrogate(values, log_q), values.mean(0), "Стойността не е средното на values по K.")


@stand_in.check(
    "градиентът по values е 1/K",
    points=2,
    hint="Параметрите вътре в f се учат по обикновения път: само теглата пред log_q са без градиент.",
)
def gradient_of_the_values(student, generator):
    values, log_q = torch.randn(2, 5, 3, generator=generator)
    outcome = student.trace("surrogate", values.requires_grad_(), log_q)
    expect_gradients(outcome, [torch.full((5, 3), 0.2)], "Производната по всяка стойност не е 1/K.")


@stand_in.check(
    "градиентът по log q е (f − средното на останалите)/K",
    points=2,
    hint="Пред log_q стои leave_one_out(values), откачено с .detach(), и се усреднява по K.",
)
def gradient_of_log_q(student, generator):
    values, log_q = torch.randn(2, 5, 3, generator=generator)
    outcome = student.trace("surrogate", values, log_q.requires_grad_())
    expect_gradients(outcome, [(values - values.mean(0)) / 4], "Производната по log q е друга.")


@relaxed.check(
    "точки от симплекса: неотрицателни, със сбор единица",
    points=2,
    hint="Последната стъпка е softmax по последната ос.",
)
def on_the_simplex(student, generator):
    logits = torch.randn(4, 5, generator=generator)
    z = expect_tensor(student.gumbel_softmax(logits, 0.7, 6), (6, 4, 5))
    expect(bool((z >= 0).all()), "Има отрицателни числа.")
    expect_close(z.sum(-1), torch.ones(6, 4), "Сборът по последната ос не е 1.")
    expect(len(z[..., 0].unique()) == 24, "Шумът е общ за различни обекти или реализации.")


@relaxed.check(
    "най-голямата координата се пада с вероятност softmax(logits)",
    points=2,
    hint="Шумът на Гумбел е −log(−log u), u ~ U(0, 1). Температурата дели и логитите, и шума.",
)
def argmax_is_categorical(student, generator):
    logits = torch.randn(1, 4, generator=generator)
    z = expect_tensor(student.gumbel_softmax(logits, 0.5, 5000), (5000, 1, 4))
    hits = nn.functional.one_hot(z[:, 0].argmax(-1), 4).double()
    for column, p in enumerate(logits[0].double().softmax(0)):
        expect_mean(
            hits[:, column],
            p.item(),
            "Честотата на най-голямата координата е друга: над пет стандартни грешки от softmax(logits).",
        )


@relaxed.check(
    "ниската температура дава почти едноединични вектори, високата – почти равномерни",
    points=2,
    hint="softmax((ℓ + g)/τ): при τ → 0 остава само най-голямото, при τ → ∞ всички се изравняват.",
)
def temperature_sharpens(student, generator):
    logits = torch.randn(200, 3, generator=generator)
    cold, hot = (expect_tensor(student.gumbel_softmax(logits, t, 5), (5, 200, 3)) for t in (0.01, 100.0))
    expect(cold.amax(-1).mean().item() > 0.95, "При температура 0,01 векторите не са почти едноединични.")
    expect((hot - 1 / 3).abs().max().item() < 0.2, "При температура 100 векторите не са почти равномерни.")


def log_likelihood(x, logits):
    return Bernoulli(logits=logits).log_prob(x).sum(-1)


def exact_bound(encoder, decoder, x) -> tuple[torch.Tensor, torch.Tensor]:
    """ELBO and log p(x), each (N,), by summing over every binary code; in double precision."""
    encoder, decoder, x = encoder.double(), decoder.double(), x.double()
    heads = encoder(x)
    z = every_vector(heads.shape[-1], torch.float64)[:, None].expand(-1, len(x), -1)
    log_q = log_likelihood(z, heads)
    log_joint = log_likelihood(x, decoder(z)) - heads.shape[-1] * math.log(2)
    return (log_q.exp() * (log_joint - log_q)).sum(0), log_joint.logsumexp(0)


@loss.check(
    "загубата е −log p(x), когато скритите битове не казват нищо",
    points=2,
    hint="Тук q е априорното (всеки бит с вероятност ½), а декодерът не гледа z. Загубата е средно за обект.",
)
def nothing_to_hide(student, generator):
    encoder, decoder = random_linear(generator, 5, 3, 0.0), random_linear(generator, 3, 5)
    decoder[0].weight = nn.Parameter(torch.zeros(5, 3))
    x = torch.randint(0, 2, (7, 5), generator=generator).float()
    value = student.discrete_vae_loss({"encoder": encoder, "decoder": decoder}, x)
    expected = -log_likelihood(x, decoder[0].bias.detach()).mean()
    expect_close(value, expected, "Загубата е различна от средното на −log p(x). Проверете знака и log p(z).")


@loss.check(
    "средната стойност е минус ELBO, пресметната с всички кодове",
    points=2,
    hint="log p(x|z) + log p(z) − log q(z|x), със z от q. Всеки бит на априорното струва ln 2.",
)
def minus_elbo_on_average(student, generator):
    encoder, decoder = random_linear(generator, 6, 2, 0.5), random_linear(generator, 2, 6)
    x = torch.randint(0, 2, (1, 6), generator=generator).float().expand(100, 6)
    parts = {"encoder": encoder, "decoder": decoder}
    values = [student.trace("discrete_vae_loss", parts, x, seed=i).value for i in range(30)]
    values = torch.stack([expect_tensor(value, ()) for value in values])
    exact = -exact_bound(encoder, decoder, x[:1])[0].item()
    expect_mean(values, exact, "Средното от 30 загуби се отличава от −ELBO с над пет стандартни грешки.")


def held_out_bound(weights: dict, part, generator, count: int = 10) -> float:
    """Mean IWAE bound of the handed-in model, in nats an image: a lower bound of a normalised log p(x).

    Networks are rebuilt and bits drawn here: nothing but the weights decides. Ten draws are few enough that a
    model with a useless encoder, which only guesses codes, does not pass.
    """
    x = black_and_white(part)
    encoder = mlp_from(weights, "encoder", x.shape[1])
    decoder = mlp_from(weights, "decoder", encoder.d_out, x.shape[1])

    def log_weights(rows):
        heads = encoder(rows)
        z = (torch.rand(count, *heads.shape, generator=generator) < heads.sigmoid()).double()
        log_joint = log_likelihood(rows, decoder(z)) - heads.shape[-1] * math.log(2)
        return log_joint - log_likelihood(z, heads)

    return mean_bound(log_weights, x)


@trained.check(
    "моделът е по-добър от независими пиксели",
    points=2,
    hint="Моделът, който помни само колко често всеки пиксел е единица, достига −25,1 ната. Спада ли "
    "загубата? Стига ли градиентът и до енкодера?",
)
def beats_independent_pixels(student, generator):
    expect_bound(held_out_bound(student.weights("vae"), digits().validation, generator), -25.0)


@trained.check(
    "границата върху отделените цифри е поне −19,5 ната",
    points=2,
    hint="Загубата още ли спада в края? Увеличете STEPS или HIDDEN. С повече реализации градиентът е по-тих.",
)
def reaches_the_threshold(student, generator):
    expect_bound(held_out_bound(student.weights("vae"), digits().validation, generator), -19.5)
