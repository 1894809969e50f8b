import math

import pytest
import torch
from torch.distributions import Bernoulli, Gamma, MultivariateNormal, Normal

from gmtools.inference import laplace

F64 = torch.float64


def linear_gaussian(D=4, P=6, seed=0):
    """z ~ N(0, I), x | z ~ N(A z, 0.5 I): log-joint, and the exact posterior and evidence."""
    torch.manual_seed(seed)
    A, x = torch.randn(P, D, dtype=F64), torch.randn(P, dtype=F64)

    def log_joint(z):
        return Normal(0.0, 1.0).log_prob(z).sum(-1) + Normal(z @ A.T, math.sqrt(0.5)).log_prob(x).sum(-1)

    covariance = torch.linalg.inv(torch.eye(D, dtype=F64) + 2 * A.T @ A)
    marginal = MultivariateNormal(torch.zeros(P, dtype=F64), A @ A.T + 0.5 * torch.eye(P, dtype=F64))
    return log_joint, 2 * covariance @ A.T @ x, covariance, marginal.log_prob(x)


@pytest.mark.parametrize("start", [0.0, 5.0, -300.0])
def test_exact_on_a_linear_gaussian_model(start):
    log_joint, mean, covariance, log_evidence = linear_gaussian()
    fit = laplace(log_joint, torch.full((4,), start, dtype=F64))
    torch.testing.assert_close(fit.mode, mean)
    torch.testing.assert_close(fit.covariance, covariance)
    torch.testing.assert_close(fit.log_evidence, log_evidence)
    torch.testing.assert_close(fit.posterior.mean, mean)
    torch.testing.assert_close(fit.posterior.covariance_matrix, covariance)


def test_slide_30_sign():
    def log_joint(z):
        x = torch.tensor(1.3, dtype=F64)
        return (Normal(0.0, 1.0).log_prob(z) + Normal(z, math.sqrt(0.7)).log_prob(x)).sum()

    fit = laplace(log_joint, torch.zeros(1, dtype=F64))
    assert fit.log_evidence.item() == pytest.approx(-1.681, abs=5e-4)
    deck = log_joint(fit.mode) - 0.5 * torch.log(2 * math.pi * fit.covariance).sum()  # the deck's sign
    assert deck.item() == pytest.approx(-2.632, abs=5e-4)


def test_of_the_gamma_function_is_stirlings_series():
    n = 30.0  # integral of exp(n log t - t): Gamma(n + 1); in z = log t Laplace gives Stirling's formula

    fit = laplace(lambda z: ((n + 1) * z - z.exp()).sum(), torch.zeros(1, dtype=F64))
    expected = (n + 0.5) * math.log(n + 1) - (n + 1) + 0.5 * math.log(2 * math.pi)
    assert fit.log_evidence.item() == pytest.approx(expected, abs=1e-10)
    assert fit.log_evidence.item() == pytest.approx(math.lgamma(n + 1), abs=1 / (12 * n))


def test_depends_on_the_parametrisation():
    posterior = Gamma(torch.tensor(3.0, dtype=F64), torch.tensor(2.0, dtype=F64))
    plain = laplace(lambda z: posterior.log_prob(z).sum(), torch.ones(1, dtype=F64))
    logged = laplace(lambda v: (posterior.log_prob(v.exp()) + v).sum(), torch.zeros(1, dtype=F64))
    # Stirling's formula for Gamma(3), about n = 2 and about n = 3; exact would be 0
    assert plain.log_evidence.item() == pytest.approx(
        math.log(4) - 2 + 0.5 * math.log(4 * math.pi) - math.log(2)
    )
    assert logged.log_evidence.item() == pytest.approx(
        math.log(27) - 3 + 0.5 * math.log(2 * math.pi / 3) - math.log(2)
    )


def test_newton_reaches_the_mode_of_a_curved_density_from_afar():
    def banana(z):
        return -0.5 * (z[0] ** 2 / 4 + (z[1] - z[0] ** 2) ** 2 / 0.1)

    fit = laplace(banana, torch.tensor([-3.0, -8.0], dtype=F64))
    torch.testing.assert_close(fit.mode, torch.zeros(2, dtype=F64), atol=1e-8, rtol=0)


@pytest.mark.parametrize("dtype, atol", [(torch.float32, 1e-3), (F64, 1e-9)])
def test_logistic_regression_mode_has_zero_gradient(dtype, atol):
    torch.manual_seed(0)
    inputs = torch.randn(50, 3, dtype=dtype)
    labels = (inputs @ torch.tensor([2.0, -1.0, 0.5], dtype=dtype) > 0).to(dtype)

    def log_joint(z):
        return Normal(0.0, 2.0).log_prob(z).sum() + Bernoulli(logits=inputs @ z).log_prob(labels).sum()

    fit = laplace(log_joint, torch.zeros(3, dtype=dtype))
    assert torch.func.grad(log_joint)(fit.mode).abs().max() < atol
    assert fit.mode.dtype == dtype and fit.log_evidence.isfinite()


def test_a_saddle_is_refused():
    with pytest.raises(ValueError, match="log_joint .* smallest eigenvalue is -2"):
        laplace(lambda z: z[0] ** 2 - z[1] ** 2, torch.zeros(2, dtype=F64))


def test_a_ridge_is_refused():
    with pytest.raises(ValueError, match="log_joint .* smallest eigenvalue"):
        laplace(lambda z: -((z[0] + z[1]) ** 2), torch.ones(2, dtype=F64))


def test_an_unbounded_log_joint_is_refused():
    with pytest.raises(ValueError, match="log_joint: no mode found from z0 in 20 Newton steps"):
        laplace(lambda z: z.exp().sum(), torch.zeros(2, dtype=F64), max_steps=20)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(z0=torch.zeros(2, 3)), r"z0 has shape \(2, 3\), expected \(D,\)"),
        (dict(z0=torch.tensor([math.nan])), "z0 has shape .* NaN"),
        (dict(z0=torch.zeros(2).long()), "z0 has dtype torch.int64"),
        (dict(z0=torch.zeros(2), log_joint=lambda z: -(z**2)), r"log_joint\(z0\) has shape \(2,\)"),
        (dict(z0=torch.zeros(1), log_joint=lambda z: (z - 1).log().sum()), r"log_joint\(z0\) is nan"),
        (dict(z0=torch.zeros(2), max_steps=0), "max_steps is 0"),
        (dict(z0=torch.zeros(2), tolerance=-1.0), "tolerance has shape"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    arguments = {"log_joint": lambda z: -(z**2).sum(), **arguments}
    with pytest.raises(ValueError, match=message):
        laplace(**arguments)
