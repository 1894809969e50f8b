import itertools

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    LowRankMultivariateNormal,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    Poisson,
    kl_divergence,
)

from gmtools.inference import gaussian_kl, monte_carlo_kl

F64 = torch.float64


def gaussians(seed, batch=(2,)):
    torch.manual_seed(seed)
    mean = torch.randn(*batch, 3, dtype=F64)
    factor = torch.randn(*batch, 3, 3, dtype=F64)
    scale = torch.rand(*batch, 3, dtype=F64) + 0.2
    return {
        "diagonal": Independent(Normal(mean, scale), 1),
        "full": MultivariateNormal(mean, factor @ factor.mT + torch.eye(3, dtype=F64)),
        "low rank": LowRankMultivariateNormal(mean, factor[..., :1], scale),
    }


def as_full(gaussian):
    covariance = getattr(gaussian, "covariance_matrix", None)
    return MultivariateNormal(
        gaussian.mean, gaussian.variance.diag_embed() if covariance is None else covariance
    )


pairs = pytest.mark.parametrize(
    "kinds", list(itertools.product(["diagonal", "full", "low rank"], repeat=2)), ids="-".join
)


@pairs
def test_gaussian_kl_agrees_with_torch_on_full_covariances(kinds):
    q, p = gaussians(0)[kinds[0]], gaussians(1)[kinds[1]]
    torch.testing.assert_close(gaussian_kl(q, p), kl_divergence(as_full(q), as_full(p)))


@pairs
def test_monte_carlo_kl_agrees_with_gaussian_kl(kinds):
    q, p = gaussians(0)[kinds[0]], gaussians(1)[kinds[1]]
    torch.manual_seed(0)
    value, error = monte_carlo_kl(q, p, 20_000)
    assert value.shape == error.shape == (2,)
    assert ((value - gaussian_kl(q, p)).abs() < 5 * error).all()


def test_gaussian_kl_broadcasts_and_has_a_gradient():
    q, p = gaussians(0, batch=(4, 2))["diagonal"], gaussians(1, batch=())["full"]
    q.base_dist.loc.requires_grad_()
    value = gaussian_kl(q, p)
    assert value.shape == (4, 2)
    (gradient,) = torch.autograd.grad(value.sum(), q.base_dist.loc)
    expected = torch.linalg.solve(p.covariance_matrix, (q.mean - p.mean)[..., None])[..., 0]
    torch.testing.assert_close(gradient, expected.detach())


def test_monte_carlo_gradient_is_pathwise_where_possible():
    torch.manual_seed(0)
    location = torch.tensor(0.5, dtype=F64, requires_grad=True)
    value, error = monte_carlo_kl(Normal(location, 1.0), Normal(torch.zeros((), dtype=F64), 1.0), 10_000)
    assert abs(torch.autograd.grad(value, location)[0] - 0.5) < 5 / 100  # each draw's gradient has variance 1


def test_monte_carlo_gradient_without_reparametrisation_is_that_of_p_alone():
    torch.manual_seed(0)
    q_rate, p_rate = (torch.tensor(rate, dtype=F64, requires_grad=True) for rate in (3.0, 4.0))
    value, _ = monte_carlo_kl(Poisson(q_rate), Poisson(p_rate), 10_000)
    of_q, of_p = torch.autograd.grad(value, (q_rate, p_rate), allow_unused=True)
    assert of_q is None
    assert abs(of_p - (1 - 3 / 4)) < 5 * 3**0.5 / 4 / 100  # of E[p - z log p]; z has variance 3


def test_monte_carlo_standard_error_is_the_spread_over_repetitions():
    torch.manual_seed(0)
    q = Normal(torch.zeros(1000, dtype=F64), 1.0)  # a batch of repetitions
    value, error = monte_carlo_kl(q, Normal(torch.ones(1000, dtype=F64), 1.0), 500)
    assert error.mean().item() == pytest.approx(value.std().item(), rel=4 / 2000**0.5)


def test_monte_carlo_of_mixtures_and_of_discrete_distributions():
    torch.manual_seed(0)
    weights, components = (
        torch.tensor([0.3, 0.7]),
        Normal(torch.tensor([-1.0, 2.0]), torch.tensor([0.5, 1.0])),
    )
    mixture = MixtureSameFamily(Categorical(weights), components)
    value, error = monte_carlo_kl(mixture, mixture, 10)
    assert value == 0 and error == 0
    q, p = Poisson(torch.tensor(3.0)), Poisson(torch.tensor(4.0))
    value, error = monte_carlo_kl(q, p, 50_000)
    assert abs(value - kl_divergence(q, p)) < 5 * error


def test_bad_arguments_are_named():
    q, p = gaussians(0)["full"], gaussians(1)["diagonal"]
    with pytest.raises(ValueError, match="q is .*expected MultivariateNormal"):
        gaussian_kl(Normal(0.0, 1.0), p)
    with pytest.raises(ValueError, match="p has event shape"):
        gaussian_kl(q, MultivariateNormal(torch.zeros(2), torch.eye(2)))
    with pytest.raises(ValueError, match="p has event shape"):
        monte_carlo_kl(q, Normal(0.0, 1.0), 10)
    with pytest.raises(ValueError, match="K is 1"):
        monte_carlo_kl(q, p, 1)
    with pytest.raises(ValueError, match="p has batch shape"):
        monte_carlo_kl(q, gaussians(0, batch=(5, 2))["full"], 10)
