"""Shapes, errors, variances that theory orders, and whole compiled graphs."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.distributions import (
    Bernoulli,
    Categorical,
    Gamma,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    OneHotCategorical,
)

from gmtools.flows import Flow, real_nvp
from gmtools.gradients import (
    doubly_reparametrised,
    gaussian_first_order,
    gaussian_second_order,
    gradient_moments,
    gradient_samples,
    gumbel_softmax,
    implicit,
    leave_one_out,
    measure_valued,
    pathwise,
    score_function,
    sticking_the_landing,
    straight_through,
    vimco,
)

ESTIMATORS = {
    "score_function": (score_function, "gaussian"),
    "leave_one_out": (leave_one_out, "gaussian"),
    "pathwise": (pathwise, "gaussian"),
    "gaussian_first_order": (gaussian_first_order, "gaussian"),
    "gaussian_second_order": (gaussian_second_order, "gaussian"),
    "gaussian_second_order, one probe": (partial(gaussian_second_order, probes=1), "gaussian"),
    "measure_valued": (measure_valued, "gaussian"),
    "sticking_the_landing": (sticking_the_landing, "gaussian"),
    "doubly_reparametrised": (doubly_reparametrised, "gaussian"),
    "vimco": (vimco, "gaussian"),
    "gumbel_softmax": (partial(gumbel_softmax, temperature=0.5), "one-hot"),
    "straight_through": (straight_through, "one-hot"),
    "straight_through, softmax": (partial(straight_through, temperature=0.5), "one-hot"),
    "score_function, bits": (score_function, "bits"),
    "measure_valued, bits": (measure_valued, "bits"),
    "vimco, bits": (vimco, "bits"),
}
estimators = pytest.mark.parametrize("name", ESTIMATORS)


def make_q(kind, raw):
    if kind == "gaussian":
        return Independent(Normal(raw, nn.functional.softplus(raw) + 0.1), 1)
    return OneHotCategorical(logits=raw) if kind == "one-hot" else Independent(Bernoulli(logits=raw), 1)


def f(z):
    return (z**2).sum(-1) + z[..., 0]


@estimators
@pytest.mark.parametrize("batch", [(), (5,), (2, 5)])
def test_batch_shapes_and_finite_gradients(name, batch):
    estimator, kind = ESTIMATORS[name]
    raw = torch.randn(*batch, 3, requires_grad=True)
    surrogate = estimator(f, make_q(kind, raw), K=4)
    assert surrogate.shape == batch
    surrogate.sum().backward()
    assert raw.grad.isfinite().all() and raw.grad.abs().sum() > 0


@estimators
def test_compiles_as_one_graph(name, compile_whole):
    estimator, kind = ESTIMATORS[name]
    encoder, decoder = nn.Linear(2, 3), nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 1))

    def step(x):
        return estimator(lambda z: decoder(z)[..., 0], make_q(kind, encoder(x)), K=3).mean()

    x = torch.randn(6, 2)
    compiled = compile_whole(step)
    torch.manual_seed(1)
    compiled(x).backward()
    got = [p.grad.clone() for p in (*encoder.parameters(), *decoder.parameters())]
    for p in (*encoder.parameters(), *decoder.parameters()):
        p.grad = None
    torch.manual_seed(1)
    step(x).backward()
    for mine, p in zip(got, (*encoder.parameters(), *decoder.parameters()), strict=True):
        torch.testing.assert_close(mine, p.grad)
        assert mine.isfinite().all()


@estimators
def test_no_draws_is_an_error(name):
    estimator, kind = ESTIMATORS[name]
    with pytest.raises(ValueError, match="K is 0"):
        estimator(f, make_q(kind, torch.zeros(3)), K=0)


@estimators
def test_wrong_values_are_errors(name):
    estimator, kind = ESTIMATORS[name]
    q = make_q(kind, torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"\(z\) has shape"):
        estimator(lambda z: z.sum(), q, K=4)
    with pytest.raises(ValueError, match="NaN"):
        estimator(lambda z: z.sum(-1) * float("nan"), q, K=4)


@pytest.mark.parametrize("shape", [(5, 1), (2,), (1, 4, 3), (7, 3)])
def test_a_baseline_that_enlarges_or_does_not_fit_is_an_error(shape):
    with pytest.raises(ValueError, match="baseline has shape"):
        score_function(torch.square, Normal(torch.zeros(3), 1.0), K=4, baseline=torch.zeros(shape))


@pytest.mark.parametrize("shape", [(), (3,), (1,), (4, 1), (1, 3), (4, 3)])
def test_a_baseline_broadcasts(shape):
    surrogate = score_function(torch.square, Normal(torch.zeros(3), 1.0), K=4, baseline=torch.zeros(shape))
    assert surrogate.shape == (3,)


@pytest.mark.parametrize("estimator", [leave_one_out, vimco])
def test_one_draw_has_no_others(estimator):
    with pytest.raises(ValueError, match="K is 1, expected an integer >= 2"):
        estimator(f, make_q("gaussian", torch.zeros(3)), K=1)


def test_distributions_that_do_not_fit_are_errors():
    gamma, bits = Gamma(torch.ones(3), 1.0), make_q("bits", torch.zeros(3))
    for estimator in (gaussian_first_order, gaussian_second_order):
        with pytest.raises(ValueError, match="q is Gamma"):
            estimator(torch.square, gamma, K=1)
    with pytest.raises(ValueError, match="q is Gamma"):
        measure_valued(torch.square, gamma, K=1)
    with pytest.raises(ValueError, match="q is Gamma"):
        measure_valued(f, Independent(gamma, 1), K=1)
    with pytest.raises(ValueError, match="q is MultivariateNormal"):
        measure_valued(f, MultivariateNormal(torch.zeros(3), torch.eye(3)), K=1)
    with pytest.raises(ValueError, match="no rsample"):
        pathwise(f, bits, K=1)
    with pytest.raises(ValueError, match="no rsample"):
        sticking_the_landing(f, bits, K=1)
    mixture = MixtureSameFamily(Categorical(torch.ones(2)), Independent(Normal(torch.zeros(2, 2), 1.0), 1))
    with pytest.raises(ValueError, match="Flow has no rsample"):
        pathwise(f, Flow(mixture, real_nvp(2, 2)), K=3)
    with pytest.raises(ValueError, match="q is Normal"):
        gumbel_softmax(f, Normal(0.0, 1.0), K=1, temperature=1.0)
    with pytest.raises(ValueError, match="q is Normal"):
        straight_through(f, Normal(0.0, 1.0), K=1)
    with pytest.raises(ValueError, match="temperature"):
        gumbel_softmax(f, bits, K=1, temperature=0.0)
    with pytest.raises(ValueError, match="probes"):
        gaussian_second_order(f, make_q("gaussian", torch.zeros(3)), K=1, probes=0)
    with pytest.raises(ValueError, match=r"cdf\(z\) has shape"):
        implicit(torch.zeros(3), torch.sum, torch.square)


def test_measurement_rejects_a_lost_batch():
    with pytest.raises(ValueError, match=r"expected \(10\)|expected \(10,\)"):
        gradient_samples(
            lambda m: pathwise(torch.square, Normal(m, 1.0), K=2).mean(), (torch.tensor(1.0),), 10
        )
    with pytest.raises(ValueError, match="repeats is 1"):
        gradient_moments(lambda m: m, (torch.tensor(1.0),), 1)


def variance(estimator, function, *parameters, K=1, repeats=20_000):
    moments = gradient_moments(lambda m, s: estimator(function, Normal(m, s), K=K), parameters, repeats)
    return torch.stack([m.variance for m in moments])


MEAN, SCALE = torch.tensor(1.2, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)


def test_pathwise_variance_is_the_one_in_the_books():
    """f = z²: the gradient in the mean is 2z, of variance 4σ²; K draws divide it by K."""
    for K in (1, 5):
        measured = variance(pathwise, torch.square, MEAN, SCALE, K=K)[0]
        expected = 4 * SCALE**2 / K
        assert (measured / expected - 1).abs() < 5 * (2 / 20_000) ** 0.5  # Gaussian samples: s.e. √(2/R)


def test_second_order_knows_a_quadratic_exactly_in_the_scale():
    assert variance(gaussian_second_order, torch.square, MEAN, SCALE)[1] < 1e-20
    assert variance(pathwise, torch.square, MEAN, SCALE)[1] > 1


def test_orderings():
    """On a smooth f: score function > with the right baseline; score function > pathwise."""
    plain = variance(score_function, torch.square, MEAN, SCALE)
    baseline = variance(partial(score_function, baseline=MEAN**2 + SCALE**2), torch.square, MEAN, SCALE)
    assert 1.3 * baseline[0] < plain[0]
    assert (2 * variance(pathwise, torch.square, MEAN, SCALE) < plain).all()
    lonely = variance(score_function, lambda z: z**2 + 10, MEAN, SCALE, K=4)
    together = variance(leave_one_out, lambda z: z**2 + 10, MEAN, SCALE, K=4)
    assert (5 * together < lonely).all()


def test_pathwise_loses_on_a_rough_function():
    """sin(20 z) has slopes of 20: differentiating it is noisier than weighing it."""

    def rough(z):
        return (20 * z).sin()

    assert (10 * variance(score_function, rough, MEAN, SCALE) < variance(pathwise, rough, MEAN, SCALE)).all()


def test_first_order_is_the_pathwise_estimator():
    """Given the same noise, draw by draw."""
    tril = torch.tensor([[1.0, 0.0], [0.5, 0.8]], requires_grad=True)
    gradients = []
    for estimator in (pathwise, gaussian_first_order):
        torch.manual_seed(3)
        surrogate = estimator(f, MultivariateNormal(torch.ones(2), scale_tril=tril), K=7)
        gradients.append(torch.autograd.grad(surrogate, tril)[0])
    torch.testing.assert_close(*gradients)


def test_second_order_takes_the_hessian_of_a_network():
    """Against the full Hessian from torch.func, shape (D, D), contracted as the formula says."""
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    loc, factor = torch.randn(3, requires_grad=True), torch.randn(3, 3).tril().requires_grad_()
    factor.data.diagonal().abs_().add_(0.5)
    torch.manual_seed(4)
    surrogate = gaussian_second_order(
        lambda z: network(z)[..., 0], MultivariateNormal(loc, scale_tril=factor), K=1
    )
    by_loc, by_factor = torch.autograd.grad(surrogate, (loc, factor))
    torch.manual_seed(4)
    z = (loc + factor @ torch.randn(1, 3)[0]).detach()
    hessian = torch.autograd.functional.hessian(lambda x: network(x)[0], z)
    assert hessian.shape == (3, 3)
    torch.testing.assert_close(by_loc, torch.func.grad(lambda x: network(x)[0])(z))
    torch.testing.assert_close(by_factor.tril(), (hessian @ factor).tril().detach())
