"""Exercise 5: bits a dimension."""

import math

import torch

from gmtools.grading import expect_close, expect_unchanged
from gmtools.grading.inputs import DOUBLE

from .common import hidden


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


hidden.mistakes(
    "bits_per_dim",
    ("в натове", "/ math.log(2)", "/ 1"),
    ("обратен знак", "volume - log_p", "volume + log_p"),
    ("за цялото изображение", "log_p / dims", "log_p"),
    ("без обема на клетката", "else math.log(levels)", "else 0.0"),
    ("обемът с обратен знак", "else math.log(levels)", "else -math.log(levels)"),
    ("обем за една размерност", "else math.log(levels)", "else math.log(levels) / dims"),
    ("двоен логаритъм", "else math.log(levels)", "else math.log2(levels)"),
    ("средно за пакета", "log_p / dims", "log_p.mean() / dims"),
)


@hidden.alternative("bits_per_dim", "с log2")
def bits_by_log2(log_p, dims, levels=None):
    nats = -log_p / dims
    bits = nats * math.log2(math.e)
    return bits if levels is None else bits + math.log2(levels)


@hidden.alternative("bits_per_dim", "първо дискретната вероятност")
def bits_of_the_bins(log_p, dims, levels=None):
    discrete = log_p - dims * math.log(levels) if levels else log_p
    return discrete / -(dims * torch.log(torch.tensor(2.0)).item())
