"""Exercise 1: what a classifier knows of the ratio of densities."""

import math

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


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


hidden.mistakes(
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
