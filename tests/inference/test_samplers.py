"""Laws of the Markov chain samplers. Chains start from exact draws, so any departure is the sampler's own."""

import math

import pytest
import torch
from torch.distributions import Gamma, MultivariateNormal

from gmtools.inference import adaptive_metropolis, hmc, leapfrog, mala, mcmc_ess, random_walk_metropolis, ula
from gmtools.inference.chains import DualAveraging

F64 = torch.float64

SAMPLERS = {
    "random walk": lambda f, z0, steps: random_walk_metropolis(f, z0, steps, step_size=1.2),
    "adaptive": lambda f, z0, steps: adaptive_metropolis(f, z0, steps, step_size=1.0, warmup=500),
    "mala": lambda f, z0, steps: mala(f, z0, steps, step_size=0.4),
    "mala, adapted": lambda f, z0, steps: mala(f, z0, steps, step_size=0.01, warmup=100),
    "hmc": lambda f, z0, steps: hmc(f, z0, steps, warmup=0, step_size=0.4, trajectory=1.2),
    "hmc, adapted": lambda f, z0, steps: hmc(f, z0, steps, warmup=100, step_size=0.01),
}
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS.keys())
every_function = pytest.mark.parametrize(
    "function", [random_walk_metropolis, adaptive_metropolis, ula, mala, hmc]
)


def gaussian_target():
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.8]], dtype=F64)
    target = MultivariateNormal(torch.tensor([1.0, -2.0], dtype=F64), covariance)
    return target.log_prob, target.sample, target.mean, covariance.diagonal()


def log_gamma_target(a=2.0):
    """v = log of a Gamma(a, 1) variable: skewed, with mean digamma(a) and variance trigamma(a)."""
    shape = torch.tensor([a], dtype=F64)

    def log_density(v):
        return (a * v - v.exp()).sum(-1)

    return (
        log_density,
        lambda n: Gamma(shape, 1.0).sample(n).log(),
        shape.digamma(),
        torch.special.polygamma(1, shape),
    )


def standard_normal(z):
    return -0.5 * z.square().sum(-1)


def assert_moments(samples, mean, variance):
    """Means and variances within five standard errors, taken from the spread between independent chains."""
    for values, expected in ((samples, mean), ((samples - mean).square(), variance)):
        by_chain = values.mean(0)
        error = by_chain.std(0) / math.sqrt(len(by_chain))
        assert ((by_chain.mean(0) - expected).abs() < 5 * error).all()
        assert (error < 0.05 * (1 + expected.abs())).all()  # the test has the power to fail


@every_sampler
@pytest.mark.parametrize("target", [gaussian_target, log_gamma_target])
def test_moments(sampler, target):
    log_density, draw, mean, variance = target()
    torch.manual_seed(0)
    run = sampler(log_density, draw((200,)), 300)
    assert run.samples.shape == (300, 200, len(mean))
    assert_moments(run.samples, mean, variance)
    torch.testing.assert_close(
        run.log_density, log_density(run.samples.flatten(0, 1)).unflatten(0, (300, 200))
    )
    assert (run.acceptance > 0.1).all() and (run.acceptance <= 1 + 1e-9).all()


@every_sampler
def test_chains_forget_a_distant_start(sampler):
    log_density, _, mean, _ = gaussian_target()
    torch.manual_seed(0)
    run = sampler(log_density, torch.full((16, 2), 8.0, dtype=F64), 500)
    tail = run.samples[200:]
    error = tail.flatten(0, 1).std(0) / mcmc_ess(tail, kind="mean").sqrt()
    assert ((tail.mean((0, 1)) - mean).abs() < 5 * error).all()


@every_sampler
def test_chains_are_independent_and_reproducible(sampler):
    z0 = torch.randn(3, 2, dtype=F64)
    runs = []
    for _ in range(2):
        torch.manual_seed(5)
        runs.append(sampler(standard_normal, z0, 50))
    assert torch.equal(runs[0].samples, runs[1].samples)
    assert not torch.equal(runs[0].samples[:, 0], runs[0].samples[:, 1])


@pytest.mark.parametrize("h", [0.1, 0.5, 1.0])
def test_ula_has_the_variance_of_its_discretisation(h):
    torch.manual_seed(0)
    exact = 1 / (1 - h / 2)
    start = math.sqrt(exact) * torch.randn(300, 1, dtype=F64)
    run = ula(standard_normal, start, 400, step_size=h)
    assert_moments(run.samples, torch.zeros(1, dtype=F64), torch.tensor([exact], dtype=F64))
    assert (run.acceptance == 1).all()


def test_mala_repairs_the_bias_of_ula():
    torch.manual_seed(0)
    run = mala(standard_normal, torch.randn(300, 1, dtype=F64), 400, step_size=1.0)
    assert_moments(run.samples, torch.zeros(1, dtype=F64), torch.ones(1, dtype=F64))


def test_ula_reports_divergence():
    with pytest.raises(ValueError, match="step_size is 3.0, expected a smaller one"):
        ula(standard_normal, torch.ones(2, 1), 3000, step_size=3.0)


@pytest.mark.parametrize("sampler", [random_walk_metropolis, adaptive_metropolis])
def test_support_with_a_boundary(sampler):
    def exponential(z):
        return torch.where(z[:, 0] > 0, -z[:, 0], -math.inf)

    torch.manual_seed(0)
    run = sampler(exponential, -torch.rand(200, 1, dtype=F64).log(), 500, step_size=2.0, warmup=100)
    assert (run.samples > 0).all()
    assert_moments(run.samples, torch.ones(1, dtype=F64), torch.ones(1, dtype=F64))


def test_nan_is_a_rejection():
    torch.manual_seed(0)
    run = random_walk_metropolis(lambda z: z[:, 0].log() - z[:, 0], torch.ones(20, 1), 200, step_size=2.0)
    assert (run.samples > 0).all()


def test_adaptive_metropolis_learns_the_covariance():
    scale = torch.tensor([1.0, 1e-3], dtype=F64)

    def log_density(z):
        return standard_normal(z / scale)

    torch.manual_seed(0)
    start = torch.zeros(8, 2, dtype=F64)
    fixed = random_walk_metropolis(log_density, start, 1000, step_size=2e-3, warmup=1000)
    adapted = adaptive_metropolis(log_density, start, 1000, step_size=2e-3, warmup=1000)
    assert adapted.ess.min() > 20 * fixed.ess.min()


@pytest.mark.parametrize("width", [1e-4, 1e-5])
def test_adaptive_metropolis_follows_a_narrow_ridge_in_single_precision(width):
    across = torch.tensor([0.8, -0.6])
    along = torch.tensor([0.6, 0.8])

    def log_density(z):
        return -0.5 * ((z @ along).square() + (z @ across / width).square())

    torch.manual_seed(0)
    run = adaptive_metropolis(log_density, torch.zeros(4, 2), 1000, step_size=width, warmup=1000)
    assert run.samples.isfinite().all() and (run.acceptance > 0.1).all()


def test_adaptive_metropolis_survives_a_ridge_below_its_precision():
    def log_density(z):
        return standard_normal(z @ torch.tensor([[0.6, 0.8e10], [0.8, -0.6e10]], dtype=F64))

    torch.manual_seed(0)
    run = adaptive_metropolis(log_density, torch.zeros(4, 2, dtype=F64), 500, step_size=1e-10, warmup=500)
    assert run.samples.isfinite().all() and (run.acceptance > 0.1).all()


@pytest.mark.parametrize("sampler, target", [(mala, 0.574), (hmc, 0.8), (hmc, 0.6)])
@pytest.mark.parametrize("start", [1e-3, 10.0])
def test_dual_averaging_reaches_the_target_acceptance(sampler, target, start):
    torch.manual_seed(0)
    run = sampler(
        standard_normal,
        torch.randn(20, 10, dtype=F64),
        200,
        warmup=300,
        step_size=start,
        target_acceptance=target,
    )
    assert run.acceptance.mean().item() == pytest.approx(target, abs=0.06)


def test_dual_averaging_by_its_formula():
    adaptation = DualAveraging(0.5, target=0.7)
    shortfall, log_average = 0.0, 0.0
    for t, acceptance in enumerate([0.1, 0.9, 0.4], start=1):
        adaptation.update(acceptance)
        shortfall = (1 - 1 / (t + 10)) * shortfall + (0.7 - acceptance) / (t + 10)
        log_step = math.log(5.0) - math.sqrt(t) / 0.05 * shortfall
        log_average = t**-0.75 * log_step + (1 - t**-0.75) * log_average
        assert adaptation.step_size == pytest.approx(math.exp(log_step))
    assert adaptation.finish() == pytest.approx(math.exp(log_average))
    assert DualAveraging(0.5, target=0.7).finish() == 0.5


def banana(z):
    return -0.5 * (z[:, 0] ** 2 + 4 * (z[:, 1] - z[:, 0] ** 2) ** 2)


def gradient_of_banana(z):
    return torch.func.grad(lambda z: banana(z).sum())(z)


def test_leapfrog_is_reversible_and_preserves_volume():
    torch.manual_seed(0)
    z, r = torch.randn(1, 2, dtype=F64), torch.randn(1, 2, dtype=F64)
    end, momentum, value, gradient = leapfrog(banana, z, r, gradient_of_banana(z), 0.1, 7)
    torch.testing.assert_close(value, banana(end))
    back, back_momentum, _, _ = leapfrog(banana, end, -momentum, gradient, 0.1, 7)
    torch.testing.assert_close(back, z)
    torch.testing.assert_close(back_momentum, -r)

    def flow(state, step=1e-5):
        z, r = state[None, :2], state[None, 2:]
        return torch.cat(leapfrog(banana, z, r, gradient_of_banana(z), 0.1, 7)[:2], -1)[0]

    state = torch.cat([z, r], -1)[0]
    shifts = 1e-5 * torch.eye(4, dtype=F64)
    jacobian = torch.stack([(flow(state + s) - flow(state - s)) / 2e-5 for s in shifts], -1)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1.0, abs=1e-7)


def test_leapfrog_energy_error_is_of_second_order():
    torch.manual_seed(0)
    z, r = torch.randn(50, 2, dtype=F64), torch.randn(50, 2, dtype=F64)
    errors = []
    for count in (100, 200):
        _, momentum, value, _ = leapfrog(banana, z, r, gradient_of_banana(z), 1.0 / count, count)
        energy = value - 0.5 * momentum.square().sum(-1)
        errors.append((energy - banana(z) + 0.5 * r.square().sum(-1)).abs().mean())
    assert (errors[0] / errors[1]).item() == pytest.approx(4.0, rel=0.05)


@every_function
@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(z0=torch.zeros(2)), r"z0 has shape \(2,\), expected \(C, D\)"),
        (dict(z0=torch.full((2, 2), math.nan)), "z0 has shape .* NaN"),
        (dict(z0=torch.zeros(3, 2).long()), "z0 has dtype torch.int64"),
        (dict(steps=0), "steps is 0"),
        (dict(warmup=-1), "warmup is -1"),
        (dict(step_size=0.0), "step_size has shape"),
        (dict(log_density=lambda z: z), r"log_density\(z0\) has shape \(3, 2\), expected \(3,\)"),
        (dict(log_density=lambda z: z[:, 0].log()), "start within the support"),
    ],
)
def test_bad_arguments_are_named(function, changes, message):
    arguments = dict(log_density=standard_normal, z0=torch.zeros(3, 2), steps=2, step_size=0.1) | changes
    with pytest.raises(ValueError, match=message):
        function(**arguments)


@pytest.mark.parametrize("function", [ula, mala, hmc])
def test_a_start_without_a_gradient_is_named(function):
    def kink(z):
        return -z.square().sum(-1).sqrt()

    with pytest.raises(ValueError, match="log_density has at z0 the gradient .*nan.* start elsewhere"):
        function(kink, torch.zeros(3, 2), 2, step_size=0.1)
    with pytest.raises(ValueError, match="log_density has at z0 the gradient .*inf.* start elsewhere"):
        function(lambda z: -z[:, 0].sqrt(), torch.zeros(3, 2), 2, step_size=0.1)


def test_more_bad_arguments_are_named():
    z0 = torch.zeros(3, 2)
    with pytest.raises(ValueError, match="target_acceptance is 1.5"):
        mala(standard_normal, z0, 2, step_size=0.1, target_acceptance=1.5)
    with pytest.raises(ValueError, match="trajectory"):
        hmc(standard_normal, z0, 2, trajectory=-1.0)
    with pytest.raises(ValueError, match="max_leapfrog is 0"):
        hmc(standard_normal, z0, 2, max_leapfrog=0)
    with pytest.raises(ValueError, match="count is 0"):
        leapfrog(standard_normal, z0, z0, z0, 0.1, 0)
