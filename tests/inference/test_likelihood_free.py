import math

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, Uniform

from gmtools.inference import ABCSample, rejection_abc, smc_abc

F64 = torch.float64
NOISE = 0.7
OBSERVED = torch.tensor([1.3, -0.5], dtype=F64)
PRIOR = MultivariateNormal(torch.zeros(2, dtype=F64), torch.eye(2, dtype=F64))
MEAN, VARIANCE = OBSERVED / (1 + NOISE), NOISE / (1 + NOISE)


def simulate(z):
    return z + math.sqrt(NOISE) * torch.randn_like(z)


def assert_moments(sample, mean, variance, slack=0.0):
    size = 1 / sample.weights.square().sum()
    assert ((sample.mean - mean).abs() < 5 * (variance / size) ** 0.5 + slack).all()
    assert ((sample.variance - variance).abs() < 5 * variance * (2 / size) ** 0.5 + slack).all()


@pytest.mark.parametrize("seed", range(3))
def test_small_tolerance_gives_the_posterior(seed):
    torch.manual_seed(seed)
    sample = rejection_abc(PRIOR, simulate, OBSERVED, 200_000, accept=0.01)
    assert sample.z.shape == sample.deviation.shape == (2000, 2) and sample.simulations == 200_000
    assert sample.tolerance < 0.35
    assert_moments(
        sample, MEAN, VARIANCE, slack=0.02
    )  # the tolerance adds about its square / 4 to the variance


@pytest.mark.parametrize("seed", range(3))
def test_regression_repairs_a_wide_tolerance(seed):
    torch.manual_seed(seed)
    wide = rejection_abc(PRIOR, simulate, OBSERVED, 20_000, accept=0.3)
    assert (wide.mean - MEAN).abs().max() > 0.1
    assert_moments(wide.regression_adjusted(), MEAN, VARIANCE)


def abc_sample(deviation):
    M = len(deviation)
    return ABCSample(
        torch.arange(M, dtype=F64)[:, None], torch.full((M,), 1 / M, dtype=F64), deviation, 1.0, M
    )


def test_regression_with_all_draws_at_one_distance_keeps_their_weights():
    angle = torch.linspace(0, 2 * math.pi, 9, dtype=F64)[:-1]
    sample = abc_sample(torch.stack([angle.cos(), angle.sin()], 1))
    sample.z[:, 0] = 2.0 + sample.deviation @ torch.tensor([3.0, -1.0], dtype=F64)
    for same in (sample, abc_sample(torch.zeros(8, 2, dtype=F64))):
        adjusted = same.regression_adjusted()
        torch.testing.assert_close(adjusted.weights, same.weights)
    torch.testing.assert_close(sample.regression_adjusted().z, torch.full((8, 1), 2.0, dtype=F64))


def test_regression_on_too_few_draws_is_refused():
    with pytest.raises(ValueError, match=r"deviation has shape \(3, 2\), expected at least 4 draws"):
        abc_sample(torch.randn(3, 2, dtype=F64)).regression_adjusted()


@pytest.mark.parametrize("seed", range(10))
def test_the_fewest_particles_span_the_space(seed):
    torch.manual_seed(seed)
    sample = smc_abc(PRIOR, simulate, OBSERVED, 6, rounds=2)
    assert torch.linalg.matrix_rank(sample.z - sample.z[0]) == 2


def test_rounds_reach_the_posterior_from_a_vague_prior():
    torch.manual_seed(0)
    vague = MultivariateNormal(torch.zeros(2, dtype=F64), 100 * torch.eye(2, dtype=F64))
    sample = smc_abc(vague, simulate, OBSERVED, 2000, rounds=7)
    assert sample.z.shape == (2000, 2)
    radius = (
        sample.tolerance * 0.6745 * math.sqrt(100 + NOISE)
    )  # summaries are scaled by their median deviation
    assert radius < 1.5
    # under a flat prior z is the observation, a uniform draw from a disc, and the noise
    assert_moments(sample, OBSERVED, NOISE + radius**2 / 4, slack=0.03)
    assert sample.simulations < 100_000
    torch.manual_seed(0)
    assert (
        rejection_abc(vague, simulate, OBSERVED, sample.simulations, accept=0.05).tolerance
        > 2 * sample.tolerance
    )


def test_rounds_respect_the_support_of_the_prior():
    torch.manual_seed(0)
    prior = Independent(Uniform(torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64)), 1)
    sample = smc_abc(prior, lambda z: z + 0.5 * torch.randn_like(z), torch.ones(1, dtype=F64), 1000, rounds=4)
    assert (sample.z >= 0).all() and (sample.z <= 1).all()
    grid = torch.linspace(0, 1, 1001, dtype=F64)
    density = torch.exp(-2 * (1 - grid) ** 2)
    mean = (grid * density).sum() / density.sum()
    assert_moments(sample, mean, (density * (grid - mean) ** 2).sum() / density.sum(), slack=0.005)


def test_weights_are_normalised_and_distances_within_the_tolerance():
    torch.manual_seed(0)
    for sample in (
        rejection_abc(PRIOR, simulate, OBSERVED, 1000),
        smc_abc(PRIOR, simulate, OBSERVED, 100, rounds=2),
    ):
        assert sample.weights.sum().item() == pytest.approx(1.0)
        assert (sample.deviation.norm(dim=1) <= sample.tolerance + 1e-12).all()


@pytest.mark.parametrize(
    "function, arguments", [(rejection_abc, dict(simulations=50)), (smc_abc, dict(particles=50, rounds=1))]
)
def test_bad_arguments_are_named(function, arguments):
    def run(simulator=simulate, observed=OBSERVED, **changes):
        return function(PRIOR, simulator, observed, **(arguments | changes))

    with pytest.raises(ValueError, match=r"observed has shape \(2, 2\)"):
        run(observed=torch.zeros(2, 2))
    with pytest.raises(ValueError, match="observed has shape .* NaN"):
        run(observed=torch.full((2,), math.nan))
    with pytest.raises(ValueError, match=r"simulator\(z\) has shape \(50, 1\), expected \(50, 2\)"):
        run(simulator=lambda z: z[:, :1])
    with pytest.raises(ValueError, match=r"simulator\(z\) has shape .* NaN"):
        run(simulator=lambda z: z * math.nan)
    with pytest.raises(ValueError, match=r"summaries \[1\] that hardly vary"):
        run(simulator=lambda z: z * torch.tensor([1.0, 0.0]))


def test_more_bad_arguments_are_named():
    with pytest.raises(ValueError, match="accept is 0"):
        rejection_abc(PRIOR, simulate, OBSERVED, 10, accept=0)
    with pytest.raises(ValueError, match="simulations is 0"):
        rejection_abc(PRIOR, simulate, OBSERVED, 0)
    with pytest.raises(ValueError, match="particles is 5, expected an integer >= 6"):
        smc_abc(PRIOR, simulate, OBSERVED, 5)
    for prior in (Normal(0.0, 1.0), Normal(torch.zeros(2), 1.0)):
        for method in (rejection_abc, smc_abc):
            with pytest.raises(ValueError, match=r"prior has batch shape .* expected \(\) and \(D,\)"):
                method(prior, simulate, OBSERVED, 100)
    with pytest.raises(ValueError, match="rounds is 0"):
        smc_abc(PRIOR, simulate, OBSERVED, 10, rounds=0)
    with pytest.raises(ValueError, match="max_simulations is 1000"):
        smc_abc(PRIOR, simulate, OBSERVED, 100, rounds=20, max_simulations=1000)
