"""Laws that every posterior obeys, with and without a context."""

import pytest
import torch
from torch.distributions import Laplace

from gmtools.distributions import rsample_and_log_prob
from gmtools.flows import Planar, masked_autoregressive_flow, real_nvp
from gmtools.gradients import sticking_the_landing
from gmtools.posteriors import (
    Auxiliary,
    Copula,
    FlowPosterior,
    FullCovariance,
    LowRankCovariance,
    MeanField,
    Mixture,
    Structured,
    chain_parents,
)


def laplaces(raw):
    return Laplace(raw[..., 0], raw[..., 1].exp())


EXACT = {
    "mean field": lambda dim, c: MeanField(dim, c, hidden=(8,)),
    "full covariance": lambda dim, c: FullCovariance(dim, c, hidden=(8,)),
    "low rank": lambda dim, c: LowRankCovariance(dim, 1, c, hidden=(8,)),
    "mixture": lambda dim, c: Mixture(dim, 3, c, hidden=(8,)),
    "copula of mixtures": lambda dim, c: Copula(dim, d_context=c, hidden=(8,)),
    "copula of Laplaces": lambda dim, c: Copula(dim, laplaces, 2, c, hidden=(8,)),
    "structured": lambda dim, c: Structured(dim, d_context=c, hidden=(8,)),
    "structured chain": lambda dim, c: Structured(dim, chain_parents(dim, 1), c, hidden=(8,)),
    "flow, real nvp": lambda dim, c: FlowPosterior(
        real_nvp(dim, 2, hidden=(8,), d_context=c), c, hidden=(8,)
    ),
    "flow, iaf": lambda dim, c: FlowPosterior(
        masked_autoregressive_flow(dim, 2, hidden=(8,), d_context=c).inverse_bijection, c, hidden=(8,)
    ),
    "flow, shared planar": lambda dim, c: FlowPosterior(Planar(dim, layers=4), c, hidden=(8,)),
}
ALL = EXACT | {"auxiliary": lambda dim, c: Auxiliary(dim, 2, c, hidden=(8,))}
every = pytest.mark.parametrize("name", ALL)
every_exact = pytest.mark.parametrize("name", EXACT)


def shaken(posterior, by=0.3):
    """Away from the start, where many derivatives vanish and correlations are zero."""
    with torch.no_grad():
        for p in posterior.parameters():
            p.add_(by * torch.randn_like(p))
    return posterior


@every
@pytest.mark.parametrize("sample_shape", [(), (5,), (2, 5)])
def test_shapes(name, sample_shape):
    free, amortised = ALL[name](3, 0)(), ALL[name](3, 4)
    z, log_q = rsample_and_log_prob(free, sample_shape)
    assert z.shape == (*sample_shape, 3) and log_q.shape == sample_shape
    assert (free.batch_shape, free.event_shape) == ((), (3,))
    for batch in [(7,), (2, 7)]:
        q = amortised(torch.randn(*batch, 4))
        z, log_q = rsample_and_log_prob(q, sample_shape)
        assert (
            z.shape
            == q.rsample(sample_shape).shape
            == q.sample(sample_shape).shape
            == (*sample_shape, *batch, 3)
        )
        assert log_q.shape == (*sample_shape, *batch)
        assert (q.batch_shape, q.event_shape) == (batch, (3,))


@every_exact
@pytest.mark.parametrize("d_context", [0, 4])
def test_drawing_and_scoring_agree(name, d_context):
    posterior = shaken(EXACT[name](3, d_context))
    q = posterior(torch.randn(7, 4) if d_context else None)
    z, log_q = rsample_and_log_prob(q, (50,))
    torch.testing.assert_close(log_q, q.log_prob(z), rtol=1e-7, atol=1e-7)


STRETCHED = ("flow, real nvp",)  # scales multiply from layer to layer: a few draws land far out
KINKED = ("copula of Laplaces",)  # no smooth density: the trapezoidal rule converges slowly


def quadrature_for(name):
    half_width, n, tolerance = (25.0, 501, 3e-3) if name in KINKED else (16.0, 401, 1e-4)
    if name in STRETCHED:
        half_width, n, tolerance = 40.0, 801, 1e-3
    x = torch.linspace(-half_width, half_width, n)
    return torch.cartesian_prod(x, x), (x[1] - x[0]) ** 2, tolerance


@every_exact
def test_density_integrates_to_one_and_fits_the_draws(name):
    q = shaken(EXACT[name](2, 3), by=0.2)(torch.randn(3))
    points, cell, tolerance = quadrature_for(name)
    density = q.log_prob(points).exp().detach()
    assert (density.sum() * cell).item() == pytest.approx(1.0, abs=tolerance)
    for moment in (lambda z: z[..., 0].tanh(), lambda z: (z[..., 0] * z[..., 1]).tanh()):
        expected = (density * moment(points)).sum() * cell
        drawn = moment(q.sample((20_000,)))
        assert (drawn.mean() - expected).abs() < 5 * drawn.std() / 20_000**0.5 + tolerance


@every
@pytest.mark.parametrize("d_context", [0, 4])
def test_every_parameter_gets_a_finite_gradient(name, d_context):
    posterior = shaken(ALL[name](3, d_context), by=0.1)
    z, log_q = rsample_and_log_prob(posterior(torch.randn(7, 4) if d_context else None), (20,))
    (-(z**2).sum(-1) / 2 + z[..., 0] * z[..., 1] / 2 - log_q).mean().backward()
    for parameter_name, p in posterior.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), parameter_name
        assert p.grad.abs().max() > 0, parameter_name


@every_exact
def test_pathwise_gradient_is_unbiased(name):
    """The slope of E_q f along a random direction of all parameters, against the same by quadrature."""
    posterior = shaken(EXACT[name](2, 0))
    parameters = list(posterior.parameters())
    direction = [torch.randn_like(p) for p in parameters]

    def slope_of(expectation):
        gradients = torch.autograd.grad(expectation, parameters, materialize_grads=True, allow_unused=True)
        return sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))

    def f(z):
        return (z[..., 0] + z[..., 1]).tanh()

    points, cell, tolerance = quadrature_for(name)
    exact = slope_of((posterior().log_prob(points).exp() * f(points)).sum() * cell)
    slopes = torch.stack([slope_of(f(posterior().rsample((100,))).mean()) for _ in range(40)])
    assert (slopes.mean() - exact).abs() < 5 * slopes.std() / 40**0.5 + 10 * tolerance * (name in KINKED)


@every
@pytest.mark.parametrize("d_context", [0, 4])
def test_state_dict_round_trip(name, d_context):
    posterior, twin = shaken(ALL[name](3, d_context)), ALL[name](3, d_context)
    twin.load_state_dict(posterior.state_dict())
    context = torch.randn(7, 4) if d_context else None
    torch.manual_seed(1)
    mine = rsample_and_log_prob(posterior(context), (5,))
    torch.manual_seed(1)
    theirs = rsample_and_log_prob(twin(context), (5,))
    assert torch.equal(mine[0], theirs[0]) and torch.equal(mine[1], theirs[1])


@every
def test_a_training_step_compiles_as_one_graph(name, compile_whole):
    posterior, context = shaken(ALL[name](2, 3), by=0.1), torch.randn(5, 3)

    def step(context):
        z, log_q = rsample_and_log_prob(posterior(context), (4,))
        return (log_q + (z**2).sum(-1)).mean()

    gradients = []
    for run in (compile_whole(step), step):
        torch.manual_seed(1)
        gradients.append(torch.autograd.grad(run(context), list(posterior.parameters())))
    for compiled, eager in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, eager, rtol=1e-6, atol=1e-9)


@every_exact
def test_the_gradient_estimators_take_every_posterior(name):
    posterior = shaken(EXACT[name](2, 3), by=0.1)
    target = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    sticking_the_landing(target.log_prob, posterior(torch.randn(5, 3)), K=4).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in posterior.parameters())


@every
def test_contexts_that_do_not_fit_are_errors(name):
    with pytest.raises(ValueError, match="context is None, expected shape"):
        ALL[name](3, 4)()
    with pytest.raises(ValueError, match="context has shape"):
        ALL[name](3, 4)(torch.zeros(7, 5))
    with pytest.raises(ValueError, match="context has shape"):
        ALL[name](3, 0)(torch.zeros(7, 4))


@every_exact
def test_values_that_do_not_fit_are_errors(name):
    with pytest.raises(ValueError):
        EXACT[name](3, 0)().log_prob(torch.zeros(5, 4))


def test_sizes_that_make_no_sense_are_errors():
    for make in (MeanField, FullCovariance, Copula, Structured):
        with pytest.raises(ValueError, match="dim is 0"):
            make(0)
    for make in (LowRankCovariance, Mixture, Auxiliary):
        with pytest.raises(ValueError, match="is 0, expected an integer >= 1"):
            make(3, 0)
    with pytest.raises(ValueError, match="bijection has d_context=4"):
        FlowPosterior(real_nvp(2, 2, d_context=4), d_context=3)


def test_float32_and_a_large_batch_stay_finite():
    torch.set_default_dtype(torch.float32)
    for name, make in ALL.items():
        posterior = shaken(make(3, 2))
        z, log_q = rsample_and_log_prob(posterior(torch.randn(2000, 2)), (10,))
        (gradient,) = torch.autograd.grad(log_q.mean() + z.square().mean(), [next(posterior.parameters())])
        assert z.isfinite().all() and log_q.isfinite().all() and gradient.isfinite().all(), name
