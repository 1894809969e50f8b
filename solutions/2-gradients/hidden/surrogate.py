"""Exercise 6: a surrogate for autograd."""

import torch

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


@hidden.check(
    "surrogate",
    "стойност и двата градиента наведнъж, в единична и двойна точност",
    points=2,
    hint="Проверете поотделно: стойността не зависи от log_q, а теглата пред log_q не се диференцират.",
)
def surrogate_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (6, 4, DOUBLE), (30, 2, {})):
        values, log_q = 3 * normal(generator, k, n, **options), normal(generator, k, n, **options) - 2
        outcome = student.trace("surrogate", values.requires_grad_(), log_q.requires_grad_())
        expect_close(outcome.value, values.mean(0), "")
        by_log_q = (values - values.mean(0)).detach() / (k - 1)
        expect_gradients(outcome, [torch.full_like(values, 1 / k), by_log_q], "")


@hidden.check(
    "surrogate",
    "много малки вероятности, без цикли и без промяна на аргументите",
    points=2,
    hint="log q може да е −2000: не го експоненцирайте.",
)
def surrogate_edges(student, generator):
    values, log_q = normal(generator, 4, 3), normal(generator, 4, 3) - 2000
    outcome = student.trace("surrogate", values, log_q.requires_grad_())
    expect_close(outcome.value, values.mean(0), "", atol=2e-3)
    expect_gradients(outcome, [(values - values.mean(0)) / 3], "")
    expect_unchanged(outcome)
    small, large = ((normal(generator, k, k), normal(generator, k, k)) for k in (2, 30))
    expect_no_loop(student, "surrogate", small, large, "K и N")


TERM = "leave_one_out(values).detach() * log_q"
hidden.mistakes(
    "surrogate",
    ("стойността съдържа log q", " - score_term.detach()", ""),
    ("теглата се диференцират", ".detach() * log_q", " * log_q"),
    ("без базова линия", TERM, "values.detach() * log_q"),
    ("f без градиент", "(values + ", "(values.detach() + "),
    ("без скор-функцията", "values + score_term - score_term.detach()", "values + 0 * log_q"),
    ("сума вместо средно", ".mean(dim=0)", ".sum(dim=0)"),
    ("едно число", ".mean(dim=0)", ".mean()"),
    (
        "обратен знак",
        "values + score_term - score_term.detach()",
        "values - score_term + score_term.detach()",
    ),
    ("вероятност вместо логаритъм", "* log_q", "* log_q.exp()"),
)


@hidden.alternative("surrogate", "с MagicBox")
def surrogate_by_magic_box(values, log_q):
    box = torch.exp(log_q - log_q.detach())
    baseline = (values - leave_one_out(values)).detach()  # noqa: F821
    return ((values - baseline) * box + baseline).mean(dim=0)


@hidden.alternative("surrogate", "с разликата на логаритмите")
def surrogate_by_difference(values, log_q):
    K = values.shape[0]
    centred = (values - values.mean(0)).detach() / (K - 1)
    return values.mean(0) + (centred * (log_q - log_q.detach())).sum(0)
