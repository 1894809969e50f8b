import math

import pytest
import torch
from pyro.ops.stats import effective_sample_size, split_gelman_rubin

from gmtools.inference import mcmc_ess, r_hat
from gmtools.inference.diagnostics import _autocovariance, _geyer_ess, _plain_r_hat, _rank_normalise, _split

F64 = torch.float64


def autoregression(correlation, S=2000, C=4, D=50, seed=0):
    """Stationary AR(1) chains of variance one: the effective sample size is S C (1 - rho) / (1 + rho)."""
    torch.manual_seed(seed)
    draws = [torch.randn(C, D, dtype=F64)]
    for _ in range(S - 1):
        noise = math.sqrt(1 - correlation**2) * torch.randn(C, D, dtype=F64)
        draws.append(correlation * draws[-1] + noise)
    return torch.stack(draws)


@pytest.mark.parametrize("kind", ["mean", "bulk"])
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.9])
def test_ess_of_an_autoregression(correlation, kind):
    ess = mcmc_ess(autoregression(correlation), kind=kind)
    exact = 8000 * (1 - correlation) / (1 + correlation)
    assert ess.mean().item() == pytest.approx(exact, rel=0.08)
    assert (ess / exact - 1).abs().max() < 0.6


def test_mean_ess_is_the_variance_of_the_mean():
    samples = autoregression(0.8, S=1000, C=4, D=400)
    error = 1 / mcmc_ess(samples, kind="mean").sqrt()
    assert error.mean().item() == pytest.approx(samples.mean((0, 1)).std().item(), rel=5 / math.sqrt(2 * 400))


def test_agreement_with_pyro_on_half_chains():
    samples = autoregression(0.7, S=500, D=6)
    halves = _split(samples)
    ess = effective_sample_size(halves, chain_dim=1, sample_dim=0)
    # pyro divides the autocovariance of lag t by n - t instead of n: a few per cent at these lags
    torch.testing.assert_close(_geyer_ess(halves), ess, rtol=0.05, atol=0)
    expected = split_gelman_rubin(samples, chain_dim=1, sample_dim=0)
    torch.testing.assert_close(_plain_r_hat(halves), expected, rtol=1e-6, atol=0)


def test_autocovariance_by_its_definition():
    x = torch.randn(20, 3, dtype=F64)
    centred = x - x.mean(0)
    expected = torch.stack([(centred[: 20 - t] * centred[t:]).sum(0) / 20 for t in range(20)])
    torch.testing.assert_close(_autocovariance(x), expected)


def test_r_hat_of_mixed_chains_is_one():
    assert (r_hat(autoregression(0.3)) < 1.01).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x + torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None],  # one chain elsewhere
        lambda x: x * torch.tensor([1.0, 1.0, 1.0, 3.0])[:, None],  # one chain wider, all with one mean
        lambda x: x + torch.linspace(-1, 1, len(x))[:, None, None],  # all drifting alike
    ],
    ids=["location", "scale", "drift"],
)
def test_r_hat_sees(spoil):
    assert (r_hat(spoil(autoregression(0.0))) > 1.04).all()


def test_r_hat_of_a_cauchy_target():
    torch.manual_seed(0)
    draws = torch.distributions.Cauchy(0.0, 1.0).sample((1000, 4, 20))
    assert (r_hat(draws) < 1.02).all()
    draws[:, 0] += 2
    assert (r_hat(draws) > 1.05).all()


@pytest.mark.parametrize("diagnostic", [r_hat, mcmc_ess])
def test_rank_normalised_diagnostics_ignore_monotone_transformations(diagnostic):
    samples = autoregression(0.5, S=300, D=3)
    if diagnostic is mcmc_ess:  # R-hat's folded part is about distances, which exp changes
        torch.testing.assert_close(diagnostic(samples.exp()), diagnostic(samples))
    torch.testing.assert_close(diagnostic(7 * samples - 2), diagnostic(samples))


def test_ranks_share_ties():
    samples = torch.tensor([1.0, 1.0, 2.0, 3.0]).reshape(4, 1, 1)
    expected = torch.special.ndtri((torch.tensor([1.5, 1.5, 3.0, 4.0]) - 0.375) / 4.25)
    torch.testing.assert_close(_rank_normalise(samples).flatten(), expected)


def test_chains_that_disagree_are_worth_little():
    samples = autoregression(0.0, S=500, D=3) + 5 * torch.arange(4.0)[:, None]
    assert (mcmc_ess(samples) < 20).all()


def test_tail_ess_of_independent_draws():
    ess = mcmc_ess(autoregression(0.0), kind="tail")
    assert (ess > 0.7 * 8000).all()


def test_equal_draws_give_nan():
    for dtype in (torch.float32, F64):
        samples = torch.full((1000, 4), 0.1, dtype=dtype)  # not representable: its mean is rounded
        assert r_hat(samples).isnan()
        for kind in ("bulk", "mean", "tail"):
            assert mcmc_ess(samples, kind=kind).isnan()


def test_draws_at_equal_distances_from_the_median_are_not_equal_draws():
    torch.manual_seed(0)
    samples = torch.tensor([1.0, -1.0], dtype=F64).repeat(2000)[torch.randperm(4000)].reshape(1000, 4)
    assert r_hat(samples) < 1.01
    assert r_hat(samples.sort(0).values) > 1.05


def test_tail_ess_of_draws_with_a_bound():
    samples = autoregression(0.0)
    bounded = mcmc_ess(samples.clamp(max=1), kind="tail")  # the lower quantile alone counts
    assert (bounded >= mcmc_ess(samples, kind="tail")).all()


@pytest.mark.parametrize("diagnostic", [r_hat, mcmc_ess])
def test_bad_samples_are_named(diagnostic):
    for bad in (torch.zeros(3, 2, 1), torch.zeros(10), torch.zeros(10, 0, 1), torch.full((10, 2), math.nan)):
        with pytest.raises(ValueError, match="samples has shape"):
            diagnostic(bad)


@pytest.mark.parametrize("diagnostic", [r_hat, mcmc_ess])
def test_whole_numbers_are_named(diagnostic):
    with pytest.raises(ValueError, match="samples has dtype torch.int64"):
        diagnostic(torch.arange(20).reshape(10, 2))


def test_bad_kind_is_named():
    with pytest.raises(ValueError, match="kind is 'median'"):
        mcmc_ess(torch.randn(10, 2), kind="median")
