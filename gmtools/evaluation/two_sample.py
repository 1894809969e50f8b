r"""Two-sample tests: are these two sets of points draws from the same distribution?"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_not_nan
from gmtools.comparison.kernels import Kernel, median_heuristic
from gmtools.comparison.ratio import ratio_by_classification
from gmtools.comparison.samples import check_samples


class TestResult(NamedTuple):
    """The value of a test statistic and the probability of one at least as large under equality."""

    __test__ = False  # not a test case, whatever pytest reads into the name

    statistic: float
    p_value: float


def permutation_test(
    statistic: Callable[[Tensor], Tensor], n: int, total: int, permutations: int
) -> TestResult:
    r"""p-value of a two-sample statistic by relabelling the pooled points at random.

    .. math:: p = \frac{1 + \#\{b : T_b \ge T\}}{1 + B}

    Valid for any statistic and sample size: under equality all relabellings are equally likely, so
    :math:`P(p \le \alpha) \le \alpha`. A relabelling whose statistic is NaN counts as larger.

    Args:
        statistic: maps the indices of the pooled points, shape ``(total,)``, to a scalar; the first ``n``
            are taken for the first sample. Large means different.
        n: size of the first sample.
        total: size of both together.
        permutations: number :math:`B` of relabellings.

    Returns:
        A :class:`TestResult`.

    Raises:
        ValueError: a count out of range, or a statistic that is NaN on the samples as they are.

    Reference: Phipson & Smyth (2010), Permutation p-values should never be zero.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> x = torch.arange(10.0)
    >>> result = permutation_test(lambda i: x[i[5:]].mean() - x[i[:5]].mean(), 5, 10, 99)
    >>> result.statistic, result.p_value < 0.05
    (5.0, True)
    """
    check_count("n", n)
    check_count("total", total, n + 1)
    check_count("permutations", permutations)
    observed = float(statistic(torch.arange(total)))
    check_not_nan("statistic", torch.tensor(observed))
    larger = sum(not float(statistic(torch.randperm(total))) < observed for _ in range(permutations))
    return TestResult(observed, (1 + larger) / (1 + permutations))


def mmd_test(x_p: Tensor, x_q: Tensor, kernel: Kernel | None = None, permutations: int = 200) -> TestResult:
    r"""Kernel two-sample test: unbiased squared MMD, p-value by permutation.

    The Gram matrix of the pooled points is computed once; a relabelling only reads it in another order.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        kernel: by default Gaussian with the median heuristic's bandwidth (which does not depend on the
            labels, so the test stays exact).
        permutations: number of relabellings.

    Returns:
        A :class:`TestResult`.

    Raises:
        ValueError: shapes that do not fit, NaNs, or fewer than two points.

    Reference: Gretton et al. (2012), A kernel two-sample test.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> _ = torch.manual_seed(0)
    >>> mmd_test(torch.randn(50, 2), torch.randn(50, 2) + 2).p_value < 0.01
    True
    """
    pooled = _pool(x_p, x_q)
    kernel = Kernel("gaussian", median_heuristic(x_p, x_q)) if kernel is None else kernel
    gram = kernel(pooled, pooled)
    off_diagonal = gram - gram.diagonal().diag()
    n, m = len(x_p), len(x_q)

    def statistic(order: Tensor) -> Tensor:
        first = torch.zeros(n + m, dtype=gram.dtype, device=gram.device)
        first[order[:n]] = 1
        second = 1 - first
        to_first, to_second = off_diagonal @ first, off_diagonal @ second
        within = first @ to_first / (n * (n - 1)) + second @ to_second / (m * (m - 1))
        return within - 2 * (first @ to_second) / (n * m)

    return permutation_test(statistic, n, n + m, permutations)


def classifier_test(
    x_p: Tensor, x_q: Tensor, network: nn.Module, permutations: int = 1000, **fit_options
) -> TestResult:
    r"""Classifier two-sample test (C2ST): can a classifier trained on one half tell the other half apart?

    The statistic is the balanced accuracy on the points not trained on, one half for equal distributions. The
    p-value relabels those points; the classifier is trained once, on the others, so the test is exact.

    Args:
        x_p: shape ``(N, D)``, at least four points.
        x_q: shape ``(M, D)``, at least four points.
        network: maps ``(N, D)`` to logits ``(N, 1)``; trained in place.
        permutations: number of relabellings.
        **fit_options: passed on to :func:`gmtools.training.fit`.

    Returns:
        A :class:`TestResult` with the held-out accuracy as statistic.

    Raises:
        ValueError: shapes that do not fit, NaNs, or fewer than four points.

    Reference: Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> _ = torch.manual_seed(0)
    >>> x_p, x_q = torch.randn(80, 2), torch.randn(80, 2) + 3
    >>> result = classifier_test(x_p, x_q, nn.Linear(2, 1), steps=200, lr=0.1)
    >>> result.statistic > 0.9 and result.p_value < 0.01
    True
    """
    _pool(x_p, x_q, minimum=4)
    x_p, x_q = (x[torch.randperm(len(x)).to(x.device)] for x in (x_p, x_q))
    (train_p, test_p), (train_q, test_q) = ((x[: len(x) // 2], x[len(x) // 2 :]) for x in (x_p, x_q))
    log_ratio, _ = ratio_by_classification(network, train_p, train_q, **fit_options)
    with torch.no_grad():
        votes = log_ratio(torch.cat([test_p, test_q])).cpu()
    says_p = (votes > 0).double() + (votes == 0).double() / 2
    n = len(test_p)

    def accuracy(order: Tensor) -> Tensor:
        vote = says_p[order]
        return (vote[:n].mean() + 1 - vote[n:].mean()) / 2

    return permutation_test(accuracy, n, len(says_p), permutations)


def _pool(x_p: Tensor, x_q: Tensor, minimum: int = 2) -> Tensor:
    check_samples(x_p, x_q, minimum)
    return torch.cat([x_p, x_q])
