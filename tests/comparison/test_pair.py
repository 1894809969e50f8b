"""Laws of the running example and of the logistic regression that estimates its ratio."""

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import torch
from torch.distributions import kl_divergence

from gmtools.comparison import F_DIVERGENCES, GaussianPair, f_divergence, logistic_regression

PAIRS = [GaussianPair(), GaussianPair(-1.0, 0.8), GaussianPair(0.3, 1.1, dim=4)]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_log_ratio_is_the_difference_of_log_densities(pair):
    x = torch.cat(pair.sample(20, 30))
    assert x.shape == (50, pair.dim)
    assert torch.allclose(pair.log_ratio(x), pair.p.log_prob(x) - pair.q.log_prob(x), atol=1e-12)


def test_divergences_agree_with_closed_forms():
    pair = GaussianPair(0.7, 1.3)
    p, q = pair.p, pair.q
    affinity = math.sqrt(2 * 1.3 / (1 + 1.69)) * math.exp(-0.25 * 0.49 / 2.69)
    pearson = 1.69 / math.sqrt(2 * 1.69 - 1) * math.exp(0.49 / (2 * 1.69 - 1)) - 1
    exact = {"kl": kl_divergence(p, q), "reverse_kl": kl_divergence(q, p)}
    exact |= {"hellinger": torch.tensor(2 - 2 * affinity), "pearson": torch.tensor(pearson)}
    for name, value in exact.items():
        assert torch.isclose(pair.f_divergence(name), value, atol=1e-8), name
    gan, jensen_shannon = pair.f_divergence("gan"), pair.f_divergence("jensen_shannon")
    assert torch.isclose(gan, 2 * jensen_shannon - math.log(4), atol=1e-10)


@pytest.mark.parametrize("name", list(F_DIVERGENCES))
def test_quadrature_agrees_with_monte_carlo(name):
    pair = GaussianPair(0.3, 1.1)
    torch.manual_seed(0)
    log_ratio = pair.log_ratio(pair.q.sample((200_000,)))
    error = F_DIVERGENCES[name].generator(log_ratio).std() / len(log_ratio) ** 0.5
    assert abs(f_divergence(name, log_ratio) - pair.f_divergence(name)) < 5 * error


INTEGRANDS = {  # of the log-ratio v and the log-densities a of p, b of q: products before they underflow
    "kl": lambda v, a, b: math.exp(a) * v,
    "reverse_kl": lambda v, a, b: -math.exp(b) * v,
    "pearson": lambda v, a, b: math.exp(2 * a - b) - 2 * math.exp(a) + math.exp(b),
    "neyman": lambda v, a, b: math.exp(2 * b - a) - 2 * math.exp(b) + math.exp(a),
    "hellinger": lambda v, a, b: (math.exp(a / 2) - math.exp(b / 2)) ** 2,
    "jensen_shannon": lambda v, a, b: to_the_middle(a, b) + to_the_middle(b, a),
    "gan": lambda v, a, b: 2 * (to_the_middle(a, b) + to_the_middle(b, a)) - math.log(4) * math.exp(b),
}


def to_the_middle(a, b):
    """Half of the integrand of KL(p || (p + q) / 2)."""
    return math.exp(a) * (math.log(2) + a - float(np.logaddexp(a, b))) / 2


@pytest.mark.parametrize(
    "shift, scale", [(0.7, 0.1), (0.7, 0.5), (-1.0, 0.8), (0.7, 1.3), (0.7, 1.4), (2.0, 5.0)]
)
@pytest.mark.parametrize("name", list(F_DIVERGENCES))
def test_exact_divergences_are_the_integrals_for_narrow_and_for_wide_models(name, shift, scale):
    pair = GaussianPair(shift, scale)
    exact = pair.f_divergence(name).item()
    if math.isinf(exact):
        assert scale**2 >= 2 if name == "neyman" else scale**2 <= 0.5 and name == "pearson"
        return

    def log_density(x, mean, deviation):
        return -(((x - mean) / deviation) ** 2) / 2 - math.log(deviation * math.sqrt(2 * math.pi))

    def integrand(x):
        a, b = log_density(x, 0.0, 1.0), log_density(x, shift, scale)
        return INTEGRANDS[name](a - b, a, b)

    ends = sorted({-200.0, -50.0, -10.0, shift - 5 * scale, shift, shift + 5 * scale, 10.0, 50.0, 200.0})
    pieces = [
        scipy.integrate.quad(integrand, *ab, epsrel=1e-11, limit=300)[0] for ab in itertools.pairwise(ends)
    ]
    assert exact == pytest.approx(sum(pieces), rel=1e-8, abs=1e-8)


def test_divergences_without_a_finite_integral_are_infinite():
    assert GaussianPair(0.0, 1.5).f_divergence("neyman").isinf()
    assert GaussianPair(0.0, 0.7).f_divergence("pearson").isinf()


def test_what_the_pair_refuses():
    with pytest.raises(ValueError, match="scale"):
        GaussianPair(scale=0.0)
    with pytest.raises(ValueError, match="dim is 2, expected 1"):
        GaussianPair(dim=2).f_divergence("kl")


def data(sets=3, n=200):
    torch.manual_seed(1)
    x_p, x_q = GaussianPair().sample(sets * n)
    x = torch.cat([x_p.reshape(sets, n), x_q.reshape(sets, n)], 1)
    label = torch.cat([torch.ones(n), torch.zeros(n)])
    return torch.stack([torch.ones_like(x), x, x.square()], -1), label.expand(sets, -1)


def test_logistic_regression_solves_the_score_equations_of_every_data_set():
    features, label = data()
    beta = logistic_regression(features, label)
    residual = torch.sigmoid((features @ beta[..., None])[..., 0]) - label
    assert (residual[..., None] * features).sum(-2).abs().max() < 1e-8
    assert torch.allclose(beta[1], logistic_regression(features[1], label[1]), atol=1e-10)


def test_logistic_regression_agrees_with_sklearn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    features, label = (v[0] for v in data())
    weight = torch.rand(len(label)) + 0.5
    peer = linear_model.LogisticRegression(C=0.5, fit_intercept=False, tol=1e-10, max_iter=1000)
    peer.fit(features.numpy(), label.numpy(), sample_weight=weight.numpy())
    ours = logistic_regression(features, label, weight, ridge=2.0)
    assert torch.allclose(ours, torch.tensor(peer.coef_[0]), atol=1e-5)


def test_logistic_regression_survives_far_apart_data():
    """Plain Newton steps overshoot here; halved ones do not."""
    x = torch.cat([torch.linspace(-1, 1, 50), torch.tensor([60.0, -40.0])])
    label = torch.cat([(torch.linspace(-1, 1, 50) > 0).double(), torch.tensor([0.0, 1.0])])
    features = torch.stack([torch.ones_like(x), x], 1)
    beta = logistic_regression(features, label, ridge=1e-6)
    gradient = ((torch.sigmoid(features @ beta) - label)[:, None] * features).sum(0)
    assert gradient.abs().max() < 1e-4


def test_what_logistic_regression_refuses():
    features, label = data(1)
    with pytest.raises(ValueError, match="label has values"):
        logistic_regression(features, 2 * label)
    with pytest.raises(ValueError, match="ridge"):
        logistic_regression(features, label, ridge=-1.0)
    for wrong in (math.nan, -1.0):
        weight = torch.ones(label.shape)
        weight[0, 0] = wrong
        with pytest.raises(ValueError, match="weight has minimum"):
            logistic_regression(features, label, weight)
    with pytest.raises(ValueError, match="weight has shape"):
        logistic_regression(features, label, torch.ones(3))


def test_a_logistic_regression_without_a_solution_names_features_and_ridge():
    x = torch.linspace(-1, 1, 20, dtype=torch.float32)
    separated, mixed = (x > 0).float(), (torch.arange(20) % 2).float()
    for columns, label in (([torch.ones(20), x], separated), ([x, x], mixed), ([x, 0 * x], mixed)):
        features = torch.stack([c.float() for c in columns], 1)
        with pytest.raises(ValueError, match="features with ridge 0 .* expected a larger ridge"):
            logistic_regression(features, label, iterations=100)
        assert logistic_regression(features, label, ridge=0.1).isfinite().all()
