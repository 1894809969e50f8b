"""Public checks of lab 1: properties that a right answer has, and what to think about when it does not."""

import math

import torch
from torch import nn

from gmtools.data import digits
from gmtools.grading import Lab, expect, expect_close, expect_gradients, expect_mean, expect_tensor
from gmtools.grading.inputs import random_linear
from gmtools.grading.lab import WrongForm
from gmtools.grading.rebuild import black_and_white, expect_bound, mean_bound, mlp_from

lab = Lab("1-elbo", title="Лаборатория 1. Долната граница (ELBO), част по част")

BOUND = "3-inference/33-variational-bound"
PARTS = "3-inference/34-reconstruction-and-regularisation"
TIGHTER = "3-inference/32-importance-sampling-properties"
AUTOENCODER = "3-inference/39-variational-autoencoder"

kl = lab.exercise(
    "gaussian_kl",
    title="Упражнение 1. KL дивергенция между гаусови разпределения",
    points=10,
    chapter=PARTS,
)
likelihood = lab.exercise(
    "bernoulli_log_likelihood",
    title="Упражнение 2. Логаритмично правдоподобие от логити",
    points=10,
    chapter=PARTS,
)
sample = lab.exercise(
    "reparametrised_sample",
    title="Упражнение 3. Репараметризирана извадка",
    points=10,
    chapter="4-gradients/46-reparameterisation",
)
bound = lab.exercise("elbo", title="Упражнение 4. ELBO по метода Монте Карло", points=12, chapter=BOUND)
weights = lab.exercise(
    "log_weights",
    title="Упражнение 5. Логаритми на теглата на важност",
    points=10,
    chapter="3-inference/31-importance-sampling",
)
iwae = lab.exercise("iwae_bound", title="Упражнение 6. Границата на IWAE", points=10, chapter=TIGHTER)
loss = lab.exercise("vae_loss", title="Упражнение 7. Загубата на автоенкодера", points=8, chapter=AUTOENCODER)
trained = lab.exercise(
    "vae", title="Упражнение 8. Обученият автоенкодер", points=20, chapter=AUTOENCODER, trained=True
)
lab.question("answer_1", title="Въпрос 1. Може ли границата на IWAE да надмине log p(x)?", points=5)
lab.question("answer_2", title="Въпрос 2. Колко от загубата идва от енкодера?", points=5)


def integrate(function, mean: float, std: float) -> torch.Tensor:
    """Expectation of ``function`` under N(mean, std²) on a fine grid over ±10 standard deviations."""
    grid = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    values = function(mean + std * grid)
    return (values * torch.exp(-0.5 * grid**2)).sum() * (grid[1] - grid[0]) / math.sqrt(2 * math.pi)


@kl.check(
    "нула, когато q съвпада с априорното, и положителна във всеки друг случай",
    points=2,
    hint="KL мери разликата от N(0, I): при mu = 0 и logvar = 0 тя е точно нула.",
)
def zero_only_at_the_prior(student, generator):
    zeros = torch.zeros(3, 4)
    at_prior = expect_tensor(student.gaussian_kl(zeros, zeros), (3,))
    expect(bool((at_prior.abs() < 1e-6).all()), "При mu = 0 и logvar = 0 резултатът не е нула.")
    mu, logvar = torch.randn(2, 50, 4, generator=generator)
    elsewhere = expect_tensor(student.gaussian_kl(mu, logvar), (50,))
    expect(
        bool((elsewhere > 0).all()),
        "При q, различно от априорното, се получава нула или отрицателно число. Проверете знаците.",
    )


@kl.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="Пресметнете формулата на лист за D = 1. Помнете, че logvar е логаритъм от дисперсията, а не от "
    "отклонението.",
)
def value_by_hand(student, generator):
    shift = student.gaussian_kl(torch.tensor([[1.0]]), torch.zeros(1, 1))
    expect_close(
        shift,
        torch.tensor([0.5]),
        "При D = 1, mu = 1 и logvar = 0 стойността е ½, а вашата е друга. Проверете знака и множителя ½.",
    )
    wide = student.gaussian_kl(torch.zeros(1, 1), torch.full((1, 1), math.log(4.0)))
    expect_close(
        wide,
        torch.tensor([1.5 - math.log(2.0)]),
        "При D = 1, mu = 0 и дисперсия 4 стойността е 1,5 − ln 2 ≈ 0,8069, а вашата е друга. "
        "Проверете събираемите с logvar.",
    )


@kl.check(
    "независимите координати се събират",
    points=2,
    hint="Сумира се по последната ос (координатите) и нищо не се усреднява: по едно число за всеки ред.",
)
def coordinates_add(student, generator):
    mu, logvar = torch.randn(2, 6, 5, generator=generator)
    whole = expect_tensor(student.gaussian_kl(mu, logvar), (6,))
    expect(bool((whole != 0).all()), "При q, различно от априорното, се получава нула.")
    parts = student.gaussian_kl(mu[:, :2], logvar[:, :2]) + student.gaussian_kl(mu[:, 2:], logvar[:, 2:])
    expect_close(parts, whole, "KL за пет координати не е сбор от KL за първите две и за останалите три.")


@likelihood.check(
    "при логит нула всеки пиксел има вероятност ½",
    points=2,
    hint="σ(0) = ½, така че всеки пиксел добавя −ln 2. Сумирайте по последната ос.",
)
def fair_coin(student, generator):
    x = torch.randint(0, 2, (5, 8), generator=generator).float()
    value = student.bernoulli_log_likelihood(x, torch.zeros(5, 8))
    expected = torch.full((5,), -8 * math.log(2.0))
    expect_close(
        value, expected, "При нулеви логити и D = 8 стойността е −8 ln 2 ≈ −5,545, а вашата е друга."
    )


@likelihood.check(
    "вероятностите на всички възможни x се събират до единица",
    points=2,
    hint="Изброени са всички 2⁴ двоични вектора. Ако сборът не е 1, липсва събираемото за x = 0 или "
    "знакът е сменен.",
)
def sums_to_one(student, generator):
    every = torch.tensor([[i >> k & 1 for k in range(4)] for i in range(16)]).float()
    logits = 2 * torch.randn(4, generator=generator)
    value = expect_tensor(student.bernoulli_log_likelihood(every, logits.expand(16, 4)), (16,))
    expect_close(
        value.exp().sum(),
        torch.tensor(1.0),
        "Сборът на вероятностите по всички x е различен от 1: това не е разпределение.",
    )


@likelihood.check(
    "големите логити не дават безкрайност",
    points=2,
    hint="Не минавайте през σ(logits): в float32 σ(100) е точно 1 и ln(1 − σ) е −∞. Изразете отговора "
    "чрез softplus.",
)
def large_logits(student, generator):
    x, logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[100.0, -100.0], [100.0, -100.0]])
    value = student.bernoulli_log_likelihood(x, logits)
    expect_close(
        value, torch.tensor([0.0, -200.0]), "При логити ±100 стойностите са 0 и −200, а вашите са други."
    )


def log_likelihood_of(x, logits):
    """log p(x|z) on the checking side: x (D,), logits (..., D)."""
    return torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)


def scalar_problem(generator):
    """A model with one-dimensional z: x, q's mean and log-variance, the decoder and its function of a grid
    of z."""
    decoder = random_linear(generator, 1, 6)
    x = torch.randint(0, 2, (6,), generator=generator).float()
    mu, logvar = torch.randn(2, generator=generator)
    weight, bias = decoder[0].weight.detach().double(), decoder[0].bias.detach().double()
    return x, mu, logvar, decoder, lambda z: log_likelihood_of(x.double(), z[:, None] * weight[:, 0] + bias)


@sample.check(
    "средното е mu, а отклонението – exp(logvar / 2)",
    points=2,
    hint="logvar е логаритъм от дисперсията: отклонението е exp(logvar / 2). Шумът идва от torch.randn.",
)
def mean_and_deviation(student, generator):
    mu, logvar = torch.randn(2, 3, 2, generator=generator)
    z = expect_tensor(student.reparametrised_sample(mu, logvar, 4000), (4000, 3, 2))
    standardised = (z - mu) / torch.exp(logvar / 2)
    expect_mean(
        standardised, 0.0, "Средното на извадката се отличава от mu с повече от пет стандартни грешки."
    )
    expect_mean(
        standardised**2,
        1.0,
        "Дисперсията на извадката се отличава от exp(logvar) с повече от пет стандартни грешки.",
    )


@sample.check(
    "градиентът минава през извадката",
    points=2,
    hint="z е гладка функция на mu и logvar. Ако минава през .sample() или torch.normal, градиент няма; "
    ".rsample() и mu + σ·ε го запазват.",
)
def path_to_the_mean(student, generator):
    mu, logvar = torch.randn(2, 4, 3, generator=generator)
    outcome = student.trace("reparametrised_sample", mu.requires_grad_(), logvar, 5)
    expect_gradients(
        outcome,
        [torch.full((4, 3), 5.0)],
        "Ако mu се премести с 1, всяка от петте реализации се премества с 1, а вашите – не.",
    )


@sample.check(
    "всяко k, всеки обект и всяка координата имат собствен шум",
    points=2,
    hint="Формата на шума е (K, N, Dz). Ако някоя от осите е 1, числата по нея се повтарят.",
)
def fresh_noise(student, generator):
    zeros = torch.zeros(6, 4)
    z = expect_tensor(student.reparametrised_sample(zeros, zeros, 5), (5, 6, 4))
    expect(len(z.unique()) > 110, "Между 120-те числа на извадката има повтарящи се: шумът е общ.")


@bound.check(
    "равна е на log p(x), когато z не носи информация и q е априорното",
    points=2,
    hint="Тук границата е плътна за всяко K: KL е нула и остава само правдоподобието. Връща се по едно "
    "число за обект.",
)
def tight_when_nothing_to_infer(student, generator):
    decoder = random_linear(generator, 2, 5)
    decoder[0].weight = nn.Parameter(torch.zeros(5, 2))
    x = torch.randint(0, 2, (7, 5), generator=generator).float()
    value = student.elbo(x, torch.zeros(7, 2), torch.zeros(7, 2), decoder, 3)
    expected = log_likelihood_of(x, decoder[0].bias.detach())
    expect_close(
        value, expected, "Стойността е различна от log p(x). Усреднявате ли по K (първата ос), а не по друга?"
    )


@bound.check(
    "средната стойност съвпада с точния интеграл",
    points=2,
    hint="Оценката е неотместена: log p(x|z) се усреднява по z ~ q, а KL се изважда. Отклонението е "
    "exp(logvar / 2).",
)
def unbiased(student, generator):
    x, mu, logvar, decoder, log_likelihood = scalar_problem(generator)
    std = math.exp(0.5 * logvar.item())
    divergence = 0.5 * (logvar.exp() + mu**2 - 1 - logvar).item()
    exact = integrate(log_likelihood, mu.item(), std).item() - divergence
    n = 4000
    values = student.elbo(x.expand(n, 6), mu.expand(n, 1), logvar.expand(n, 1), decoder, 2)
    expect_tensor(values, (n,))
    expect_mean(
        values,
        exact,
        "Средното от 4000 оценки се отличава от точната стойност с повече от пет стандартни грешки.",
    )


@bound.check(
    "не надминава логаритмичното маргинално правдоподобие",
    points=2,
    hint="ELBO = log p(x) − KL(q ‖ p(z|x)), така че средно е под log p(x). Изваждате ли KL, или я прибавяте?",
)
def is_a_bound(student, generator):
    x, mu, logvar, decoder, log_likelihood = scalar_problem(generator)
    log_evidence = integrate(lambda z: log_likelihood(z).exp(), 0.0, 1.0).log().item()
    n = 1000
    values = expect_tensor(
        student.elbo(x.expand(n, 6), mu.expand(n, 1) + 2, logvar.expand(n, 1), decoder, 8), (n,)
    )
    margin = 5 * values.std().item() / math.sqrt(n)
    expect(
        values.mean().item() < log_evidence + margin,
        "Средната стойност е над log p(x): това не е долна граница.",
    )
    expect(
        len(values.unique()) > n // 2,
        "Различни обекти получават един и същ шум: за всеки обект са нужни негови z.",
    )


def drawn(mu, logvar, K, generator):
    """K draws from q on the checking side: log-weights are then marked apart from the student's sample."""
    return mu + torch.exp(logvar / 2) * torch.randn(K, *mu.shape, generator=generator)


@weights.check(
    "когато q е априорното, теглото е самото правдоподобие",
    points=2,
    hint="При mu = 0 и logvar = 0 е q(z|x) = p(z) и двете плътности се съкращават.",
)
def prior_as_proposal(student, generator):
    decoder = random_linear(generator, 2, 5)
    x, z = torch.randint(0, 2, (4, 5), generator=generator).float(), torch.randn(3, 4, 2, generator=generator)
    value = student.log_weights(x, z, torch.zeros(4, 2), torch.zeros(4, 2), decoder)
    expected = log_likelihood_of(x, decoder(z).detach())
    expect_close(value, expected, "Стойността е различна от log p(x|z). Сравнете плътностите на p и q.")


@weights.check(
    "средното тегло е p(x), каквото и да е q",
    points=2,
    hint="Очакването на p(x|z)p(z)/q(z|x) по q е p(x). Проверете дали q е в знаменателя и дали σ влиза и в "
    "нормировката на q.",
)
def mean_weight(student, generator):
    x, mu, logvar, decoder, log_likelihood = scalar_problem(generator)
    log_evidence = integrate(lambda z: log_likelihood(z).exp(), 0.0, 1.0).log().item()
    mu, logvar = mu.reshape(1, 1) / 2, logvar.reshape(1, 1).abs()  # wider than the prior: bounded weights
    z = drawn(mu, logvar, 4000, generator)
    value = expect_tensor(student.log_weights(x[None], z, mu, logvar, decoder), (4000, 1))
    expect_mean(
        (value - log_evidence).exp(),
        1.0,
        "Средното от 4000 тегла се отличава от p(x) с повече от пет стандартни грешки.",
    )


@weights.check(
    "разликата на две тегла е разлика на логаритми на плътности",
    points=2,
    hint="log w(z) = log p(x|z) + log p(z) − log q(z|x), сума по координатите. Всяко z си има тегло: (K, N).",
)
def difference_of_weights(student, generator):
    decoder = random_linear(generator, 3, 4)
    decoder[0].weight = nn.Parameter(torch.zeros(4, 3))
    x = torch.ones(2, 4)
    mu, logvar = torch.full((2, 3), 1.0), torch.full((2, 3), math.log(4.0))
    z = torch.stack([torch.ones(2, 3), torch.full((2, 3), 3.0)])
    value = expect_tensor(student.log_weights(x, z, mu, logvar, decoder), (2, 2))
    expect_close(
        value[0] - value[1],
        torch.full((2,), 10.5),
        "При Dz = 3, mu = 1 и σ = 2 логаритмите на теглата на z = (1, 1, 1) и z = (3, 3, 3) се отличават с "
        "3(9 − 1)/2 − 3/2 = 10,5, а вашите – с друго число.",
    )


@iwae.check(
    "с една реализация границата е самото тегло",
    points=2,
    hint="При K = 1 логаритъмът от средното е самото log w: събираемото −ln K е нула.",
)
def one_sample(student, generator):
    log_w = 5 * torch.randn(1, 6, generator=generator)
    expect_close(student.iwae_bound(log_w), log_w[0], "При K = 1 резултатът не е log_w[0].")


@iwae.check(
    "стойност, която се смята на ръка",
    points=2,
    hint="Средното на теглата 1 и 3 е 2. Усредняват се теглата, а не логаритмите им, и то по първата ос.",
)
def value_of_two_weights(student, generator):
    log_w = torch.tensor([[1.0, 5.0], [3.0, 5.0]]).log()
    expect_close(
        student.iwae_bound(log_w),
        torch.tensor([2.0, 5.0]).log(),
        "За теглата (1, 3) и (5, 5) отговорът е (ln 2, ln 5), а вашият е друг.",
    )


@iwae.check(
    "много малки тегла не изчезват",
    points=2,
    hint="e^−1000 във float32 е нула. Изнесете най-голямото тегло пред сумата – това прави torch.logsumexp.",
)
def tiny_weights(student, generator):
    log_w = torch.randn(8, 5, generator=generator)
    near = expect_tensor(student.iwae_bound(log_w), (5,))
    expect_close(
        student.iwae_bound(log_w - 1000),
        near - 1000,
        "Ако от всички log w се извади 1000, и границата намалява с 1000, а вашата – не.",
        atol=1e-3,
    )


@loss.check(
    "загубата е −log p(x), когато скритите числа не казват нищо",
    points=2,
    hint="Тук енкодерът дава точно априорното, а декодерът не гледа z. Загубата е минус границата, средно за "
    "обект, а не сума.",
)
def nothing_to_hide(student, generator):
    encoder, decoder = random_linear(generator, 5, 4, 0.0), random_linear(generator, 2, 5)
    decoder[0].weight = nn.Parameter(torch.zeros(5, 2))
    x = torch.randint(0, 2, (7, 5), generator=generator).float()
    value = student.vae_loss({"encoder": encoder, "decoder": decoder}, x)
    expected = -log_likelihood_of(x, decoder[0].bias.detach()).mean()
    expect_close(value, expected, "Загубата е различна от средното на −log p(x). Проверете знака и средното.")


@loss.check(
    "загубата е минус граница: не по-малка от −log p(x) и не по-голяма от −ELBO",
    points=2,
    hint="Първата половина от изхода на енкодера е mu, втората – logvar. Границата има и двете си части.",
)
def is_minus_a_bound(student, generator):
    encoder = random_linear(generator, 6, 2, 0.5)
    x, _, _, decoder, log_likelihood = scalar_problem(generator)
    mu, logvar = encoder(x).detach().tolist()
    log_evidence = integrate(lambda z: log_likelihood(z).exp(), 0.0, 1.0).log().item()
    divergence = 0.5 * (math.exp(logvar) + mu**2 - 1 - logvar)
    exact_elbo = integrate(log_likelihood, mu, math.exp(0.5 * logvar)).item() - divergence
    networks, batch = {"encoder": encoder, "decoder": decoder}, x.expand(200, 6)
    values = [student.trace("vae_loss", networks, batch, seed=i).value for i in range(30)]
    values = torch.stack([expect_tensor(value, ()) for value in values])
    mean, margin = values.mean().item(), 5 * values.std().item() / math.sqrt(len(values)) + 1e-4
    expect(mean > -log_evidence - margin, "Загубата е под −log p(x): това не е минус долна граница.")
    expect(mean < -exact_elbo + margin, "Загубата е над −ELBO: границата губи повече от нужното.")


def held_out_bound(weights: dict, part, generator, count: int = 200) -> float:
    """Mean IWAE bound of the handed-in model, in nats an image: a lower bound of a normalised log p(x).

    The networks are rebuilt here and z is drawn here, so nothing but the weights decides.
    """
    x = black_and_white(part)
    encoder = mlp_from(weights, "encoder", x.shape[1])
    if encoder.d_out % 2:
        raise WrongForm("Изходът на енкодера трябва да е с четен размер: mu и logvar.")
    decoder = mlp_from(weights, "decoder", encoder.d_out // 2, x.shape[1])

    def log_weights(rows):
        mu, logvar = encoder(rows).chunk(2, -1)
        eps = torch.randn(count, *mu.shape, generator=generator, dtype=x.dtype)
        z = mu + torch.exp(logvar / 2) * eps
        log_ratio = 0.5 * (eps**2 + logvar - z**2).sum(-1)
        return log_likelihood_of(rows, decoder(z)) + log_ratio

    return mean_bound(log_weights, x)


@trained.check(
    "моделът е по-добър от независими пиксели",
    points=4,
    hint="Моделът, който помни само колко често всеки пиксел е единица, достига −25,1 ната. Спада ли "
    "загубата по време на обучението? Стига ли градиентът и до двете мрежи?",
)
def beats_independent_pixels(student, generator):
    expect_bound(held_out_bound(student.weights("vae"), digits().validation, generator), -25.0)


@trained.check(
    "границата върху отделените цифри е поне −18 ната",
    points=4,
    hint="Загубата още ли спада в края? Увеличете STEPS или HIDDEN. Ако загубата за отделените данни расте, "
    "мрежата се преобучава.",
)
def reaches_the_threshold(student, generator):
    expect_bound(held_out_bound(student.weights("vae"), digits().validation, generator), -18.0)
