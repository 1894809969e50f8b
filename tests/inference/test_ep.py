import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, StudentT

from gmtools.inference import expectation_propagation, laplace

F64 = torch.float64


def prior_of(D, scale=1.0):
    return MultivariateNormal(torch.zeros(D, dtype=F64), scale**2 * torch.eye(D, dtype=F64))


def probit(seed=0, N=12):
    """Labels of a two-dimensional probit regression: rows with their sign, so that each factor is Phi(s)."""
    torch.manual_seed(seed)
    inputs = torch.randn(N, 2, dtype=F64)
    labels = torch.where(
        inputs @ torch.tensor([2.0, -1.0], dtype=F64) + torch.randn(N, dtype=F64) > 0, 1.0, -1.0
    )
    return labels[:, None] * inputs, prior_of(2)


def grid_answer(log_factor, features, prior, half_width=10.0, points=601):
    axis = torch.linspace(-half_width, half_width, points, dtype=F64)
    z = torch.cartesian_prod(axis, axis)
    log_joint = prior.log_prob(z) + log_factor(z @ features.T).sum(-1)
    log_evidence = log_joint.logsumexp(0) + 2 * (axis[1] - axis[0]).log()
    weights = log_joint.softmax(0)
    mean = weights @ z
    return log_evidence, mean, (z - mean).T @ (weights[:, None] * (z - mean))


@pytest.mark.parametrize("seed", range(5))
def test_probit_agrees_with_quadrature(seed):
    features, prior = probit(seed)
    log_evidence, mean, covariance = grid_answer(torch.special.log_ndtr, features, prior)
    fit = expectation_propagation(torch.special.log_ndtr, features, prior)
    assert ((fit.posterior.mean - mean).abs() < 0.02 * covariance.diagonal().sqrt()).all()
    assert ((fit.posterior.variance / covariance.diagonal()).log().abs() < 0.15).all()  # EP's own error
    assert abs(fit.log_evidence - log_evidence) < 0.03

    def log_joint(z):
        return prior.log_prob(z) + torch.special.log_ndtr(features @ z).sum()

    rough = laplace(log_joint, torch.zeros(2, dtype=F64))
    assert (fit.posterior.mean - mean).norm() < 0.1 * (rough.mode - mean).norm()


def test_probit_agrees_with_the_sequential_algorithm_in_closed_form():
    features, prior = probit()
    fit = expectation_propagation(torch.special.log_ndtr, features, prior, tolerance=1e-12)
    precision, shift = torch.zeros(12, dtype=F64), torch.zeros(12, dtype=F64)
    for n in list(range(12)) * 60:
        covariance = torch.linalg.inv(prior.precision_matrix + features.T @ (precision[:, None] * features))
        mean, variance = features[n] @ covariance @ features.T @ shift, features[n] @ covariance @ features[n]
        cavity_variance = 1 / (1 / variance - precision[n])
        cavity_mean = cavity_variance * (mean / variance - shift[n])
        u = cavity_mean / (1 + cavity_variance).sqrt()
        ratio = torch.exp(-0.5 * u**2 - torch.special.log_ndtr(u)) / math.sqrt(2 * math.pi)
        tilted_mean = cavity_mean + cavity_variance * ratio / (1 + cavity_variance).sqrt()
        tilted_variance = cavity_variance - cavity_variance**2 * ratio * (u + ratio) / (1 + cavity_variance)
        precision[n] = 1 / tilted_variance - 1 / cavity_variance
        shift[n] = tilted_mean / tilted_variance - cavity_mean / cavity_variance
    torch.testing.assert_close(fit.site_precision, precision, atol=1e-8, rtol=0)
    torch.testing.assert_close(fit.site_shift, shift, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    "log_factor",
    [torch.special.log_ndtr, lambda s: -s.abs(), lambda s: 3 * s - s.exp(), torch.nn.functional.logsigmoid],
    ids=["probit", "laplace", "poisson", "logistic"],
)
def test_one_factor_is_exact(log_factor):
    features = torch.tensor([[0.7, -1.2]], dtype=F64)
    log_evidence, mean, covariance = grid_answer(log_factor, features, prior_of(2))
    fit = expectation_propagation(log_factor, features, prior_of(2), nodes=2001)
    torch.testing.assert_close(fit.log_evidence, log_evidence, atol=2e-4, rtol=0)
    torch.testing.assert_close(fit.posterior.mean, mean, atol=2e-4, rtol=0)
    torch.testing.assert_close(fit.posterior.covariance_matrix, covariance, atol=2e-4, rtol=0)


@pytest.mark.parametrize("damping", [0.3, 1.0])
def test_gaussian_factors_are_exact(damping):
    torch.manual_seed(0)
    features, x = torch.randn(6, 3, dtype=F64), torch.randn(6, dtype=F64)
    fit = expectation_propagation(
        lambda s: Normal(s, 0.8).log_prob(x), features, prior_of(3), damping=damping, tolerance=1e-10
    )
    precision = torch.eye(3, dtype=F64) + features.T @ features / 0.64
    torch.testing.assert_close(fit.posterior.precision_matrix, precision)
    torch.testing.assert_close(fit.posterior.mean, torch.linalg.solve(precision, features.T @ x / 0.64))
    marginal = MultivariateNormal(
        torch.zeros(6, dtype=F64), features @ features.T + 0.64 * torch.eye(6, dtype=F64)
    )
    torch.testing.assert_close(fit.log_evidence, marginal.log_prob(x))
    torch.testing.assert_close(fit.site_precision, torch.full((6,), 1 / 0.64, dtype=F64))
    torch.testing.assert_close(fit.site_shift, x / 0.64)


def test_gaussian_process_classification_moments_match_at_convergence():
    t = torch.linspace(0, 1, 15, dtype=F64)
    kernel = 4 * torch.exp(-0.5 * (t[:, None] - t).square() / 0.2**2) + 1e-6 * torch.eye(15, dtype=F64)
    labels = torch.where(torch.sin(7 * t) > 0, 1.0, -1.0)

    def log_factor(s):
        return torch.special.log_ndtr(labels * s)

    fit = expectation_propagation(
        log_factor, torch.eye(15, dtype=F64), MultivariateNormal(torch.zeros_like(t), kernel)
    )
    mean, variance = fit.posterior.mean, fit.posterior.variance
    assert (mean * labels > 0).all()
    cavity_variance = 1 / (1 / variance - fit.site_precision)
    cavity_mean = cavity_variance * (mean / variance - fit.site_shift)
    u = labels * cavity_mean / (1 + cavity_variance).sqrt()  # closed form of the probit's tilted mean
    ratio = torch.exp(-0.5 * u**2 - torch.special.log_ndtr(u)) / math.sqrt(2 * math.pi)
    tilted_mean = cavity_mean + labels * cavity_variance * ratio / (1 + cavity_variance).sqrt()
    torch.testing.assert_close(tilted_mean, mean, atol=1e-5, rtol=0)


def test_single_precision_converges_by_default():
    features, prior = probit()
    single = MultivariateNormal(prior.mean.float(), prior.covariance_matrix.float())
    fit = expectation_propagation(torch.special.log_ndtr, features.float(), single)
    expected = expectation_propagation(torch.special.log_ndtr, features, prior)
    assert fit.iterations < expected.iterations
    torch.testing.assert_close(fit.posterior.mean.double(), expected.posterior.mean, atol=1e-3, rtol=0)


def test_no_convergence_is_reported():
    features, prior = probit()
    with pytest.raises(ValueError, match="iterations is 2, expected more: moments still change"):
        expectation_propagation(torch.special.log_ndtr, features, prior, iterations=2)


def test_heavy_tails_that_break_ep_are_reported():
    # two far apart observations with Student noise: factors that are not log-concave
    x = torch.tensor([-30.0, 30.0], dtype=F64)
    with pytest.raises(ValueError, match="damping"):
        expectation_propagation(
            lambda s: StudentT(torch.tensor(1.0, dtype=F64), s, 0.1).log_prob(x),
            torch.ones(2, 1, dtype=F64),
            prior_of(1, scale=20.0),
            damping=1.0,
        )


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(features=torch.zeros(4, 3, dtype=F64)), r"features has shape \(4, 3\), expected \(N, 2\)"),
        (dict(features=torch.full((4, 2), math.nan, dtype=F64)), "features has shape .* NaN"),
        (dict(features=torch.eye(4, 2, dtype=F64)), r"features has zero rows \[2, 3\]"),
        (dict(iterations=0), "iterations is 0"),
        (dict(damping=0.0), "damping is 0.0"),
        (dict(tolerance=0.0), "tolerance"),
        (dict(nodes=2), "nodes is 2"),
        (dict(log_factor=lambda s: s.sum(0)), r"log_factor\(s\) has shape \(4,\), expected \(401, 4\)"),
        (dict(log_factor=lambda s: s * math.nan), r"log_factor\(s\) has shape .* NaN"),
        (dict(log_factor=lambda s: s * 0 - math.inf), r"log_factor\(s\) is -inf at every node"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    arguments = dict(
        log_factor=torch.special.log_ndtr, features=torch.ones(4, 2, dtype=F64), prior=prior_of(2)
    )
    with pytest.raises(ValueError, match=message):
        expectation_propagation(**(arguments | changes))
