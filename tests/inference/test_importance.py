import math

import pytest
import torch
from pyro.ops.stats import fit_generalized_pareto
from torch.distributions import Independent, MultivariateNormal, Normal

from gmtools.inference import effective_sample_size, importance_sampling, pareto_k, pareto_smooth
from gmtools.inference.importance import _fit_generalised_pareto

F64 = torch.float64
NOISE = 0.7


def problem(N=5):
    """N data points of z ~ N(0, 1), x | z ~ N(z, 0.7)."""
    torch.manual_seed(1)
    x = torch.randn(N, dtype=F64) * math.sqrt(1 + NOISE)

    def log_joint(z):
        return Normal(0.0, 1.0).log_prob(z) + Normal(z, math.sqrt(NOISE)).log_prob(x)

    exact = Normal(torch.zeros_like(x), math.sqrt(1 + NOISE)).log_prob(x)
    return log_joint, exact, x / (1 + NOISE), NOISE / (1 + NOISE)


@pytest.mark.parametrize("seed", range(3))
def test_evidence_and_moments_within_their_standard_errors(seed):
    log_joint, exact, mean, variance = problem()
    torch.manual_seed(seed)
    sample = importance_sampling(log_joint, Normal(mean + 0.3, torch.full_like(mean, 0.9)), 50_000)
    assert ((sample.log_evidence - exact).abs() < 5 * sample.standard_error).all()
    assert (sample.standard_error < 0.01).all() and (sample.pareto_k < 0.5).all()
    error = (variance / sample.ess).sqrt()
    assert ((sample.expectation() - mean).abs() < 5 * error).all()
    second = sample.expectation(lambda z: torch.stack([z, z**2], -1))
    assert second.shape == (5, 2)
    spread = second[:, 1] - second[:, 0] ** 2
    assert ((spread - variance).abs() < 5 * math.sqrt(2) * variance / sample.ess.sqrt()).all()


def test_posterior_as_proposal_is_perfect():
    log_joint, exact, mean, variance = problem()
    sample = importance_sampling(log_joint, Normal(mean, math.sqrt(variance)), 100)
    torch.testing.assert_close(sample.log_evidence, exact)
    torch.testing.assert_close(sample.ess, torch.full_like(exact, 100.0))
    torch.testing.assert_close(sample.weights.sum(0), torch.ones_like(exact))
    assert (sample.standard_error < 1e-6).all()


def test_standard_error_matches_the_spread_over_repetitions():
    log_joint, exact, mean, _ = problem(N=1)
    proposal = Normal(mean.expand(400), torch.full((400,), 1.0, dtype=F64))  # 400 repetitions as a batch
    torch.manual_seed(0)
    sample = importance_sampling(log_joint, proposal, 2000)
    spread = sample.log_evidence.std()
    assert abs(sample.standard_error.mean() / spread - 1) < 4 / math.sqrt(2 * 399)


def test_event_dimensions():
    target = MultivariateNormal(torch.ones(3, dtype=F64), 0.5 * torch.eye(3, dtype=F64))
    proposal = Independent(Normal(torch.zeros(3, dtype=F64), 1.5), 1)
    torch.manual_seed(0)
    sample = importance_sampling(lambda z: target.log_prob(z) - 2.0, proposal, 20_000)
    assert sample.z.shape == (20_000, 3) and sample.log_w.shape == (20_000,)
    assert abs(sample.log_evidence + 2.0) < 5 * sample.standard_error
    torch.testing.assert_close(sample.expectation(), torch.ones(3, dtype=F64), atol=0.05, rtol=0)


def test_a_narrow_proposal_shows_in_pareto_k_and_a_wide_one_does_not():
    target = Normal(torch.tensor(0.0, dtype=F64), 1.0)
    torch.manual_seed(0)
    narrow = importance_sampling(target.log_prob, Normal(torch.tensor(0.0, dtype=F64), 0.4), 20_000)
    wide = importance_sampling(target.log_prob, Normal(torch.tensor(0.0, dtype=F64), 3.0), 20_000)
    assert narrow.pareto_k > 0.7 > 0.5 > wide.pareto_k


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.7, 1.0])
def test_fit_recovers_the_shape_of_generalised_pareto_draws(shape):
    torch.manual_seed(0)
    M, repetitions = 1000, 200
    uniform = torch.rand(M, repetitions, dtype=F64)
    draws = 2.0 * torch.expm1(-shape * torch.log1p(-uniform)) / shape
    k, sigma = _fit_generalised_pareto(draws.sort(0).values)
    shrunk = (M * shape + 5) / (M + 10)
    asymptotic_sd = (1 + shape) / math.sqrt(M) if shape > -0.5 else None  # Fisher information of the family
    assert abs(k.mean() - shrunk) < 5 * asymptotic_sd / math.sqrt(repetitions) + 0.5 / M**0.75
    assert sigma.mean().item() == pytest.approx(2.0, rel=0.02)


def test_fit_agrees_with_pyro():
    torch.manual_seed(0)
    draws = (-0.6 * torch.rand(300, dtype=F64).log()).expm1()
    k, sigma = _fit_generalised_pareto(draws.sort().values)
    peer_k, peer_sigma = fit_generalized_pareto(draws)
    assert k.item() == pytest.approx(peer_k, abs=0.02)
    assert sigma.item() == pytest.approx(peer_sigma, rel=0.05)


def test_pareto_k_of_pareto_weights():
    torch.manual_seed(0)
    log_w = -0.7 * torch.rand(4000, 100, dtype=F64).log()
    k = pareto_k(log_w)
    M = 3 * math.sqrt(4000)
    assert abs(k.mean() - (M * 0.7 + 5) / (M + 10)) < 0.03
    assert k.std().item() == pytest.approx(1.7 / math.sqrt(M), rel=0.25)


def test_smoothing_keeps_the_bulk_and_the_order_and_lowers_the_error():
    torch.manual_seed(0)
    log_w = -0.6 * torch.rand(1000, 400, dtype=F64).log() + 300.0  # mean weight 1 / (1 - 0.6), times e^300
    smoothed, k = pareto_smooth(log_w)
    changed = (smoothed != log_w).sum(0)
    assert (changed <= 95).all() and (changed > 50).all()  # tail length 3 sqrt(1000)
    assert (smoothed.gather(0, log_w.argsort(0)).diff(dim=0) >= 0).all()
    assert (smoothed.amax(0) <= log_w.amax(0)).all()

    def squared_error(log_weights):
        return (torch.logsumexp(log_weights, 0) - math.log(1000) - 300.0 - math.log(2.5)).square().mean()

    assert squared_error(smoothed) < squared_error(log_w)


def test_diagnostics_are_columnwise_and_shift_invariant():
    torch.manual_seed(0)
    log_w = torch.randn(200, 2, 3, dtype=F64)
    for diagnostic in (effective_sample_size, pareto_k):
        value = diagnostic(log_w)
        assert value.shape == (2, 3)
        torch.testing.assert_close(diagnostic(log_w[:, 1, 2]), value[1, 2])
        torch.testing.assert_close(diagnostic(log_w - 900.0), value)


def test_effective_sample_size_lies_between_one_and_K():
    log_w = torch.randn(50, 100, dtype=F64) * torch.logspace(-3, 3, 100, dtype=F64)
    ess = effective_sample_size(log_w)
    assert (ess >= 1 - 1e-9).all() and (ess <= 50 + 1e-9).all()


def test_equal_and_zero_weights():
    assert pareto_k(torch.zeros(100)).item() == -math.inf
    smoothed, k = pareto_smooth(torch.full((100,), -math.inf))
    assert (smoothed == -math.inf).all() and k == -math.inf
    log_w = torch.randn(100)
    log_w[:30] = -math.inf
    assert pareto_k(log_w).isfinite()
    assert effective_sample_size(torch.full((100,), -math.inf)).isnan()


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_a_hopeless_proposal_is_not_reported_as_perfect(dtype):
    torch.manual_seed(0)
    target = Independent(Normal(torch.zeros(200, dtype=dtype), 1.0), 1)
    proposal = Independent(Normal(torch.zeros(200, dtype=dtype), 3.0), 1)
    sample = importance_sampling(target.log_prob, proposal, 1000)
    assert sample.ess < 2 and 5 < sample.pareto_k < math.inf
    log_w = torch.full((100,), -math.inf, dtype=dtype)
    log_w[:10] = torch.randn(10, dtype=dtype)  # ten of twenty tail weights vanish: no shape can be fitted
    smoothed, k = pareto_smooth(log_w)
    assert k == math.inf and torch.equal(smoothed, log_w)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_proposal_is_perfect_up_to_rounding(dtype, seed):
    torch.manual_seed(seed)
    target = MultivariateNormal(torch.zeros(50, dtype=dtype), torch.eye(50, dtype=dtype))
    proposal = Independent(Normal(torch.zeros(50, dtype=dtype), 1.0), 1)
    sample = importance_sampling(target.log_prob, proposal, 1000)
    assert sample.log_w.std() > 0 and sample.pareto_k == -math.inf


@pytest.mark.parametrize("spread", [1.0, 45.0, 100.0])
def test_single_precision_agrees_with_double(spread):
    torch.manual_seed(0)
    log_w = spread * torch.randn(1000, 5)
    smoothed, k = pareto_smooth(log_w)
    expected, expected_k = pareto_smooth(log_w.double())
    assert smoothed.dtype == k.dtype == torch.float32
    torch.testing.assert_close(smoothed.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(k.double(), expected_k, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("level", [-1e6, -1e4, 1e4])
def test_effective_sample_size_does_not_cancel_in_single_precision(level):
    assert effective_sample_size(torch.full((1000,), level)).item() == pytest.approx(1000, rel=1e-6)


@pytest.mark.parametrize("diagnostic", [effective_sample_size, pareto_k, pareto_smooth])
def test_bad_log_weights_are_named(diagnostic):
    for bad in (torch.zeros(()), torch.zeros(0, 3), torch.full((50,), math.nan)):
        with pytest.raises(ValueError, match="log_w has shape"):
            diagnostic(bad)


def test_bad_arguments_are_named():
    proposal = Normal(torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match="K is 0"):
        importance_sampling(proposal.log_prob, proposal, 0)
    with pytest.raises(ValueError, match=r"log_joint\(z\) has shape \(4,\), expected \(4, 3\)"):
        importance_sampling(lambda z: z.sum(-1), proposal, 4)
    with pytest.raises(ValueError, match=r"log_joint\(z\) has shape .* NaN"):
        importance_sampling(lambda z: z * math.nan, proposal, 4)
    with pytest.raises(ValueError, match="expected .* K >= 25"):
        pareto_k(torch.zeros(24))
