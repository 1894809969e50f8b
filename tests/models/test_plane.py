"""Posteriors on the plane, by quadrature, against closed forms and integrals of one dimension."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from gmtools.inference import monte_carlo_kl
from gmtools.models.plane import PLANE_MODELS, distance, total
from gmtools.posteriors import MeanField, fit_posterior, gap


@pytest.mark.parametrize("x, variance", [(1.0, 0.1), (-0.7, 0.5)])
def test_the_sum_has_the_gaussian_posterior(x, variance):
    p = total(x, variance).posterior()
    precision = torch.eye(2, dtype=torch.float64) + torch.ones(2, 2, dtype=torch.float64) / variance
    truth = MultivariateNormal(
        torch.full((2,), x / (2 + variance), dtype=torch.float64), precision_matrix=precision
    )
    torch.testing.assert_close(p.mean, truth.mean)
    torch.testing.assert_close(p.covariance_matrix, truth.covariance_matrix)
    evidence = Normal(0.0, (2 + variance) ** 0.5).log_prob(torch.tensor(x, dtype=torch.float64))
    torch.testing.assert_close(p.log_evidence, evidence)
    z = truth.sample((50,))
    torch.testing.assert_close(p.log_prob(z), truth.log_prob(z))
    assert p.kl_from(truth).abs() < 1e-8


def test_a_posterior_has_mass_one_in_double_precision():
    p = total().posterior()
    points, cell = p.grid()
    assert abs(p.log_prob(points).exp().sum() * cell - 1) < 1e-12


def test_the_ring_is_an_integral_over_the_radius():
    r = torch.linspace(0, 12, 200_001, dtype=torch.float64)
    radial = r * (-(r**2) / 2).exp() * Normal(r, math.sqrt(0.1)).log_prob(torch.tensor(2.0).double()).exp()
    torch.testing.assert_close(distance(2.0, 0.1).posterior().log_evidence, torch.trapezoid(radial, r).log())


@pytest.mark.parametrize("make", PLANE_MODELS.values(), ids=PLANE_MODELS)
class TestEveryModel:
    def test_draws_have_the_moments(self, make):
        torch.manual_seed(0)
        p = make().posterior()
        z = p.sample((20_000,))
        error = p.covariance_matrix.diagonal().sqrt() / 20_000**0.5
        assert ((z.mean(0) - p.mean).abs() < 5 * error).all()
        products = (z - p.mean)[:, :, None] * (z - p.mean)[:, None]
        assert ((products.mean(0) - p.covariance_matrix).abs() < 5 * products.std(0) / 20_000**0.5).all()

    def test_both_ways_of_measuring_a_fit_agree(self, make):
        model = make()
        p, family = model.posterior(), MeanField(2).double()
        before = p.kl_from(family())
        fit_posterior(family, model.log_joint, steps=100)
        with torch.no_grad():
            q = family()
            torch.manual_seed(1)
            value, error = gap(q, model.log_joint, p.log_evidence)
            exact = p.kl_from(q)
            assert exact < before
            assert (value - exact).abs() < 5 * error
            direct = monte_carlo_kl(q, p, 20_000)
        assert (direct.value - exact).abs() < 5 * direct.standard_error

    def test_no_observation_noise_is_an_error(self, make):
        with pytest.raises(ValueError, match="variance"):
            type(make())(make().f, 1.0, 0.0)


@pytest.mark.parametrize("scale", [0.001, 5.0])
def test_a_q_that_the_grid_cannot_see_is_an_error(scale):
    q = MultivariateNormal(torch.zeros(2).double(), scale_tril=scale * torch.eye(2).double())
    with pytest.raises(ValueError, match="mass"):
        total().posterior().kl_from(q)


def test_an_empty_draw_is_empty():
    assert total().posterior().sample((0,)).shape == (0, 2)
