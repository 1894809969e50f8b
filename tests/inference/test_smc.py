import math

import pytest
import torch
from torch.distributions import Gamma, Independent, MultivariateNormal, Normal, Uniform

from gmtools.inference import annealed_importance_sampling, particle_filter, systematic_resampling
from gmtools.models import LinearDynamicalSystem

F64 = torch.float64


def linear_system(T=25, seed=0):
    """A two-dimensional linear dynamical system as arguments of the particle filter, and the exact answer."""
    torch.manual_seed(seed)
    model = LinearDynamicalSystem(d_x=2, d_z=2).double()
    x = model.sample(1, length=T)
    scales = [(0.5 * p.detach()).exp() for p in (model.log_p, model.log_q, model.log_r)]
    A, C = model.transition.detach(), model.observation.detach()
    arguments = dict(
        initial=Independent(Normal(model.initial_mean.detach(), scales[0]), 1),
        transition=lambda z: Independent(Normal(z @ A.T, scales[1]), 1),
        log_likelihood=lambda x_t, z: Normal(z @ C.T, scales[2]).log_prob(x_t).sum(-1),
        x=x[0],
    )
    with torch.no_grad():
        return arguments, model.filter(x)


@pytest.mark.parametrize("resample_below", [0.5, 1.0])
def test_particle_filter_agrees_with_the_kalman_filter(resample_below):
    arguments, exact = linear_system()
    torch.manual_seed(0)
    runs = [particle_filter(**arguments, K=3000, resample_below=resample_below) for _ in range(16)]
    means = torch.stack([run.mean for run in runs])
    error = means.std(0) / math.sqrt(16)
    assert ((means.mean(0) - exact.mean[0]).abs() < 5 * error + 0.01).all()  # 0.01: the bias of order 1/K
    ratio = torch.stack([run.log_evidence for run in runs]) - exact.log_prob
    assert ratio.std() < 0.5
    assert abs(ratio.exp().mean() - 1) < 5 * ratio.exp().std() / math.sqrt(16)


def test_without_resampling_it_is_importance_sampling_of_whole_paths():
    arguments, exact = linear_system(T=3)
    torch.manual_seed(0)
    run = particle_filter(**arguments, K=40_000, resample_below=0.0)
    assert (run.ancestors == torch.arange(40_000)).all()
    error = (1 / run.ess[-1]).sqrt()
    assert abs(run.log_evidence - exact.log_prob) < 5 * error
    assert (run.ess.diff() < 0).all()


def test_filter_shapes_and_weights():
    arguments, _ = linear_system(T=4)
    run = particle_filter(**arguments, K=50)
    assert run.particles.shape == (4, 50, 2) and run.log_w.shape == run.ancestors.shape == (4, 50)
    torch.testing.assert_close(run.log_w.exp().sum(1), torch.ones(4, dtype=F64))
    assert run.log_evidence.shape == () and run.mean.shape == (4, 2)


def test_systematic_resampling_rounds_and_is_unbiased():
    torch.manual_seed(0)
    log_w = 2 * torch.randn(20, 5000, dtype=F64)[:, :1].expand(20, 5000)  # 5000 repetitions of one problem
    expected = 20 * log_w.softmax(0)[:, 0]
    ancestors = systematic_resampling(log_w)
    counts = torch.stack([(ancestors == k).sum(0) for k in range(20)]).double()
    assert (counts >= expected.floor()[:, None]).all() and (counts <= expected.ceil()[:, None]).all()
    error = counts.std(1) / math.sqrt(5000)
    assert ((counts.mean(1) - expected).abs() <= 5 * error + 1e-12).all()


def test_systematic_resampling_keeps_columns_apart():
    torch.manual_seed(0)
    log_w = torch.full((6, 2, 2), -math.inf)
    log_w[1, 0], log_w[4, 1] = 0.0, 0.0
    ancestors = systematic_resampling(log_w)
    assert (ancestors[:, 0] == 1).all() and (ancestors[:, 1] == 4).all()


def gaussian_problem(N=4, repetitions=1):
    """z ~ N(0, I_3), x_n | z ~ N(z, 0.2): a far posterior for each of N data points, each several times."""
    torch.manual_seed(3)
    x = (2 * torch.randn(N, 3, dtype=F64)).expand(repetitions, N, 3)
    base = MultivariateNormal(torch.zeros_like(x), torch.eye(3, dtype=F64))

    def log_joint(z):
        return base.log_prob(z) + Normal(z, math.sqrt(0.2)).log_prob(x).sum(-1)

    exact = Normal(torch.zeros_like(x), math.sqrt(1.2)).log_prob(x).sum(-1)
    return log_joint, base, exact, x / 1.2


@pytest.mark.parametrize("resample_below", [0.0, 0.5])
def test_annealing_finds_the_evidence_and_the_posterior(resample_below):
    repetitions = 30
    log_joint, base, exact, mean = gaussian_problem(repetitions=repetitions)
    torch.manual_seed(0)
    sample = annealed_importance_sampling(
        log_joint, base, 100, temperatures=30, step_size=0.25, leapfrog_steps=3, resample_below=resample_below
    )
    assert sample.z.shape == (100, repetitions, 4, 3) and sample.log_w.shape == (100, repetitions, 4)
    ratio, means = (sample.log_evidence - exact).exp(), sample.expectation() - mean
    assert (ratio.std(0) < 0.5).all()
    assert ((ratio.mean(0) - 1).abs() < 5 * ratio.std(0) / math.sqrt(repetitions)).all()
    assert (means.mean(0).abs() < 5 * means.std(0) / math.sqrt(repetitions) + 0.02).all()  # 0.02: bias of 1/K


def test_annealing_beats_importance_sampling_from_the_base():
    log_joint, base, _, _ = gaussian_problem()
    torch.manual_seed(0)
    one = annealed_importance_sampling(log_joint, base, 500, temperatures=1, step_size=0.25)
    many = annealed_importance_sampling(log_joint, base, 500, temperatures=50, step_size=0.25)
    assert (many.ess > 5 * one.ess).all()


def test_one_temperature_is_importance_sampling():
    log_joint, base, _, _ = gaussian_problem()
    torch.manual_seed(0)
    sample = annealed_importance_sampling(log_joint, base, 7, temperatures=1, step_size=0.1)
    torch.manual_seed(0)
    z = base.sample((7,))
    torch.testing.assert_close(sample.log_w, log_joint(z) - base.log_prob(z))


def test_a_given_ladder_is_used():
    log_joint, base, _, _ = gaussian_problem()
    samples = []
    for temperatures in (4, torch.linspace(0, 1, 5)):
        torch.manual_seed(0)
        samples.append(
            annealed_importance_sampling(log_joint, base, 5, temperatures=temperatures, step_size=0.1)
        )
    torch.testing.assert_close(samples[0].log_w, samples[1].log_w)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(K=0), "K is 0"),
        (dict(step_size=0.0), "step_size"),
        (dict(leapfrog_steps=0), "leapfrog_steps is 0"),
        (dict(temperatures=0), "temperatures is 0"),
        (dict(temperatures=torch.tensor([0.0, 0.7, 0.5, 1.0])), "temperatures is .*rising from 0 to 1"),
        (dict(resample_below=2.0), "resample_below is 2.0"),
        (dict(base=Normal(torch.zeros(2), 1.0)), r"base has event shape \(\), expected \(D,\)"),
        (dict(base=Independent(Uniform(torch.zeros(2), 1.0), 1)), "base has support .* expected all of R"),
        (dict(base=Independent(Gamma(torch.ones(2), 1.0), 1)), "base has support .* expected all of R"),
        (dict(log_joint=lambda z: z), r"log_joint\(z\) has shape \(5, 2\), expected \(5,\)"),
        (dict(log_joint=lambda z: z.sum(-1) * math.nan), r"log_joint\(z\) has shape .* NaN"),
    ],
)
def test_bad_arguments_of_annealing_are_named(changes, message):
    base = MultivariateNormal(torch.zeros(2), torch.eye(2))
    arguments = dict(log_joint=base.log_prob, base=base, K=5, temperatures=3, step_size=0.1) | changes
    with pytest.raises(ValueError, match=message):
        annealed_importance_sampling(**arguments)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(K=0), "K is 0"),
        (dict(x=torch.zeros(0, 2)), "expected .* T >= 1"),
        (dict(resample_below=-1.0), "resample_below is -1.0"),
        (dict(initial=Normal(0.0, 1.0)), r"initial.sample\(\(K,\)\) has shape \(5,\)"),
        (dict(log_likelihood=lambda x, z: z), r"log_likelihood\(x_t, z\) has shape \(5, 2\)"),
        (dict(log_likelihood=lambda x, z: z[:, 0] * math.nan), r"log_likelihood\(x_t, z\) .* NaN"),
        (dict(log_likelihood=lambda x, z: z[:, 0] * 0 - math.inf), "x has at time 0 an observation"),
    ],
)
def test_bad_arguments_of_the_particle_filter_are_named(changes, message):
    arguments, _ = linear_system(T=3)
    with pytest.raises(ValueError, match=message):
        particle_filter(**(arguments | dict(K=5) | changes))


def test_bad_weights_are_named():
    for bad in (torch.zeros(0, 2), torch.full((3,), math.nan), torch.full((3,), -math.inf)):
        with pytest.raises(ValueError, match="log_w has shape"):
            systematic_resampling(bad)
