"""Laws of implicit reparametrisation, the von Mises distribution and the relaxations."""

import math

import pytest
import torch
from scipy import stats
from torch.distributions import (
    Bernoulli,
    Categorical,
    Exponential,
    Gamma,
    Gumbel,
    Independent,
    Laplace,
    MixtureSameFamily,
    Normal,
    OneHotCategorical,
    Weibull,
)

from gmtools.gradients import (
    VonMises,
    gradient_moments,
    gumbel_softmax,
    implicit,
    relax,
    straight_through,
)


@pytest.mark.parametrize(
    "family, parameters",
    [
        (Normal, (0.5, 1.3)),
        (Laplace, (0.5, 1.3)),
        (Gumbel, (0.5, 1.3)),
        (Weibull, (1.2, 1.7)),
        (Exponential, (0.6,)),
    ],
)
def test_implicit_equals_explicit(family, parameters):
    """z = F⁻¹(u): torch's own inverse gives the derivative along the same draws."""
    parameters = [torch.tensor(p).requires_grad_() for p in parameters]
    q = family(*parameters)
    u = torch.linspace(0.01, 0.99, 24)  # not the median: the Laplace density has a kink there
    z = q.icdf(u)
    mine = implicit(z, q.cdf, q.log_prob)
    assert torch.equal(mine, z)
    for got, want in zip(torch.autograd.grad(mine.sum(), parameters, retain_graph=True),
                         torch.autograd.grad(z.sum(), parameters), strict=True):  # fmt: skip
        torch.testing.assert_close(got, want)


def test_implicit_equals_torchs_gamma():
    rate = torch.tensor(1.5, requires_grad=True)
    q = Gamma(torch.tensor(2.3), rate)
    z = q.rsample((100,))
    mine = implicit(z, q.cdf, q.log_prob)
    for power in (1, 2):
        (got,) = torch.autograd.grad((mine**power).sum(), rate, retain_graph=True)
        (want,) = torch.autograd.grad((z**power).sum(), rate, retain_graph=True)
        torch.testing.assert_close(got, want)


def test_implicit_mixture_of_normals_is_unbiased(assert_unbiased):
    def surrogate(logits, loc, scale):
        q = MixtureSameFamily(Categorical(logits=logits), Normal(loc, scale))
        return implicit(q.sample(), q.cdf, q.log_prob) ** 2

    parameters = (torch.tensor([0.2, -0.5]), torch.tensor([-1.0, 1.5]), torch.tensor([0.5, 1.0]))
    assert_unbiased(surrogate, parameters, lambda a, m, s: (a.softmax(-1) * (m**2 + s**2)).sum())


@pytest.mark.parametrize("concentration", [0.05, 1.0, 20.0, 5000.0])
class TestVonMises:
    def test_density_integrates_to_one(self, concentration):
        z = torch.linspace(-math.pi, math.pi, 200_001)
        density = VonMises(torch.tensor(0.4), torch.tensor(concentration)).log_prob(z).exp()
        assert torch.trapezoid(density, z).item() == pytest.approx(1.0, abs=1e-9)

    def test_cdf_and_density_agree_with_scipy(self, concentration):
        width = min(3.0, 5 / concentration**0.5)
        z = torch.linspace(-width, width, 41)
        q, peer = VonMises(torch.tensor(0.0), torch.tensor(concentration)), stats.vonmises(concentration)
        # scipy switches to a normal approximation above concentration 50
        tolerance = 1e-10 if concentration <= 50 else 1e-5
        torch.testing.assert_close(q.cdf(z), torch.as_tensor(peer.cdf(z.numpy())), atol=tolerance, rtol=0)
        torch.testing.assert_close(
            q.log_prob(z), torch.as_tensor(peer.logpdf(z.numpy())), atol=1e-8, rtol=1e-8
        )

    def test_cdf_is_the_integral_of_the_density(self, concentration):
        width = min(3.0, 5 / concentration**0.5)
        q = VonMises(torch.tensor(0.0), torch.tensor(concentration))
        z = torch.linspace(-width, width, 21).requires_grad_()
        (slope,) = torch.autograd.grad(q.cdf(z).sum(), z)
        torch.testing.assert_close(slope, q.log_prob(z).exp())

    def test_gradient_is_unbiased(self, concentration, assert_unbiased):
        """E cos z = A(κ) cos μ with A = I1/I0."""

        def exact(loc, kappa):
            return torch.special.i1e(kappa) / torch.special.i0e(kappa) * loc.cos()

        parameters = (torch.tensor(0.4), torch.tensor(concentration))
        assert_unbiased(lambda m, k: VonMises(m, k).rsample().cos(), parameters, exact)


def test_von_mises_batches_wraps_and_rejects():
    q = VonMises(torch.tensor([[3.0], [-3.0]]), torch.tensor([0.5, 1.0, 2.0]))
    z = q.rsample((4,))
    assert z.shape == (4, 2, 3) and z.abs().max() <= math.pi
    torch.testing.assert_close(q.cdf(z), q.cdf(z + 2 * math.pi))
    with pytest.raises(ValueError, match="concentration"):
        VonMises(torch.tensor(0.0), torch.tensor(-1.0))


LOGITS = torch.tensor([0.5, -0.3, 0.1], dtype=torch.float64)


def square(z):
    return (z @ torch.tensor([1.0, -1.0, 2.0])) ** 2


def relaxed_moments(estimator, temperature):
    def surrogate(logits):
        return estimator(square, OneHotCategorical(logits=logits), K=1, temperature=temperature)

    return gradient_moments(surrogate, (LOGITS,), 40_000)[0]


def exact_gradient():
    logits = LOGITS.clone().requires_grad_()
    return torch.autograd.grad((logits.softmax(-1) * torch.tensor([1.0, 1.0, 4.0])).sum(), logits)[0]


def test_temperature_trades_bias_for_variance():
    cold, hot = (relaxed_moments(gumbel_softmax, t) for t in (0.1, 2.0))
    bias = [(m.mean - exact_gradient()).abs().max() for m in (cold, hot)]
    assert bias[1] > 0.2 and bias[1] > 10 * hot.standard_error.max()  # a real bias
    assert bias[0] < bias[1] / 3
    assert cold.variance.max() > 2 * hot.variance.max()


def test_straight_through_is_biased_but_its_value_is_not():
    moments = relaxed_moments(straight_through, 1.0)
    assert ((moments.mean - exact_gradient()).abs() > 10 * moments.standard_error).any()
    q = OneHotCategorical(logits=LOGITS.expand(40_000, 3))
    values = straight_through(square, q, K=1, temperature=1.0)
    exact = (LOGITS.softmax(-1) * torch.tensor([1.0, 1.0, 4.0])).sum()
    assert (values.mean() - exact).abs() < 5 * values.std() / 200


@pytest.mark.parametrize("temperature", [None, 0.7])
@pytest.mark.parametrize(
    "q",
    [OneHotCategorical(logits=LOGITS), Bernoulli(logits=LOGITS), Independent(Bernoulli(logits=LOGITS), 1)],
)
def test_straight_through_shows_hard_draws_with_the_right_frequencies(q, temperature):
    seen = []

    def record(z):
        seen.append(z)
        return z.sum(-1) if q.event_shape else z

    straight_through(record, q, K=40_000, temperature=temperature)
    z = seen[0]
    torch.testing.assert_close(z, z.round())
    error = (q.mean * (1 - q.mean) / 40_000).sqrt()
    assert ((z.mean(0) - q.mean).abs() < 5 * error).all()


def test_relaxation_keeps_shapes():
    q = Independent(OneHotCategorical(logits=torch.zeros(5, 4, 3)), 1)
    relaxed = relax(q, 0.5)
    assert (relaxed.batch_shape, relaxed.event_shape) == (q.batch_shape, q.event_shape)
    assert relaxed.rsample((2,)).shape == (2, 5, 4, 3)
