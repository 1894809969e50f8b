"""Laws of two-sample tests, fidelity and calibration: uniform p-values, known coverages."""

import math

import pytest
import scipy.stats
import torch
from torch import nn
from torch.distributions import Normal

from gmtools.comparison import Kernel, mmd2
from gmtools.evaluation import (
    classifier_test,
    expected_calibration_error,
    interval_coverage,
    mmd_test,
    modes_covered,
    permutation_test,
    pit,
    precision_recall,
    reliability_curve,
)

# ---------------------------------------------------------------- two-sample tests


def assert_uniform(p_values, permutations):
    """Under equality p takes the values 1/(B+1), ..., 1 with equal probability (if there are no ties)."""
    ranks = [round(p * (permutations + 1)) for p in p_values]
    counts = torch.bincount((torch.tensor(ranks) - 1) * 5 // (permutations + 1), minlength=5)
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 1e-5


def test_p_values_of_the_mmd_test_are_uniform_under_equality():
    torch.manual_seed(0)
    p_values = [mmd_test(torch.randn(12, 2), torch.randn(9, 2), permutations=19).p_value for _ in range(300)]
    assert_uniform(p_values, 19)


def test_p_values_of_the_classifier_test_are_valid_under_equality():
    """Accuracies tie, so small p-values may only be rarer than they say."""
    torch.manual_seed(0)
    repeats, rejected = 120, 0
    for seed in range(repeats):
        x_p, x_q = torch.randn(16, 1), torch.randn(16, 1)
        result = classifier_test(x_p, x_q, nn.Linear(1, 1), permutations=39, steps=10, lr=0.1, seed=seed)
        rejected += result.p_value <= 0.1
    assert rejected <= 0.1 * repeats + 4.5 * math.sqrt(0.1 * 0.9 * repeats)


def test_the_mmd_test_computes_the_unbiased_mmd_of_every_relabelling():
    torch.manual_seed(0)
    x_p, x_q = torch.randn(20, 2), torch.randn(15, 2) + 1
    kernel, pooled = Kernel("laplace", 0.8), torch.cat([x_p, x_q])
    torch.manual_seed(4)
    ours = mmd_test(x_p, x_q, kernel, permutations=50)
    torch.manual_seed(4)
    slow = permutation_test(lambda i: mmd2(pooled[i[:20]], pooled[i[20:]], kernel), 20, 35, 50)
    assert ours.statistic == pytest.approx(slow.statistic) and ours.p_value == slow.p_value


def test_permutation_p_values_approach_those_of_the_exact_test():
    torch.manual_seed(0)
    x = torch.cat([torch.randn(6), torch.randn(5) + 1.0])
    result = permutation_test(lambda i: (x[i[6:]].mean() - x[i[:6]].mean()).abs(), 6, 11, 4000)
    exact = scipy.stats.permutation_test(
        (x[:6].numpy(), x[6:].numpy()), lambda a, b: abs(a.mean() - b.mean()), alternative="greater"
    ).pvalue
    assert abs(result.p_value - exact) < 4.5 * math.sqrt(exact * (1 - exact) / 4000) + 1 / 4000


def test_a_relabelling_without_a_statistic_counts_against_the_difference():
    def undefined_when_relabelled(order):
        return torch.tensor(0.0 if order.equal(torch.arange(30)) else math.nan)

    assert permutation_test(undefined_when_relabelled, 15, 30, 99).p_value == 1


def test_power_grows_with_the_sample():
    torch.manual_seed(0)

    def power(n):
        tests = [mmd_test(torch.randn(n, 1), torch.randn(n, 1) + 0.8, permutations=39) for _ in range(60)]
        return sum(t.p_value <= 0.05 for t in tests) / 60

    assert power(40) > power(6) + 0.2


def test_a_classifier_sees_a_difference_that_moments_hide():
    torch.manual_seed(0)
    sign = 2 * torch.randint(0, 2, (300, 1)) - 1.0
    x_p, x_q = torch.randn(300, 1), 0.95 * sign + 0.31 * torch.randn(300, 1)  # mean 0, variance 1
    network = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    result = classifier_test(x_p, x_q, network, permutations=199, steps=400, lr=0.03)
    assert result.p_value <= 0.01 and result.statistic > 0.6


# ---------------------------------------------------------------- precision, recall, density, coverage


def test_equal_distributions_have_density_one_and_the_expected_coverage():
    torch.manual_seed(0)
    n, k, results = 300, 5, []
    for _ in range(12):
        results.append(precision_recall(torch.randn(n, 2), torch.randn(n, 2), k))
    density = torch.tensor([r.density for r in results])
    coverage = torch.tensor([r.coverage for r in results])
    # Naeem et al. (2020), equation 11: 1 - (M-1)...(M-k) / ((2M-1)...(2M-k)) for equal sizes
    expected = 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))
    assert abs(density.mean() - 1) < 4.5 * density.std() / 12**0.5
    assert abs(coverage.mean() - expected) < 4.5 * coverage.std() / 12**0.5


def test_agrees_with_the_definition_point_by_point():
    torch.manual_seed(0)
    real, fake, k = torch.randn(12, 2), torch.randn(9, 2) + 0.5, 2

    def radius(x, i):
        return sorted((x[i] - x[j]).norm().item() for j in range(len(x)) if j != i)[k - 1]

    def hit(centre, i, point):
        return (centre[i] - point).norm().item() <= radius(centre, i)

    result = precision_recall(real, fake, k)
    precision = sum(any(hit(real, i, y) for i in range(12)) for y in fake) / 9
    recall = sum(any(hit(fake, j, x) for j in range(9)) for x in real) / 12
    density = sum(hit(real, i, y) for i in range(12) for y in fake) / (k * 9)
    coverage = sum(any(hit(real, i, y) for y in fake) for i in range(12)) / 12
    assert result == pytest.approx((precision, recall, density, coverage))


def test_collapse_keeps_precision_and_loses_recall_and_noise_the_reverse():
    torch.manual_seed(0)
    real = torch.randn(400, 2)
    collapsed, wide = (
        precision_recall(real, 0.05 * torch.randn(400, 2)),
        precision_recall(real, 4 * torch.randn(400, 2)),
    )
    assert collapsed.precision > 0.95 and collapsed.recall < 0.1 and collapsed.coverage < 0.1
    assert wide.precision < 0.6 and wide.recall > 0.9


def test_modes_are_counted():
    modes = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    samples = torch.tensor([[0.1, 0.0], [0.0, 0.2], [4.1, 0.0], [2.0, 2.0]])
    assert modes_covered(samples, modes, 0.5) == (2, 0.75)
    assert modes_covered(samples, modes, 0.5, minimum=2) == (1, 0.75)


# ---------------------------------------------------------------- calibration


def test_the_reliability_curve_is_that_of_scikit_learn():
    from sklearn.calibration import calibration_curve

    torch.manual_seed(0)
    probability = torch.rand(500)
    outcome = torch.bernoulli(probability**2)
    ours = reliability_curve(probability, outcome, 8)
    observed, predicted = calibration_curve(outcome.numpy(), probability.numpy(), n_bins=8)
    torch.testing.assert_close(ours.observed, torch.from_numpy(observed))
    torch.testing.assert_close(ours.predicted, torch.from_numpy(predicted))
    assert ours.count.sum() == 500


def test_calibration_error_is_small_for_the_truth_and_known_for_a_constant_error():
    torch.manual_seed(0)
    n = 50_000
    truth = torch.rand(n)
    outcome = torch.bernoulli(truth)
    assert expected_calibration_error(truth, outcome) < 2 * math.sqrt(10 / n)
    half = torch.full((n,), 0.8)
    error = expected_calibration_error(half, torch.bernoulli(torch.full((n,), 0.5)))
    assert abs(error - 0.3) < 4.5 * 0.5 / n**0.5
    assert expected_calibration_error(torch.tensor([0.0, 1.0]), torch.tensor([1, 0])) == 1


@pytest.mark.parametrize("k", [1, 4, 50])
def test_pit_is_uniform_when_truth_and_draws_are_exchangeable(k):
    torch.manual_seed(0)
    u = pit(torch.randn(k, 5000), torch.randn(5000))
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-5
    counts = torch.randint(0, 3, (k + 1, 5000))  # with ties
    for whole in (counts, counts.double()):
        assert scipy.stats.kstest(pit(whole[1:], whole[0]).numpy(), "uniform").pvalue > 1e-5


def test_posteriors_that_are_right_cover_and_narrow_ones_do_not():
    """z ~ N(0, 1), x = z + noise: the exact posterior is N(x/2, 1/2)."""
    torch.manual_seed(0)
    n, levels = 4000, torch.tensor([0.5, 0.9])
    z = torch.randn(n)
    x = z + torch.randn(n)
    exact = interval_coverage(x / 2 + 0.5**0.5 * torch.randn(199, n), z, levels)
    assert ((exact - levels).abs() < 4.5 * (levels * (1 - levels) / n).sqrt()).all()
    narrow = interval_coverage(x / 2 + 0.5 * 0.5**0.5 * torch.randn(1999, n), z, levels)
    expected = 2 * Normal(0.0, 1.0).cdf(0.5 * Normal(0.0, 1.0).icdf((1 + levels) / 2)) - 1
    assert ((narrow - expected).abs() < 4.5 * (expected * (1 - expected) / n).sqrt() + 0.005).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mmd_test(torch.zeros(3, 1), torch.zeros(3, 2)), "x_q has shape"),
        (lambda: mmd_test(torch.zeros(1, 1), torch.zeros(3, 1)), "number of points in x_p is 1"),
        (lambda: mmd_test(torch.full((3, 1), math.nan), torch.zeros(3, 1)), "x_p has shape"),
        (lambda: mmd_test(torch.randn(3, 1), torch.randn(3, 1), permutations=0), "permutations is 0"),
        (
            lambda: classifier_test(torch.zeros(3, 1), torch.zeros(9, 1), nn.Linear(1, 1)),
            "points in x_p is 3",
        ),
        (lambda: permutation_test(torch.sum, 5, 5, 10), "total is 5"),
        (lambda: permutation_test(lambda i: torch.tensor(math.nan), 5, 10, 99), "statistic has .* 1 NaN"),
        (lambda: precision_recall(torch.zeros(5, 2), torch.zeros(9, 2), k=5), "points in real is 5"),
        (lambda: precision_recall(torch.zeros(5, 2), torch.zeros(9, 3)), "generated has shape"),
        (lambda: modes_covered(torch.zeros(5, 2), torch.zeros(3, 2), radius=0.0), "radius"),
        (lambda: modes_covered(torch.zeros(5, 2), torch.full((3, 2), math.nan), 1.0), "modes has shape"),
        (lambda: modes_covered(torch.zeros(0, 2), torch.zeros(3, 2), 1.0), "number of samples is 0"),
        (lambda: modes_covered(torch.zeros(5, 2), torch.zeros(0, 2), 1.0), "number of modes is 0"),
        (lambda: reliability_curve(torch.tensor([1.2]), torch.tensor([1])), "probability has values"),
        (lambda: reliability_curve(torch.tensor([0.2]), torch.tensor([2])), "outcome has values"),
        (lambda: reliability_curve(torch.rand(3), torch.ones(4)), "outcome has shape"),
        (lambda: reliability_curve(torch.rand(3), torch.ones(3), bins=0), "bins is 0"),
        (lambda: pit(torch.zeros(4, 3), torch.zeros(5)), r"draws has shape \(4, 3\), expected \(K, 5\)"),
        (lambda: pit(torch.zeros(0, 3), torch.zeros(3)), "K is 0"),
        (
            lambda: interval_coverage(torch.zeros(4, 3), torch.zeros(3), torch.tensor([1.5])),
            "levels has values",
        ),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
