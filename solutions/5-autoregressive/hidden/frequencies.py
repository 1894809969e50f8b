"""Exercise 7: whole frequencies."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE

from .common import hidden, public


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


hidden.mistakes(
    "frequencies",
    ("сборът не е точен", "keepdim=True), missing", "keepdim=True), 0 * missing"),
    (
        "нулеви честоти",
        "1 + (torch.softmax(logits.double(), dim=-1) * spare",
        "(torch.softmax(logits.double(), dim=-1) * 2**precision",
    ),
    ("винаги 2¹⁶", "2**precision", "2**16"),
    ("равномерни", "logits.double(),", "0 * logits.double(),"),
    ("обратни", "torch.softmax(logits", "torch.softmax(-logits"),
    ("излишъкът отива при един символ", "* spare).floor()", "* (spare // 2)).floor()"),
    ("реални числа", "return counts", "return 1.0 * counts"),
    ("softmax по редовете", "logits.double(), dim=-1", "logits.double(), dim=0"),
    ("логити вместо вероятности", "torch.softmax(logits.double(), dim=-1)", "logits.double().clamp(0, 1)"),
)


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
