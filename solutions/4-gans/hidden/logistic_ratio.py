"""Exercise 3: the ratio by logistic regression."""

import torch
import torch.nn.functional as F
from torch import nn

from gmtools.grading import expect, expect_close, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


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
hidden.mistakes(
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
