"""Law: an estimator's mean is the analytic gradient, within its standard error."""

import itertools
from functools import partial

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Beta,
    Dirichlet,
    Exponential,
    Gamma,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
    Poisson,
)

from gmtools.gradients import (
    gaussian_first_order,
    gaussian_second_order,
    leave_one_out,
    measure_valued,
    pathwise,
    score_function,
    straight_through,
)

SCORE = [
    pytest.param(partial(score_function, K=3), id="score"),
    pytest.param(partial(score_function, K=3, baseline=1.7), id="baseline"),
    pytest.param(partial(leave_one_out, K=3), id="leave-one-out"),
]
GAUSSIAN = [
    pytest.param(partial(pathwise, K=2), id="pathwise"),
    pytest.param(partial(gaussian_first_order, K=2), id="first-order"),
    pytest.param(partial(gaussian_second_order, K=2), id="second-order"),
    pytest.param(partial(gaussian_second_order, K=2, probes=1), id="one-probe"),
    pytest.param(partial(gaussian_second_order, K=2, probes=3), id="three-probes"),
]
WEAK = [pytest.param(partial(measure_valued, K=2), id="measure-valued")]

POLYNOMIALS = {
    "quadratic": (lambda z: z**2 - z, lambda m, s: m**2 + s**2 - m),
    "cubic": (lambda z: z**3, lambda m, s: m**3 + 3 * m * s**2),
    "exponential": (lambda z: (z / 2).exp(), lambda m, s: (m / 2 + s**2 / 8).exp()),
}


@pytest.mark.parametrize("estimator", SCORE + GAUSSIAN + WEAK)
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_normal_mean_and_scale(estimator, name, assert_unbiased):
    f, exact = POLYNOMIALS[name]
    parameters = (torch.tensor(0.7), torch.tensor(0.6))
    assert_unbiased(lambda m, s: estimator(f, Normal(m, s)), parameters, exact)


A = torch.tensor([[1.0, 0.5, 0.0], [0.5, -1.0, 0.3], [0.0, 0.3, 0.4]], dtype=torch.float64)
B = torch.tensor([0.4, -0.3, 0.5], dtype=torch.float64)
LOC = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
TRIL = torch.tensor([[0.8, 0.0, 0.0], [0.3, 0.6, 0.0], [-0.2, 0.1, 0.5]], dtype=torch.float64)


def mixed(z):
    """z'Az + exp(b'z): curved, not separable, with a Gaussian expectation in closed form."""
    return ((z @ A) * z).sum(-1) + (z @ B).exp()


def mixed_expectation(loc, covariance):
    moment = (A * (covariance + torch.outer(loc, loc))).sum()
    return moment + (loc @ B + B @ covariance @ B / 2).exp()


@pytest.mark.parametrize("estimator", SCORE + GAUSSIAN)
def test_multivariate_normal(estimator, assert_unbiased):
    def exact(loc, tril):
        return mixed_expectation(loc, tril.tril() @ tril.tril().T)

    def surrogate(loc, tril):
        return estimator(mixed, MultivariateNormal(loc, scale_tril=tril.tril()))

    assert_unbiased(surrogate, (LOC, TRIL), exact)


@pytest.mark.parametrize("estimator", GAUSSIAN)
def test_low_rank_normal(estimator, assert_unbiased):
    def exact(loc, factor, diagonal):
        return mixed_expectation(loc, factor @ factor.T + diagonal.diag())

    def surrogate(loc, factor, diagonal):
        return estimator(mixed, LowRankMultivariateNormal(loc, factor, diagonal))

    assert_unbiased(surrogate, (LOC, TRIL[:, :2] + 0.1, TRIL.diag()), exact)


@pytest.mark.parametrize("estimator", SCORE + GAUSSIAN + WEAK)
def test_independent_normal(estimator, assert_unbiased):
    assert_unbiased(
        lambda loc, scale: estimator(mixed, Independent(Normal(loc, scale), 1)),
        (LOC, TRIL.diag()),
        lambda loc, scale: mixed_expectation(loc, scale.diag() ** 2),
    )


STATES = torch.tensor(list(itertools.product([0.0, 1.0], repeat=3)), dtype=torch.float64)


def energy(z):
    """Three interacting bits; a jump in f is allowed where f is not differentiated."""
    return z[..., 0] * z[..., 1] - 2 * z[..., 2] + (z.sum(-1) > 1.5)


@pytest.mark.parametrize("estimator", SCORE + WEAK)
def test_enumerated_bernoulli(estimator, assert_unbiased):
    def exact(logits):
        q = Independent(Bernoulli(logits=logits), 1)
        return (q.log_prob(STATES).exp() * energy(STATES)).sum()

    def surrogate(logits):
        return estimator(energy, Independent(Bernoulli(logits=logits), 1))

    assert_unbiased(surrogate, (torch.tensor([0.5, -1.0, 0.2]),), exact)


@pytest.mark.parametrize("estimator", SCORE)
def test_enumerated_categorical(estimator, assert_unbiased):
    values = torch.tensor([3.0, -1.0, 0.5, 2.0])
    assert_unbiased(
        lambda logits: estimator(lambda z: (z @ values) ** 2, OneHotCategorical(logits=logits)),
        (torch.tensor([0.5, 0.0, -1.0, 0.3]),),
        lambda logits: (logits.softmax(-1) * values**2).sum(),
    )


def test_straight_through_is_unbiased_for_a_linear_function(assert_unbiased):
    values = torch.tensor([3.0, -1.0, 0.5, 2.0])
    assert_unbiased(
        lambda logits: straight_through(lambda z: z @ values, OneHotCategorical(logits=logits), K=2),
        (torch.tensor([0.5, 0.0, -1.0, 0.3]),),
        lambda logits: (logits.softmax(-1) * values).sum(),
    )


def test_straight_through_is_unbiased_for_a_product_of_independent_bits(assert_unbiased):
    assert_unbiased(
        lambda logits: straight_through(lambda z: z.prod(-1), Independent(Bernoulli(logits=logits), 1), K=2),
        (torch.tensor([0.5, 0.0, 1.0]),),
        lambda logits: logits.sigmoid().prod(),
    )


@pytest.mark.parametrize("estimator", SCORE + WEAK)
@pytest.mark.parametrize(
    "family, f, exact",
    [
        pytest.param(Poisson, torch.square, lambda r: r + r**2, id="poisson-square"),
        pytest.param(
            Poisson,
            lambda z: (-z / 2).exp(),
            lambda r: (r * ((r * 0 - 0.5).exp() - 1)).exp(),
            id="poisson-exp",
        ),
        pytest.param(Exponential, torch.square, lambda r: 2 / r**2, id="exponential-square"),
        pytest.param(Exponential, lambda z: 1.0 * (z > 1), lambda r: (-r).exp(), id="exponential-jump"),
    ],
)
def test_positive_families(estimator, family, f, exact, assert_unbiased):
    assert_unbiased(lambda rate: estimator(f, family(rate)), (torch.tensor(1.3),), exact)


@pytest.mark.parametrize(
    "family, f, exact",
    [
        pytest.param(Gamma, torch.square, lambda a, b: a * (a + 1) / b**2, id="gamma"),
        pytest.param(Beta, torch.square, lambda a, b: a * (a + 1) / ((a + b) * (a + b + 1)), id="beta"),
    ],
)
def test_implicit_families_of_torch(family, f, exact, assert_unbiased):
    parameters = (torch.tensor(1.4), torch.tensor(0.8))
    assert_unbiased(lambda a, b: pathwise(f, family(a, b), K=2), parameters, exact)


def test_dirichlet(assert_unbiased):
    assert_unbiased(
        lambda a: pathwise(lambda z: z[..., 0] ** 2, Dirichlet(a), K=2),
        (torch.tensor([0.9, 1.5, 2.0]),),
        lambda a: a[0] * (a[0] + 1) / (a.sum() * (a.sum() + 1)),
    )


@pytest.mark.parametrize("estimator", SCORE + GAUSSIAN + WEAK)
def test_parameters_inside_the_function_get_their_gradient(estimator, assert_unbiased):
    """The ELBO: f holds a model parameter t and log q itself. E_q[-t z²/2 - log q] is known."""

    def surrogate(loc, scale, t):
        q = Normal(loc, scale)
        return estimator(lambda z: -t.broadcast_to(z.shape[1:]) * z**2 / 2 - q.log_prob(z), q)

    def exact(loc, scale, t):
        return -t * (loc**2 + scale**2) / 2 + scale.log()

    assert_unbiased(surrogate, (torch.tensor(0.7), torch.tensor(0.6), torch.tensor(1.5)), exact)


@pytest.mark.parametrize("estimator", SCORE + GAUSSIAN + WEAK)
def test_the_value_is_the_mean_of_f(estimator):
    loc = torch.full((20_000,), 0.7)
    values = estimator(torch.square, Normal(loc, 0.6))
    error = (values.mean() - (0.7**2 + 0.6**2)).abs()
    assert error < 5 * values.std() / len(loc) ** 0.5
