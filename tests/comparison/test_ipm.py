"""Laws of kernels and integral probability metrics, against closed forms, and what every metric keeps."""

import math

import pytest
import scipy.stats
import torch
from torch.distributions import MultivariateNormal, Normal

from gmtools.comparison import (
    KERNELS,
    Kernel,
    cramer_distance,
    distances,
    energy_distance,
    frechet_distance,
    median_heuristic,
    mmd2,
    moment_distance,
    sinkhorn,
    total_variation,
    wasserstein,
    wasserstein_1d,
    witness,
)


def pair(n=40, m=30, d=3, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, d), 1.3 * torch.randn(m, d) + 0.5


def gaussian_mmd2(mean_p, var_p, mean_q, var_q, h):
    """Closed form for one-dimensional Gaussians and the Gaussian kernel of bandwidth h."""

    def expected(gap, variance):
        return h / math.sqrt(h**2 + variance) * math.exp(-(gap**2) / (2 * (h**2 + variance)))

    across = expected(mean_p - mean_q, var_p + var_q)
    return expected(0, 2 * var_p) + expected(0, 2 * var_q) - 2 * across


# ---------------------------------------------------------------- kernels and MMD


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_symmetric_and_positive_semidefinite(name):
    x, _ = pair()
    gram = Kernel(name, (0.5, 2.0))(x, x)
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).min() > -1e-9 * gram.abs().max()


@pytest.mark.parametrize("name", KERNELS)
def test_several_bandwidths_are_averaged(name):
    x, y = pair()
    mean = (Kernel(name, 0.5)(x, y) + Kernel(name, 2.0)(x, y)) / 2
    torch.testing.assert_close(Kernel(name, (0.5, 2.0))(x, y), mean)


def test_kernels_are_those_of_scikit_learn():
    from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel

    x, y = pair()
    torch.testing.assert_close(
        Kernel("gaussian", 0.7)(x, y), torch.from_numpy(rbf_kernel(x, y, gamma=0.5 / 0.49))
    )
    expected = polynomial_kernel(x, y, degree=2, gamma=1 / 0.49, coef0=1)
    torch.testing.assert_close(Kernel("polynomial", 0.7)(x, y), torch.from_numpy(expected))


def test_distances_have_a_finite_gradient_where_they_vanish():
    x = torch.zeros(3, 2, requires_grad=True)
    distances(x, x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("name", KERNELS)
def test_pairs_are_the_diagonal_of_the_gram_matrix(name):
    x, y = pair(8, 8)
    kernel = Kernel(name, (0.5, 2.0))
    torch.testing.assert_close(kernel.paired(x, y), kernel(x, y).diagonal())


def test_median_heuristic_is_the_median_of_the_pairs():
    x, y = pair(6, 5)
    pooled = torch.cat([x, y])
    gaps = [(pooled[i] - pooled[j]).norm().item() for i in range(11) for j in range(i)]
    assert median_heuristic(x, y) == pytest.approx(sorted(gaps)[len(gaps) // 2])


@pytest.mark.parametrize("name", KERNELS)
def test_mmd_agrees_with_its_definition_pair_by_pair(name):
    x, y = pair(5, 4)
    kernel = Kernel(name, 1.1)

    def k(a, b):
        return kernel(a[None], b[None]).item()

    def mean(us, vs, skip):
        pairs = [(i, j) for i in range(len(us)) for j in range(len(vs)) if not (skip and i == j)]
        return sum(k(us[i], vs[j]) for i, j in pairs) / len(pairs)

    for estimator, skip in (("biased", False), ("unbiased", True)):
        expected = mean(x, x, skip) + mean(y, y, skip) - 2 * mean(x, y, False)
        assert mmd2(x, y, kernel, estimator).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ["unbiased", "linear"])
@pytest.mark.parametrize("mean_q", [0.0, 0.7])
def test_mmd_estimators_are_unbiased(estimator, mean_q):
    torch.manual_seed(0)
    kernel, repeats, n = Kernel("gaussian", 0.8), 1000, 10
    exact = gaussian_mmd2(0.0, 1.0, mean_q, 1.44, 0.8)
    values = torch.stack(
        [mmd2(torch.randn(n, 1), 1.2 * torch.randn(n, 1) + mean_q, kernel, estimator) for _ in range(repeats)]
    )
    assert abs(values.mean() - exact) < 4.5 * values.std() / repeats**0.5


def test_the_biased_estimator_is_a_squared_norm_and_biased_upwards():
    torch.manual_seed(0)
    kernel = Kernel("gaussian", 0.8)
    values = torch.stack(
        [mmd2(torch.randn(10, 1), torch.randn(10, 1), kernel, "biased") for _ in range(1000)]
    )
    assert (values >= 0).all() and values.mean() > 10 * values.std() / 1000**0.5


def test_the_witness_attains_the_mmd():
    x, y = pair()
    kernel = Kernel("rational_quadratic", 1.3)
    f = witness(x, y, kernel)
    gap = f(x).mean() - f(y).mean()  # <f, mu_p - mu_q> with f = mu_p - mu_q
    torch.testing.assert_close(gap, mmd2(x, y, kernel, "biased"))


def test_mmd_has_the_gradient_that_autograd_checks():
    x, y = pair(5, 4, 2)
    for estimator in ("biased", "unbiased"):
        assert torch.autograd.gradcheck(
            lambda a, e=estimator: mmd2(a, y, Kernel("gaussian", 0.9), e), x.requires_grad_()
        )


# ---------------------------------------------------------------- energy, Cramér, total variation, moments


def test_energy_and_cramer_distances_are_those_of_scipy():
    x, y = pair(40, 31, 1)
    squared = scipy.stats.energy_distance(x[:, 0], y[:, 0]) ** 2
    assert energy_distance(x, y, "biased").item() == pytest.approx(squared)
    assert cramer_distance(x[:, 0], y[:, 0]).item() == pytest.approx(squared / 2)


@pytest.mark.parametrize("estimator", ["unbiased", "biased", "linear"])
def test_energy_distance_does_not_depend_on_where_the_data_lie(estimator):
    x, y = ((v * 64).round().float() / 64 for v in pair(50, 50, 2))  # a shift by 8192 is exact
    expected = mmd2(x.double(), y.double(), Kernel("energy"), estimator)
    shifted = energy_distance(x + 8192, y + 8192, estimator)
    torch.testing.assert_close(shifted.double(), expected, atol=1e-5, rtol=0)


def test_cramer_distance_is_the_integral_of_the_squared_gap_of_distribution_functions():
    x, y = pair(7, 5, 1)
    grid = torch.linspace(-8, 8, 1_600_001)
    f_p = torch.searchsorted(x[:, 0].sort().values, grid, right=True) / 7
    f_q = torch.searchsorted(y[:, 0].sort().values, grid, right=True) / 5
    expected = torch.trapezoid((f_p - f_q).square(), grid)
    torch.testing.assert_close(cramer_distance(x[:, 0], y[:, 0]), expected, atol=1e-4, rtol=0)


def test_total_variation_of_shifted_gaussians():
    grid = torch.linspace(-12, 12, 24_001)
    p, q = Normal(0.0, 1.0), Normal(1.5, 1.0)
    value = total_variation(p.log_prob(grid).exp(), q.log_prob(grid).exp(), cell=24 / 24_000)
    exact = 2 * p.cdf(torch.tensor(0.75)) - 1
    torch.testing.assert_close(value, exact, atol=1e-6, rtol=0)


def test_twice_the_total_variation_is_the_metric_of_functions_bounded_by_one():
    torch.manual_seed(0)
    p, q = torch.randn(6).softmax(0), torch.randn(6).softmax(0)
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 6)  # the extreme points of |f| <= 1
    torch.testing.assert_close((signs @ (p - q)).max(), 2 * total_variation(p, q))


def test_moment_distance_sees_means_and_covariances_only():
    torch.manual_seed(0)
    x = torch.randn(500, 2)
    shifted = x + torch.tensor([3.0, 4.0])
    torch.testing.assert_close(moment_distance(x, shifted), torch.tensor(25.0))
    torch.testing.assert_close(moment_distance(x, -x + 2 * x.mean(0)), torch.tensor(0.0), atol=1e-12, rtol=0)
    stretched = x @ torch.diag(torch.tensor([2.0, 1.0]))
    expected = (x.mean(0) - stretched.mean(0)).square().sum() + (x.T.cov() - stretched.T.cov()).square().sum()
    torch.testing.assert_close(moment_distance(x, stretched), expected)


# ---------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    "metric",
    [
        lambda x, y: wasserstein_1d(x[:, 0], y[:, 0], 2.0),
        wasserstein,
        lambda x, y: sinkhorn(x, y, 1.0, iterations=50).cost,
        lambda x, y: cramer_distance(x[:, 0], y[:, 0]),
        energy_distance,
        moment_distance,
        frechet_distance,
    ],
)
def test_metrics_are_differentiable_and_pull_the_samples_together(metric):
    x, y = pair(20, 20, 2)
    x = (x - 4).requires_grad_()
    metric(x, y).backward()
    assert torch.isfinite(x.grad).all()
    assert metric((x - 0.05 * x.grad / x.grad.norm()).detach(), y) < metric(x, y)


def test_samples_of_a_gaussian_can_be_compared_by_every_kernel():
    torch.manual_seed(0)
    q = MultivariateNormal(torch.full((2,), 2.0), torch.eye(2))
    for name in KERNELS:
        kernel = Kernel(name)
        same = mmd2(q.sample((200,)), q.sample((200,)), kernel)
        other = mmd2(torch.randn(200, 2), q.sample((200,)), kernel)
        assert other > 10 * same.abs()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Kernel("cubic"), "kernel is 'cubic', expected one of gaussian"),
        (lambda: Kernel("gaussian", (1.0, 0.0)), "bandwidths"),
        (lambda: Kernel("gaussian", [1.0, 2.0]), r"bandwidths is \[1.0, 2.0\], expected a number or a tuple"),
        (lambda: Kernel("gaussian", ()), r"bandwidths is \(\)"),
        (lambda: Kernel()(torch.zeros(3), torch.zeros(3, 1)), r"x has shape \(3,\)"),
        (lambda: mmd2(torch.zeros(3, 1), torch.zeros(3, 2), Kernel()), "x_q has shape"),
        (lambda: mmd2(torch.zeros(1, 1), torch.zeros(3, 1), Kernel()), "points in x_p is 1"),
        (lambda: mmd2(torch.zeros(4, 1), torch.zeros(3, 1), Kernel(), "linear"), "as many of each"),
        (lambda: mmd2(torch.zeros(4, 1), torch.zeros(3, 1), Kernel(), "fast"), "estimator is 'fast'"),
        (lambda: mmd2(torch.full((3, 1), math.nan), torch.zeros(3, 1), Kernel()), "x_p has shape"),
        (lambda: median_heuristic(torch.zeros(3, 1), torch.zeros(3, 1)), "points that differ"),
        (lambda: cramer_distance(torch.zeros(3, 1), torch.zeros(3)), r"x_p has shape \(3, 1\)"),
        (lambda: total_variation(torch.tensor([-0.1, 1.1]), torch.ones(2)), "p has minimum -0.1"),
        (lambda: total_variation(torch.ones(2), torch.ones(3)), "q has shape"),
        (lambda: total_variation(torch.ones(2), torch.ones(2), cell=0.0), "cell"),
        (lambda: moment_distance(torch.zeros(1, 2), torch.zeros(4, 2)), "points in x_p is 1"),
        (lambda: wasserstein_1d(torch.zeros(3), torch.zeros(3), 0.5), "order is 0.5"),
        (lambda: wasserstein_1d(torch.zeros(3), torch.zeros(3), math.inf), "order is inf"),
        (lambda: wasserstein_1d(torch.zeros(3), torch.zeros(0)), "points in x_q is 0"),
        (lambda: wasserstein(torch.zeros(0, 2), torch.zeros(0, 2)), "points in x_p is 0"),
        (lambda: sinkhorn(torch.zeros(0, 2), torch.zeros(3, 2), 1.0), "points in x_p is 0"),
        (lambda: witness(torch.zeros(3, 2), torch.zeros(0, 2), Kernel()), "points in x_q is 0"),
        (lambda: cramer_distance(torch.zeros(0), torch.zeros(3)), "points in x_p is 0"),
        (lambda: wasserstein(torch.zeros(3, 2), torch.zeros(4, 2)), "x_q has shape"),
        (lambda: wasserstein(torch.full((3, 2), math.nan), torch.zeros(3, 2)), "x_p has shape"),
        (lambda: sinkhorn(torch.zeros(3, 2), torch.zeros(4, 2), 0.0), "epsilon"),
        (lambda: sinkhorn(torch.zeros(3, 2), torch.zeros(4, 2), 1.0, iterations=0), "iterations is 0"),
        (lambda: frechet_distance(torch.zeros(1, 2), torch.zeros(4, 2)), "points in x_p is 1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "metric",
    [
        lambda x, y: mmd2(x, y, Kernel()),
        lambda x, y: witness(x, y, Kernel()),
        lambda x, y: cramer_distance(x[:, 0], y[:, 0]),
        lambda x, y: wasserstein_1d(x[:, 0], y[:, 0]),
        lambda x, y: sinkhorn(x, y, 1.0),
        energy_distance,
        moment_distance,
        wasserstein,
        frechet_distance,
    ],
)
def test_whole_numbers_are_refused_and_not_rounded(metric):
    x = torch.tensor([[0], [5]])
    with pytest.raises(ValueError, match="x_p has dtype torch.int64, expected a floating-point one"):
        metric(x, x.double())
    with pytest.raises(ValueError, match="x_q has dtype torch.int64, expected a floating-point one"):
        metric(x.double(), x)
