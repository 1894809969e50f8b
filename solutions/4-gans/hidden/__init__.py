"""What students of lab 4 never see: hidden checks, typical mistakes that must cost points, other right
answers.

The titles and hints below are shown in the report; inputs, expected values and verdicts are not.
"""

import math
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from gmtools.data import EightGaussians
from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_no_loop,
    expect_tensor,
    expect_tensors,
    expect_unchanged,
)
from gmtools.grading.lab import load_module

hidden = Hidden()
public = load_module(Path(__file__).parents[3] / "labs" / "4-gans" / "checks.py")
DOUBLE, bulgarian = public.DOUBLE, public.bulgarian


def normal(generator, *shape, **options):
    return torch.randn(shape, generator=generator, **options)


def mutants(exercise: str, *rows: tuple[str, str, str]) -> None:
    """Register typical mistakes: title, text of the reference, what stands there instead."""
    for row in rows:
        hidden.mutant(exercise, *row)


def vectorised(exercise: str, expected, arguments, what: str, hint: str) -> None:
    """Register a check of ``exercise`` with few and with many points: ``arguments(generator, n)``."""

    @hidden.check(exercise, "без цикли и без промяна на аргументите", points=1, hint=hint)
    def check(student, generator):
        few, many = arguments(generator, 3), arguments(generator, 60)
        outcome = student.trace(exercise, *few)
        expect_like(outcome.value, expected(*few))
        expect_unchanged(outcome)
        expect_no_loop(student, exercise, few, many, what)


def expect_like(value, expected, **tolerance):
    """Fail unless ``value`` is the tensor, or the tensors, expected."""
    if isinstance(expected, torch.Tensor):
        expect_close(value, expected.detach(), "", **tolerance)
        return
    found = expect_tensors(value, *(e.shape for e in expected), dtype=expected[0].dtype)
    for one, wanted in zip(found, expected, strict=True):
        expect_close(one, wanted.detach(), "", **tolerance)


# Exercise 1 ---------------------------------------------------------------


@hidden.check(
    "log_ratio",
    "други форми, двойна точност и огромни логити",
    points=2,
    hint="Логитът вече е логаритъм: не минавайте през вероятностите, те се закръгляват до 0 и 1.",
)
def ratio_on_fresh_inputs(student, generator):
    for shape, n_p, n_q, options in (((3, 2), 7, 2, {}), ((), 1, 900, DOUBLE), ((4, 1, 2), 50, 3, DOUBLE)):
        logits = 200 * normal(generator, *shape, **options)
        wanted = logits + math.log(n_q) - math.log(n_p)
        expect_close(student.log_ratio(logits, n_p, n_q), wanted, "")


@hidden.check(
    "log_ratio",
    "градиентът по логитите е единица, а аргументът остава същият",
    points=1,
    hint="Поправката е константа. Операциите, които завършват на _, и -= променят аргумента.",
)
def ratio_gradients(student, generator):
    logits = normal(generator, 5)
    expect_unchanged(student.trace("log_ratio", logits, 3, 8))
    outcome = student.trace("log_ratio", logits.requires_grad_(), 3, 8)
    expect_close(outcome.value, logits.detach() + math.log(8 / 3), "")
    expect_gradients(outcome, [torch.ones(5)], "")


mutants(
    "log_ratio",
    ("без поправка", " - math.log(n_p / n_q)", ""),
    ("обратен знак", "- math", "+ math"),
    ("обърнато отношение", "n_p / n_q", "n_q / n_p"),
    ("отношение вместо логаритъм", "math.log(n_p / n_q)", "n_p / n_q"),
    ("дял вместо отношение", "n_p / n_q", "n_p / (n_p + n_q)"),
    ("двоичен логаритъм", "math.log(n_p / n_q)", "math.log2(n_p / n_q)"),
    ("отношението, а не логаритъмът му", "return logits", "return logits.exp()"),
    (
        "през вероятностите",
        "return logits",
        "return torch.log(logits.sigmoid() / (1 - logits.sigmoid()))",
    ),
    ("прекъснат градиент", "return logits", "return logits.detach()"),
)


@hidden.alternative("log_ratio", "с тензори")
def ratio_by_tensors(logits, n_p, n_q):
    return logits - torch.tensor(n_p / n_q, dtype=logits.dtype).log()


@hidden.alternative("log_ratio", "чрез логаритмите на двете вероятности")
def ratio_by_log_sigmoid(logits, n_p, n_q):
    log_odds = F.logsigmoid(logits) - F.logsigmoid(-logits)
    return log_odds + (math.log(n_q) - math.log(n_p))


# Exercise 2 ---------------------------------------------------------------


def true_discriminator_loss(real, fake):
    return -(F.logsigmoid(real).sum() / len(real) + F.logsigmoid(-fake).sum() / len(fake))


@hidden.check(
    "discriminator_loss",
    "нови логити, извадки с различен обем, по една точка, двойна точност",
    points=1,
    hint="Две средни, събрани: не тяхното средно и не сумата по точките.",
)
def discriminator_on_fresh_inputs(student, generator):
    for n, m, options in ((1, 1, {}), (3, 11, DOUBLE), (20, 4, {})):
        logits = 3 * normal(generator, n, **options), 3 * normal(generator, m, **options)
        expect_close(student.discriminator_loss(*logits), true_discriminator_loss(*logits), "")


@hidden.check(
    "discriminator_loss",
    "логити ±500: стойността и градиентите остават верни",
    points=3,
    hint="log(sigmoid(−500)) е −∞, а torch.log(D + 1e-8) е грешно число. F.softplus и F.logsigmoid са верни "
    "навсякъде.",
)
def discriminator_extremes(student, generator):
    real = torch.tensor([-500.0, 500.0, 40.0, 0.0]).requires_grad_()
    fake = torch.tensor([500.0, -500.0, -40.0]).requires_grad_()
    outcome = student.trace("discriminator_loss", real, fake)
    loss = true_discriminator_loss(real, fake)
    expect_close(outcome.value, loss.detach(), "")
    expect_gradients(outcome, list(torch.autograd.grad(loss, (real, fake))), "")


vectorised(
    "discriminator_loss",
    true_discriminator_loss,
    lambda generator, n: (normal(generator, n), normal(generator, n + 2)),
    "броя на точките",
    "Една операция за всички логити наведнъж.",
)


REAL, FAKE = "F.softplus(-real)", "F.softplus(fake)"
BOTH = f"{REAL}.mean() + {FAKE}.mean()"
mutants(
    "discriminator_loss",
    ("разменени знаци", BOTH, "F.softplus(real).mean() + F.softplus(-fake).mean()"),
    ("максимизира се", BOTH, f"-({BOTH})"),
    ("средно на двете", BOTH, f"({BOTH}) / 2"),
    ("общо средно", BOTH, f"2 * torch.cat([{REAL}, {FAKE}]).mean()"),
    ("сума", ".mean()", ".sum()"),
    ("само данните", FAKE, "0 * fake"),
    ("само извадката", REAL, "0 * real"),
    ("един и същ етикет", FAKE, "F.softplus(-fake)"),
    ("през вероятностите", FAKE, "-torch.log(1 - torch.sigmoid(fake))"),
    ("прибавено малко число", REAL, "-torch.log(torch.sigmoid(real) + 1e-8)"),
    ("прелива", FAKE, "torch.log(1 + torch.exp(fake))"),
    ("отрязани логити", FAKE, "F.softplus(fake.clamp(-10, 10))"),
    ("загубата на Васерщайн", BOTH, "fake.mean() - real.mean()"),
    ("панта", BOTH, "F.relu(1 - real).mean() + F.relu(1 + fake).mean()"),
    ("прекъснат градиент към извадката", FAKE, "F.softplus(fake.detach())"),
)


@hidden.alternative("discriminator_loss", "чрез кръстосаната ентропия")
def discriminator_by_cross_entropy(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


@hidden.alternative("discriminator_loss", "с logaddexp")
def discriminator_by_logaddexp(real, fake):
    zero = torch.zeros((), dtype=real.dtype)
    return torch.logaddexp(zero, -real).mean() + torch.mean(torch.logaddexp(zero, fake))


# Exercise 3 ---------------------------------------------------------------


def true_logistic_ratio(h_p, h_q, ridge):
    """By Newton's method in double precision, halving steps that do not descend."""
    h_p, h_q = h_p.double(), h_q.double()
    rows = torch.cat([-h_p, h_q])
    weight = torch.cat([torch.full((len(h),), 1 / len(h), **DOUBLE) for h in (h_p, h_q)])
    w = torch.zeros(h_p.shape[1], **DOUBLE)

    def loss(w):
        return weight @ F.softplus(rows @ w) + 0.5 * ridge * (w @ w)

    for _ in range(100):
        p = torch.sigmoid(rows @ w)
        gradient = (weight * p) @ rows + ridge * w
        curvature = (weight * p * (1 - p) * rows.T) @ rows + ridge * torch.eye(len(w), **DOUBLE)
        step = torch.linalg.solve(curvature, gradient)
        while loss(w - step) > loss(w) + 1e-12:
            step = step / 2
        w = w - step
    return w


@hidden.check(
    "logistic_ratio",
    "нови признаци: един, много, различен обем",
    points=2,
    hint="Стигнете до минимума: разликата от точното решение трябва да е под една десетохилядна.",
)
def logistic_on_fresh_inputs(student, generator):
    for n, m, f, ridge in ((30, 50, 1, 0.1), (200, 60, 6, 1e-2), (5, 4, 3, 2.0)):
        h_p, h_q = 0.7 + normal(generator, n, f, **DOUBLE), normal(generator, m, f, **DOUBLE)
        expect_close(
            student.logistic_ratio(h_p, h_q, ridge), true_logistic_ratio(h_p, h_q, ridge), "", atol=2e-4
        )


@hidden.check(
    "logistic_ratio",
    "напълно разделени извадки и големи признаци",
    points=2,
    hint="Когато извадките се разделят, само ridge държи w крайно, а методът на Нютон без контрол на "
    "стъпката се разбягва.",
)
def logistic_extremes(student, generator):
    h_p, h_q = 4 + normal(generator, 30, 2, **DOUBLE), normal(generator, 30, 2, **DOUBLE) - 4
    for scale, ridge in ((1.0, 1e-3), (8.0, 1e-2)):
        wanted = true_logistic_ratio(scale * h_p, scale * h_q, ridge)
        found = expect_tensor(student.logistic_ratio(scale * h_p, scale * h_q, ridge), (2,), torch.float64)
        expect(((found - wanted).norm() / wanted.norm()).item() < 1e-2, "")


@hidden.check(
    "logistic_ratio",
    "единична точност: типът на признаците се запазва",
    points=1,
    hint="Създавайте тензорите с dtype=h_p.dtype. Връща се w без requires_grad, с форма (F,).",
)
def logistic_in_single_precision(student, generator):
    h_p, h_q = 0.5 + normal(generator, 60, 3), normal(generator, 40, 3)
    outcome = student.trace("logistic_ratio", h_p, h_q, 0.05)
    expect_close(outcome.value, true_logistic_ratio(h_p, h_q, 0.05).float(), "", atol=5e-3)
    expect_unchanged(outcome)


@hidden.check(
    "logistic_ratio",
    "работата расте с точките само вътре в операциите",
    points=1,
    hint="h_p @ w дава логитите на всички точки наведнъж.",
)
def logistic_vectorised(student, generator):
    counts = []
    for n in (20, 2000):
        h_p, h_q = 0.5 + normal(generator, n, 2, **DOUBLE), normal(generator, n, 2, **DOUBLE)
        outcome = student.trace("logistic_ratio", h_p, h_q, 0.1, count=True)
        expect_close(outcome.value, true_logistic_ratio(h_p, h_q, 0.1), "", atol=2e-4)
        counts.append(outcome.operations)
    expect(None not in counts and counts[1] < 10 * counts[0], "")


LOSS = "discriminator_loss(h_p @ w, h_q @ w)"
mutants(
    "logistic_ratio",
    ("разменени p и q", LOSS, "discriminator_loss(h_q @ w, h_p @ w)"),
    ("без ridge", " + 0.5 * ridge * (w @ w)", ""),
    ("ridge без половинка", "0.5 * ridge", "ridge"),
    ("норма вместо квадрат", "(w @ w)", "(w @ w + 1e-12).sqrt()"),
    ("една стъпка", "max_iter=500", "max_iter=1"),
    ("спира рано", "tolerance_grad=1e-9", "tolerance_grad=3e-2"),
    ("половината загуба", LOSS, f"0.5 * {LOSS}"),
    ("обединени извадки", LOSS, "torch.cat([F.softplus(-(h_p @ w)), F.softplus(h_q @ w)]).mean() * 2"),
    ("сума вместо средно", LOSS, "(F.softplus(-(h_p @ w)).sum() + F.softplus(h_q @ w).sum())"),
    ("най-малки квадрати", LOSS, "((h_p @ w - 1).square().mean() + (h_q @ w).square().mean())"),
    ("в единична точност", "dtype=h_p.dtype", "dtype=torch.float32"),
    ("като стълб", "return w.detach()", "return w.detach()[:, None]"),
    (
        "спускане с малко стъпки",
        "search.step(closure)",
        "[torch.optim.SGD([w], 0.1).step(closure) for _ in range(20)]",
    ),
)


@hidden.alternative("logistic_ratio", "метод на Нютон с намаляване на стъпката")
def logistic_by_newton(h_p, h_q, ridge):
    def objective(w):
        return discriminator_loss(h_p @ w, h_q @ w) + 0.5 * ridge * (w @ w)  # noqa: F821

    w = h_p.new_zeros(h_p.shape[1])
    for _ in range(60):
        gradient = torch.func.grad(objective)(w)
        step = torch.linalg.solve(torch.func.hessian(objective)(w), gradient)
        for _ in range(30):
            if objective(w - step) <= objective(w):
                break
            step = 0.5 * step
        w = w - step
    return w


@hidden.alternative("logistic_ratio", "LBFGS в двойна точност, един nn.Linear")
def logistic_by_linear_layer(h_p, h_q, ridge):
    layer = nn.Linear(h_p.shape[1], 1, bias=False, dtype=torch.float64)
    nn.init.zeros_(layer.weight)
    points, split = torch.cat([h_p, h_q]).double(), len(h_p)
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=1000, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure():
        layer.zero_grad()
        logits = layer(points)[:, 0]
        loss = discriminator_loss(logits[:split], logits[split:])  # noqa: F821
        loss = loss + ridge * layer.weight.square().sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    return layer.weight.detach()[0].to(h_p.dtype)


# Exercise 4 ---------------------------------------------------------------


def true_generator_losses(fake):
    return F.logsigmoid(-fake).sum() / len(fake), -F.logsigmoid(fake).sum() / len(fake)


@hidden.check(
    "generator_losses",
    "нови логити, една точка, двойна точност",
    points=2,
    hint="Двете са средни по извадката. Насищащата се е отрицателна, ненасищащата се – положителна.",
)
def generator_on_fresh_inputs(student, generator):
    for m, options in ((1, {}), (13, DOUBLE), (40, {})):
        fake = 3 * normal(generator, m, **options)
        expect_like(student.generator_losses(fake), true_generator_losses(fake))


@hidden.check(
    "generator_losses",
    "логити ±500: стойностите и градиентите остават верни",
    points=3,
    hint="Разкритата точка има логит −500: точно там ненасищащата се загуба трябва да дърпа. Не минавайте "
    "през D.",
)
def generator_extremes(student, generator):
    fake = torch.tensor([-500.0, 500.0, 0.0, -30.0, 30.0]).requires_grad_()
    outcome = student.trace("generator_losses", fake)
    expect_like(outcome.value, true_generator_losses(fake))
    expect_gradients(outcome, [torch.full((5,), -0.2)], "")


vectorised(
    "generator_losses",
    true_generator_losses,
    lambda generator, n: (normal(generator, n),),
    "извадката",
    "Една операция за всички логити наведнъж.",
)


PAIR = "-F.softplus(fake).mean(), F.softplus(-fake).mean()"
mutants(
    "generator_losses",
    ("разменени", PAIR, "F.softplus(-fake).mean(), -F.softplus(fake).mean()"),
    ("два пъти една и съща", PAIR, "F.softplus(-fake).mean(), F.softplus(-fake).mean()"),
    ("максимизира се насищащата се", "-F.softplus(fake)", "F.softplus(fake)"),
    ("обратен знак на ненасищащата се", "F.softplus(-fake)", "-F.softplus(-fake)"),
    ("като за данни", PAIR, "-F.softplus(-fake).mean(), F.softplus(fake).mean()"),
    ("суми", ".mean()", ".sum()"),
    ("по точки", ".mean()", ""),
    ("през вероятностите", "-F.softplus(fake)", "torch.log(1 - torch.sigmoid(fake))"),
    ("прибавено малко число", "F.softplus(-fake)", "-torch.log(torch.sigmoid(fake) + 1e-8)"),
    ("на Васерщайн", "F.softplus(-fake)", "(-fake)"),
    ("средно от D, после логаритъм", "F.softplus(-fake).mean()", "-torch.log(torch.sigmoid(fake).mean())"),
    ("прекъснат градиент", "-F.softplus(fake)", "-F.softplus(fake.detach())"),
    ("най-малки квадрати", "F.softplus(-fake)", "0.5 * (fake - 1).square()"),
)


@hidden.alternative("generator_losses", "чрез logsigmoid")
def generator_by_log_sigmoid(fake):
    return F.logsigmoid(-fake).mean(), -F.logsigmoid(fake).mean()


@hidden.alternative("generator_losses", "чрез кръстосаната ентропия, в списък")
def generator_by_cross_entropy(fake):
    bce = torch.nn.BCEWithLogitsLoss()
    return [-bce(fake, torch.zeros_like(fake)), bce(fake, torch.ones_like(fake))]


# Exercise 5 ---------------------------------------------------------------


def true_penalty(critic, x, slope):
    """Point by point, through the Jacobian; keeps the graph of the critic's parameters."""
    rows = [
        torch.autograd.functional.jacobian(lambda v: critic(v[None]).sum(), v, create_graph=True) for v in x
    ]
    norms = torch.stack([torch.linalg.vector_norm(row) for row in rows])
    return (norms - slope).square().mean()


@hidden.check(
    "gradient_penalty",
    "нови критици и точки: една точка, една координата, много координати",
    points=2,
    hint="Нормата е по dim=1: по координатите на точката.",
)
def penalty_on_fresh_inputs(student, generator):
    for n, d, slope in ((1, 2, 1.0), (20, 1, 0.0), (6, 12, 3.0)):
        critic, x = public.random_critic(generator, d, **DOUBLE), normal(generator, n, d, **DOUBLE)
        expect_close(student.gradient_penalty(critic, x, slope), true_penalty(critic, x, slope).detach(), "")
    critic, x = public.random_critic(generator, 3), normal(generator, 5, 3)
    expect_close(
        student.gradient_penalty(critic, x, 1.0), true_penalty(critic, x, 1.0).detach(), "", rtol=1e-4
    )
    x = normal(generator, 7, 3, **DOUBLE)
    wanted = (2 * x.norm(dim=1) - 1).square().mean()
    expect_close(student.gradient_penalty(lambda x: x.square().sum(-1), x, 1.0), wanted, "")


@hidden.check(
    "gradient_penalty",
    "градиентът по всички тегла на критика",
    points=3,
    hint="Втората производна минава през целия критик: create_graph=True, и нищо откачено между градиента и "
    "резултата.",
)
def penalty_parameters(student, generator):
    for slope in (0.0, 1.0):
        critic, x = public.random_critic(generator, 3, **DOUBLE), normal(generator, 6, 3, **DOUBLE)
        named = {name: value for name, value in critic.named_parameters() if name != "2.bias"}
        wanted = torch.autograd.grad(true_penalty(critic, x, slope), list(named.values()))
        outcome = student.trace("gradient_penalty", critic, x, slope, parameters=True)
        found = outcome.parameters or {}
        for name, gradient in zip(named, wanted, strict=True):
            expect(found.get(name) is not None, "")
            expect_close(found[name], gradient, "", rtol=1e-5)


@hidden.check(
    "gradient_penalty",
    "напълно равен критик: крайна стойност и крайни градиенти",
    points=2,
    hint="Производната на √s при s = 0 е безкрайна, а по нула става NaN. x.norm(dim=1) има производна нула "
    "там; друг изход е √(s + 1e-12).",
)
def penalty_of_a_flat_critic(student, generator):
    for slope in (0.0, 1.0):
        critic = public.random_critic(generator, 2, **DOUBLE)
        critic[2].weight = nn.Parameter(torch.zeros_like(critic[2].weight))
        outcome = student.trace(
            "gradient_penalty", critic, normal(generator, 4, 2, **DOUBLE), slope, parameters=True
        )
        expect_close(outcome.value, torch.tensor(slope, **DOUBLE), "", atol=1e-4)
        found = outcome.parameters or {}
        for name in ("0.weight", "2.weight"):
            expect(found.get(name) is not None and bool(torch.isfinite(found[name]).all()), "")


vectorised(
    "gradient_penalty",
    true_penalty,
    lambda generator, n: (public.random_critic(generator, 2), normal(generator, n, 2), 1.0),
    "точките",
    "critic(x).sum() има за градиент по x градиентите на всички точки: те не си влияят.",
)


NORM = "gradient.norm(dim=1)"
mutants(
    "gradient_penalty",
    ("без втора производна", "create_graph=True", "retain_graph=True"),
    ("откачен градиент", NORM, "gradient.detach().norm(dim=1)"),
    ("норма на всичко", NORM, "gradient.norm()"),
    ("норма по точките", NORM, "gradient.norm(dim=0)"),
    ("квадрат на нормата", NORM, "gradient.square().sum(dim=1)"),
    ("без норма", NORM, "gradient"),
    ("най-голямата координата", NORM, "gradient.abs().amax(dim=1)"),
    ("норма L1", NORM, "gradient.abs().sum(dim=1)"),
    ("корен, който дава NaN", NORM, "gradient.square().sum(dim=1).sqrt()"),
    ("средно на наклоните", NORM, "gradient.norm(dim=1).mean()"),
    ("без slope", " - slope", ""),
    ("винаги единица", " - slope", " - 1"),
    ("без квадрат", ".square().mean()", ".abs().mean()"),
    ("сума", ".square().mean()", ".square().sum()"),
    ("само над slope", f"({NORM} - slope)", f"F.relu({NORM} - slope)"),
    ("градиент на средното", "critic(x).sum()", "critic(x).mean()"),
    ("наказва изхода", NORM, "critic(x).reshape(len(x), -1).norm(dim=1)"),
    ("променя точките", "x = x.detach()", "x = x.mul_(0.5).detach()"),
)


@hidden.alternative("gradient_penalty", "с grad_outputs и малко число под корена")
def penalty_with_epsilon(critic, x, slope):
    x = x.detach().clone().requires_grad_(True)
    out = critic(x)
    gradient = torch.autograd.grad(out, x, grad_outputs=torch.ones_like(out), create_graph=True)[0]
    return torch.mean((torch.sqrt((gradient**2).sum(1) + 1e-12) - slope) ** 2)


@hidden.alternative("gradient_penalty", "развит квадрат")
def penalty_expanded(critic, x, slope):
    with torch.enable_grad():
        points = x.clone().requires_grad_() if not x.requires_grad else x
        gradient = torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0]
    squared = torch.einsum("nd,nd->n", gradient, gradient)
    length = torch.linalg.vector_norm(gradient, dim=-1)
    return squared.mean() - 2 * slope * length.mean() + slope**2


# Exercise 6 ---------------------------------------------------------------


@hidden.check(
    "mmd2",
    "нови извадки с различен обем, една координата, три ширини, двойна точност",
    points=1,
    hint="Делителят вътре в x е N(N − 1), вътре в y – M(M − 1), между двете – N·M.",
)
def mmd_on_fresh_inputs(student, generator):
    sizes = ((2, 5, 1, (0.7,), DOUBLE), (30, 8, 4, (0.5, 1.0, 3.0), DOUBLE), (9, 2, 2, (1.0, 2.0), {}))
    for n, m, d, widths, options in sizes:
        x, y = normal(generator, n, d, **options), 0.5 + normal(generator, m, d, **options)
        expect_close(student.mmd2(x, y, widths), public.true_mmd2(x, y, widths), "")


@hidden.check(
    "mmd2",
    "далеч от началото: отместването на двете извадки не променя нищо",
    points=2,
    hint="Първо се изважда, после се повдига на квадрат: (a[:, None] − b). При ‖a‖² + ‖b‖² − 2a·b знаците "
    "се губят.",
)
def mmd_far_away(student, generator):
    x, y = normal(generator, 40, 2).round(decimals=1), 0.8 + normal(generator, 30, 2).round(decimals=1)
    shift = 2.0**14
    near, far = (x + shift) - shift, (y + shift) - shift  # what is left of the points after rounding
    expect_close(student.mmd2(x + shift, y + shift, (0.5, 1.0)), public.true_mmd2(near, far, (0.5, 1.0)), "")


@hidden.check(
    "mmd2",
    "градиентите по двете извадки, и при съвпадащи точки",
    points=2,
    hint="Корен от разстояние нула дава NaN в градиента; на ядрото му трябва само квадратът.",
)
def mmd_gradients(student, generator):
    x, y = normal(generator, 6, 2, **DOUBLE), normal(generator, 4, 2, **DOUBLE)
    x[1], y[0] = x[0], x[2]
    leaves = [x.requires_grad_(), y.requires_grad_()]
    expected = torch.autograd.grad(public.true_mmd2(x, y, (0.6, 1.2)), leaves)
    expect_gradients(student.trace("mmd2", *leaves, (0.6, 1.2)), list(expected), "")


vectorised(
    "mmd2",
    public.true_mmd2,
    lambda generator, n: (normal(generator, n, 2), normal(generator, n + 1, 2), (1.0,)),
    "точките",
    "Всички двойки наведнъж: (N, 1, D) минус (M, D) е (N, M, D). Цикъл може да има само по ширините.",
)


WITHIN = "(kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))"
SQUARED = "(a[:, None] - b).square().sum(dim=-1)"
TOTAL = "within(x) + within(y) - 2 * kernel(x, y).mean()"
mutants(
    "mmd2",
    ("отместена: с диагонала", WITHIN, "kernel(a, a).mean()"),
    ("диагоналът е махнат, делителят – не", WITHIN, "(kernel(a, a).sum() - len(a)) / len(a) ** 2"),
    ("делителят е друг, диагоналът е останал", WITHIN, "kernel(a, a).sum() / (len(a) * (len(a) - 1))"),
    ("само половината двойки", WITHIN, f"({WITHIN}) / 2"),
    ("кръстосаният член веднъж", "- 2 * kernel", "- kernel"),
    ("без кръстосан член", " - 2 * kernel(x, y).mean()", ""),
    ("кръстосаният член с плюс", "- 2 * kernel", "+ 2 * kernel"),
    ("два пъти x", "within(y)", "within(x)"),
    ("без половинка в ядрото", "2 * h**2", "h**2"),
    ("ширината не е на квадрат", "2 * h**2", "2 * h"),
    ("ядро на Лаплас", "-squared / (2 * h**2)", "-squared.sqrt() / h"),
    ("сбор на ядрата", " / len(bandwidths)", ""),
    ("само първата ширина", "for h in bandwidths)", "for h in bandwidths[:1] * len(bandwidths))"),
    ("средно по координатите", SQUARED, "(a[:, None] - b).square().mean(dim=-1)"),
    ("квадрати поотделно", SQUARED, "(a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * a @ b.T)"),
    ("NaN в градиента", SQUARED, "(a[:, None] - b).square().sum(dim=-1).sqrt().square()"),
    ("корен", TOTAL, f"({TOTAL}).clamp(min=1e-9).sqrt()"),
    ("никога отрицателна", TOTAL, f"({TOTAL}).clamp(min=0)"),
    ("само средните", "kernel(x, y).mean()", "kernel(x.mean(0)[None], y.mean(0)[None]).mean()"),
)


@hidden.alternative("mmd2", "с маска и точните разстояния на cdist")
def mmd_by_cdist(x, y, bandwidths):
    def kernel(a, b):
        distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.stack([torch.exp(-0.5 * (distance / h) ** 2) for h in bandwidths]).mean(0)

    def off_diagonal(a):
        gram = kernel(a, a)
        return gram[~torch.eye(len(a), dtype=torch.bool)].mean()

    return off_diagonal(x) + off_diagonal(y) - 2 * kernel(x, y).mean()


@hidden.alternative("mmd2", "обединени точки и една матрица")
def mmd_pooled(x, y, bandwidths):
    n, m = x.shape[0], y.shape[0]
    z = torch.cat([x, y])
    squared = torch.pow(z.unsqueeze(1) - z.unsqueeze(0), 2).sum(2)
    widths = torch.tensor(bandwidths, dtype=z.dtype)
    gram = torch.exp(-squared[..., None] / (2 * widths**2)).mean(-1)
    gram = gram - torch.diag(torch.diagonal(gram))
    inside = gram[:n, :n].sum() / (n * (n - 1)) + gram[n:, n:].sum() / (m * (m - 1))
    return inside - gram[:n, n:].mean() - gram[n:, :n].mean()


# Exercise 7 ---------------------------------------------------------------


def true_shares(x, means, radius):
    """Point by point."""
    counts = torch.zeros(len(means), dtype=x.dtype)
    for point in x:
        distances = (means - point).norm(dim=1)
        k = int(distances.argmin())
        counts[k] += bool(distances[k] <= radius)
    return counts / len(x)


@hidden.check(
    "mode_shares",
    "нови точки и моди, други размерности, двойна точност",
    points=2,
    hint="Дяловете са K на брой, дори когато при последните моди няма точки.",
)
def shares_on_fresh_inputs(student, generator):
    for m, k, d, options in ((50, 3, 2, {}), (7, 20, 1, DOUBLE), (40, 5, 6, DOUBLE), (1, 2, 2, {})):
        x, means = normal(generator, m, d, **options), 1.5 * normal(generator, k, d, **options)
        expect_close(student.mode_shares(x, means, 1.3), true_shares(x, means, 1.3), "")


@hidden.check(
    "mode_shares",
    "далечни точки, NaN и безкрайност не са при никоя мода",
    points=2,
    hint="Точка без разстояние не се брои, но остава в делителя M. Сравнението NaN <= radius е False.",
)
def shares_of_what_is_nowhere(student, generator):
    means = torch.tensor([[0.0, 0.0], [3.0, 3.0], [-5.0, 1.0]])
    x = torch.tensor([[0.1, 0.1], [torch.nan, 0.0], [torch.inf, 0.0], [1e6, -1e6], [3.0, 2.9]])
    expect_close(student.mode_shares(x, means, 0.5), torch.tensor([0.2, 0.2, 0.0]), "")
    far = torch.full((30, 2), 100.0) + normal(generator, 30, 2)
    far[0] = 0.0
    expect_close(student.mode_shares(far, means, 0.5), torch.tensor([1 / 30, 0.0, 0.0]), "")


vectorised(
    "mode_shares",
    true_shares,
    lambda generator, n: (normal(generator, n + 1, 2), normal(generator, n, 2), 1.0),
    "точките и модите",
    "Разстоянията са (M, K), после min по последната ос; F.one_hot или torch.bincount броят наведнъж.",
)


DISTANCE = "(x[:, None] - means).norm(dim=-1)"
mutants(
    "mode_shares",
    ("без радиус", "(distance <= radius)", "(distance <= math.inf)"),
    ("строго по-малко", "distance <= radius", "distance < radius"),
    ("квадрат на разстоянието", DISTANCE, "(x[:, None] - means).square().sum(-1)"),
    ("норма L1", DISTANCE, "(x[:, None] - means).abs().sum(-1)"),
    ("най-далечната", ".min(dim=1)", ".max(dim=1)"),
    ("по модите, не по точките", "mean(dim=0)", "mean(dim=1)"),
    ("брой вместо дял", ".mean(dim=0)", ".sum(dim=0)"),
    ("дял от близките", "belongs.to(x.dtype).mean(dim=0)", "belongs.to(x.dtype).sum(0) / belongs.sum()"),
    ("цели числа", "belongs.to(x.dtype).mean(dim=0)", "belongs.sum(dim=0) // len(x)"),
    ("да или не", ".mean(dim=0)", ".amax(dim=0)"),
    ("всеки кръг поотделно", "return belongs", f"belongs = {DISTANCE} <= radius\n    return belongs"),
    ("без последната мода", "F.one_hot(nearest, len(means))", "F.one_hot(nearest)"),
    ("винаги единична точност", "x.dtype", "torch.float32"),
)


@hidden.alternative("mode_shares", "чрез bincount")
def shares_by_bincount(x, means, radius):
    squared = (x.unsqueeze(1) - means.unsqueeze(0)).pow(2).sum(2)
    nearest = squared.argmin(1)
    close = squared.gather(1, nearest[:, None])[:, 0].sqrt() <= radius
    return torch.bincount(nearest, weights=close.to(x.dtype), minlength=means.shape[0]) / x.shape[0]


@hidden.alternative("mode_shares", "чрез сравнение с номерата на модите")
def shares_by_comparison(x, means, radius):
    distance = torch.linalg.vector_norm(x[:, None] - means, dim=2)
    mine = distance.argmin(dim=1, keepdim=True) == torch.arange(len(means))
    return torch.where(mine & (distance <= radius), 1.0, 0.0).to(x.dtype).mean(0)


# Exercise 8 ---------------------------------------------------------------


@hidden.check(
    "generator",
    "с друг шум: и осемте моди, поне 85 % близо до тях",
    points=2,
    hint="Ако прагът се достига само понякога, обучението е спряло, преди да се е уталожило.",
)
def generator_with_other_noise(student, generator):
    weights = student.weights("generator")
    expect(public.covered(weights, generator, 0.05) == public.MODES, "")
    expect(public.quality(weights, generator) >= 0.85, "")


@hidden.check(
    "generator",
    "MMD² спрямо нови данни е най-много 0,025",
    points=4,
    hint="Тесните ядра виждат и формата на отделното петно: не стига точките да са в центъра му. Опитайте с "
    "по-силно "
    "наказание, повече стъпки или по-голям пакет.",
)
def generator_has_the_shape_of_the_data(student, generator):
    found = public.discrepancy(student.weights("generator"), generator)
    expect(found <= 0.025, "")


def seeded_generator():
    return torch.Generator().manual_seed(0)


@hidden.metric("generator", threshold=0.05, margin=0.02)
def rarest_mode(weights):
    """The smallest share that a mode gets."""
    x = public.drawn(weights, seeded_generator())
    return true_shares(x, EightGaussians().means, public.RADIUS).min().item()


@hidden.metric("generator", threshold=0.85, margin=0.03)
def share_near_a_mode(weights):
    return public.quality(weights, seeded_generator())


@hidden.metric("generator", threshold=-0.025, margin=0.005)
def minus_discrepancy(weights):
    return -public.discrepancy(weights, seeded_generator())


def last(weights: dict) -> int:
    return max(int(name.split(".")[1]) for name in weights)


def changed_output(weights: dict, matrix, shift=(0.0, 0.0)) -> dict:
    """The same network followed by an affine map of the plane."""
    name, matrix = f"layers.{last(weights)}", torch.tensor(matrix)
    bias = matrix @ weights[f"{name}.bias"] + torch.tensor(shift)
    return weights | {f"{name}.weight": matrix @ weights[f"{name}.weight"], f"{name}.bias": bias}


@hidden.damage("generator", "преди обучението")
def untrained(weights):
    torch.manual_seed(0)
    return {name: torch.randn_like(value) / value.shape[-1] ** 0.5 for name, value in weights.items()}


TURN = math.cos(math.pi / 8), math.sin(math.pi / 8)
for title, matrix, shift in (
    ("постоянна точка: центърът на една мода", ((0.0, 0.0), (0.0, 0.0)), (2.0, 0.0)),
    ("една мода", ((0.09, 0.0), (0.0, 0.09)), (0.0, 2.0)),
    ("сплескана върху ос", ((1.0, 0.0), (0.0, 0.0)), (0.0, 0.0)),
    ("уголемена извадка", ((1.4, 0.0), (0.0, 1.4)), (0.0, 0.0)),
    ("завъртяна между модите", ((TURN[0], -TURN[1]), (TURN[1], TURN[0])), (0.0, 0.0)),
):
    hidden.damage("generator", title)(partial(changed_output, matrix=matrix, shift=shift))


@hidden.damage("generator", "NaN в теглата")
def not_a_number(weights):
    return {name: value * torch.nan for name, value in weights.items()}


@hidden.damage("generator", "огромна мрежа")
def oversized(weights):
    return {"layers.0.weight": torch.ones(60_000, 2), "layers.0.bias": torch.ones(60_000),
            "layers.2.weight": torch.ones(2, 60_000), "layers.2.bias": torch.ones(2)}  # fmt: skip


@hidden.damage("generator", "числа вместо тегла")
def reported_numbers(weights):
    return {"modes": torch.tensor([8.0]), "quality": torch.tensor([1.0])}


@hidden.alternative("generator", "огледално по едната ос")
def mirrored(weights):
    return changed_output(weights, [[-1.0, 0.0], [0.0, 1.0]])


@hidden.alternative("generator", "в двойна точност, завъртяно на четвърт")
def turned(weights):
    turned = changed_output(weights, [[0.0, -1.0], [1.0, 0.0]])
    return {name: value.double() for name, value in turned.items()}
