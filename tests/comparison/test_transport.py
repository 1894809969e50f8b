"""Laws of optimal transport: agreement with POT and scipy, exact marginals, the Gaussian closed form."""

import math

import ot
import pytest
import scipy.stats
import torch

from gmtools.comparison import (
    distances,
    frechet_distance,
    sinkhorn,
    sinkhorn_divergence,
    wasserstein,
    wasserstein_1d,
)


def pair(n=40, m=30, d=3, seed=0):
    torch.manual_seed(seed)
    return torch.randn(n, d), 1.3 * torch.randn(m, d) + 0.5


@pytest.mark.parametrize("n, m", [(6, 6), (6, 4), (5, 7), (1, 9)])
@pytest.mark.parametrize("order", [1.0, 2.0])
def test_one_dimensional_transport_is_that_of_pot(n, m, order):
    x, y = pair(n, m, 1)
    theirs = ot.wasserstein_1d(x[:, 0].numpy(), y[:, 0].numpy(), p=order) ** (1 / order)
    assert wasserstein_1d(x[:, 0], y[:, 0], order).item() == pytest.approx(float(theirs), rel=1e-9)
    if order == 1:
        scipys = scipy.stats.wasserstein_distance(x[:, 0], y[:, 0])
        assert wasserstein_1d(x[:, 0], y[:, 0]).item() == pytest.approx(scipys)


@pytest.mark.parametrize("order", [1.0, 2.0])
def test_exact_transport_is_that_of_pot(order):
    x, y = pair(25, 25)
    cost = ot.dist(x.numpy(), y.numpy(), metric="euclidean") ** order
    theirs = ot.emd2([], [], cost) ** (1 / order)
    assert wasserstein(x, y, order).item() == pytest.approx(theirs, rel=1e-9)


def test_one_and_many_dimensional_transport_agree_on_the_line():
    x, y = pair(20, 20, 1)
    torch.testing.assert_close(wasserstein(x, y, 2.0), wasserstein_1d(x[:, 0], y[:, 0], 2.0))


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_sinkhorn_is_that_of_pot_and_keeps_the_marginals(epsilon):
    x, y = pair(12, 9)
    ours = sinkhorn(x, y, epsilon, iterations=2000)
    a, b = torch.full((12,), 1 / 12), torch.full((9,), 1 / 9)
    cost = distances(x, y).square()
    theirs = ot.sinkhorn(a.numpy(), b.numpy(), cost.numpy(), epsilon, numItermax=20_000, stopThr=1e-13)
    torch.testing.assert_close(ours.plan, torch.from_numpy(theirs), atol=1e-8, rtol=0)
    torch.testing.assert_close(ours.plan.sum(0), b)
    torch.testing.assert_close(ours.plan.sum(1), a, atol=1e-8, rtol=0)


@pytest.mark.parametrize("epsilon", [0.05, 0.2])
def test_entropy_raises_the_cost_by_at_most_epsilon_log_n(epsilon):
    x, y = pair(12, 12)
    entropic, plan = sinkhorn(x, y, epsilon, iterations=5000)
    torch.testing.assert_close(plan.sum(1), torch.full((12,), 1 / 12), atol=1e-4, rtol=0)
    exact = wasserstein(x, y, 2.0).square()
    assert exact < entropic < exact + epsilon * math.log(12)


@pytest.mark.parametrize("iterations", [1, 20, 500])
def test_sinkhorn_transports_everything_however_few_the_iterations(iterations):
    x, y = pair(40, 40, 2)
    cost, plan = sinkhorn(x, y, 0.01, iterations=iterations)
    everything = torch.full((40,), 1 / 40)
    torch.testing.assert_close(plan.sum(0), everything, atol=1e-15, rtol=0)
    torch.testing.assert_close(plan.sum(1), everything, atol=1e-15, rtol=0)
    assert plan.min() >= 0 and cost > wasserstein(x, y, 2.0).square() - 1e-12


def test_sinkhorn_divergence_separates_and_vanishes_on_equal_samples():
    x, y = pair(15, 15)
    assert abs(sinkhorn_divergence(x, x.flip(0), 1.0)) < 1e-10
    assert sinkhorn_divergence(x, y, 1.0) > 0.1


def test_frechet_distance_is_the_transport_between_gaussians():
    x, y = pair(200, 150)
    theirs = ot.gaussian.bures_wasserstein_distance(x.mean(0), y.mean(0), x.T.cov(), y.T.cov())
    torch.testing.assert_close(frechet_distance(x, y), theirs.squeeze().square())
    one = frechet_distance(x[:, :1], y[:, :1])
    expected = (x[:, 0].mean() - y[:, 0].mean()) ** 2 + (x[:, 0].std() - y[:, 0].std()) ** 2
    torch.testing.assert_close(one, expected)


def test_frechet_distance_holds_in_single_precision_with_fewer_points_than_dimensions():
    x, y = pair(30, 20, 100)
    singles = frechet_distance(x.float(), y.float())
    torch.testing.assert_close(singles.double(), frechet_distance(x, y), atol=0, rtol=1e-5)
    spread = x.var(0).sum()
    assert 0 <= frechet_distance(x.float(), x.float()) < 1e-5 * spread


def test_transport_between_gaussian_samples_tends_to_the_closed_form():
    torch.manual_seed(0)
    n = 20_000
    x, y = torch.randn(n), 1.5 * torch.randn(n) + 2
    assert abs(wasserstein_1d(x, y, 2.0) - math.sqrt(4 + 0.25)) < 4.5 * 2.5 / n**0.5


@pytest.mark.parametrize("order", [1.0, 1.5, 2.0])
def test_equal_samples_have_transport_zero_with_gradient_zero(order):
    x, _ = pair(5, 5, 2)
    for metric, sample in ((wasserstein, x), (wasserstein_1d, x[:, 0])):
        sample = sample.clone().requires_grad_()
        value = metric(sample, sample.detach().flip(0), order)
        value.backward()
        assert value == 0 and (sample.grad == 0).all()


def test_a_shift_leaves_disjoint_supports_with_a_gradient():
    """Slide 68: where supports do not meet, W1 still says how far, Jensen-Shannon does not."""
    x = torch.rand(50)
    for shift in (2.0, 5.0):
        torch.testing.assert_close(wasserstein_1d(x + shift, x), torch.tensor(shift))
