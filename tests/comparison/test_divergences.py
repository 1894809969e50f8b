"""Laws of f-divergences, Bregman losses and scoring rules, against quadrature and closed forms."""

import math

import pytest
import torch
from torch.distributions import Normal

from gmtools.comparison import (
    F_DIVERGENCES,
    SCORING_RULES,
    bregman_ratio_loss,
    classification_loss,
    energy_distance,
    energy_score,
    f_divergence,
    score,
    score_divergence,
    variational_bound,
)

NAMES = sorted(F_DIVERGENCES)
RULES = sorted(SCORING_RULES)
GRID = torch.linspace(-14, 14, 20_001, dtype=torch.float64)


def gaussians():
    return Normal(torch.tensor(0.3), torch.tensor(0.9)), Normal(torch.tensor(-0.2), torch.tensor(1.1))


def expect(density, values):
    return torch.trapezoid(density.log_prob(GRID).exp() * values, GRID)


def log_ratio(x):
    p, q = gaussians()
    return p.log_prob(x) - q.log_prob(x)


def exact(name):
    """The divergences again, from their definitions as integrals over p and q."""
    p, q = (d.log_prob(GRID).exp() for d in gaussians())
    m = (p + q) / 2
    js = 0.5 * (torch.xlogy(p, p) + torch.xlogy(q, q)) - torch.xlogy(m, m)
    integrand = {
        "kl": torch.xlogy(p, p) - torch.xlogy(p, q),
        "reverse_kl": torch.xlogy(q, q) - torch.xlogy(q, p),
        "pearson": (p - q).square() / q,
        "neyman": (p - q).square() / p,
        "hellinger": (p.sqrt() - q.sqrt()).square(),
        "jensen_shannon": js,
        "gan": 2 * js - q * math.log(4),
    }[name]
    return torch.trapezoid(integrand, GRID)


@pytest.mark.parametrize("name", NAMES)
def test_the_variational_bound_is_tight_at_the_log_ratio(name):
    p, q = gaussians()
    d, v = F_DIVERGENCES[name], log_ratio(GRID)
    value = expect(p, d.critic(v)) - expect(q, d.penalty(v))
    torch.testing.assert_close(value, exact(name), atol=1e-8, rtol=1e-8)
    torch.testing.assert_close(expect(q, d.generator(v)), exact(name), atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_any_other_critic_gives_less_by_the_bregman_divergence_of_the_ratios(name):
    p, q = gaussians()
    d, best = F_DIVERGENCES[name], log_ratio(GRID)
    for v in (best + 0.5, 0.7 * best, torch.zeros_like(best)):
        bound = expect(p, d.critic(v)) - expect(q, d.penalty(v))
        gap = d.generator(best) - d.generator(v) - d.critic(v) * (best.exp() - v.exp())
        assert bound < exact(name)
        torch.testing.assert_close(exact(name) - bound, expect(q, gap), atol=1e-8, rtol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_critic_is_the_derivative_of_the_generator_and_penalty_the_conjugate(name):
    d = F_DIVERGENCES[name]
    u = torch.linspace(0.05, 6, 50).requires_grad_()
    (slope,) = torch.autograd.grad(d.generator(u.log()).sum(), u)
    v = u.detach().log()
    torch.testing.assert_close(d.critic(v), slope)
    torch.testing.assert_close(d.penalty(v), d.conjugate(d.critic(v)))
    torch.testing.assert_close(d.penalty(v), v.exp() * d.critic(v) - d.generator(v))


@pytest.mark.parametrize("name", NAMES)
def test_conjugate_is_the_supremum_of_its_definition(name):
    d = F_DIVERGENCES[name]
    u = torch.logspace(-4, 4, 40_001)
    for t in d.critic(torch.tensor([-1.0, 0.0, 0.8])):
        supremum = (t * u - d.generator(u.log())).max()
        torch.testing.assert_close(d.conjugate(t), supremum, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_divergence_vanishes_on_equal_distributions(name):
    value = f_divergence(name, torch.zeros(3))
    assert value == pytest.approx(-math.log(4) if name == "gan" else 0, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_monte_carlo_estimate_is_within_its_standard_error(name):
    torch.manual_seed(0)
    n, d = 50_000, F_DIVERGENCES[name]
    v = log_ratio(gaussians()[1].sample((n,)))
    assert abs(f_divergence(name, v) - exact(name)) < 4.5 * d.generator(v).std() / n**0.5


@pytest.mark.parametrize("name", ["gan", "jensen_shannon", "kl", "hellinger"])
def test_extreme_logits_keep_value_and_gradient_finite(name):
    v = torch.tensor([-300.0, 300.0]).requires_grad_()
    loss = bregman_ratio_loss(name, v[1:], v[:1])
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(v.grad).all()


def test_where_p_has_no_mass_the_generator_is_at_zero_and_keeps_its_gradient():
    at_zero = {"kl": 0, "reverse_kl": math.inf, "pearson": 1, "neyman": math.inf, "hellinger": 1}
    at_zero |= {"jensen_shannon": math.log(2) / 2, "gan": 0}
    for name in NAMES:
        v = torch.tensor(-math.inf).requires_grad_()
        value = F_DIVERGENCES[name].generator(v)
        (slope,) = torch.autograd.grad(value, v)
        assert value.item() == pytest.approx(at_zero[name]) and not slope.isnan(), name


@pytest.mark.parametrize("v", [30.0, 60.0, 95.0, 120.0])
@pytest.mark.parametrize("name", ["gan", "neyman"])
def test_generators_hold_at_large_log_ratios_in_single_precision(name, v):
    exact = {"gan": -1 - v, "neyman": math.exp(v)}[name]
    value = F_DIVERGENCES[name].generator(torch.tensor(v, dtype=torch.float32)).double()
    limit = torch.finfo(torch.float32).max
    assert value.item() == pytest.approx(exact if exact < limit else math.inf, rel=1e-5)


def test_the_gan_generator_is_the_logistic_loss():
    v_p, v_q = torch.randn(30), torch.randn(40)
    logistic = torch.nn.functional.binary_cross_entropy_with_logits
    expected = logistic(v_p, torch.ones(30)) + logistic(v_q, torch.zeros(40))
    torch.testing.assert_close(bregman_ratio_loss("gan", v_p, v_q), expected)
    torch.testing.assert_close(2 * classification_loss("log", v_p, v_q), expected)


def test_bregman_loss_is_minimised_by_the_ratio_of_discrete_distributions():
    p, q = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([0.5, 0.25, 0.25])
    for name in NAMES:
        d, v = F_DIVERGENCES[name], torch.zeros(3, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [v], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
        )

        def closure(d=d, v=v, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (q * d.penalty(v)).sum() - (p * d.critic(v)).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        torch.testing.assert_close(v.detach(), (p / q).log(), atol=1e-5, rtol=0)


# ---------------------------------------------------------------- scoring rules


@pytest.mark.parametrize("rule", RULES)
def test_honest_probabilities_score_best(rule):
    r, v = SCORING_RULES[rule], torch.linspace(-6, 6, 2401)
    for eta in (0.1, 0.37, 0.5, 0.8):
        expected = eta * r.reward(v) + (1 - eta) * r.reward(-v)
        honest = torch.logit(torch.tensor(eta))
        earned = eta * r.reward(honest) + (1 - eta) * r.reward(-honest)
        assert (expected <= earned + 1e-12).all()
        torch.testing.assert_close(earned, r.bayes(torch.tensor(eta)))
        if rule != "zero_one":
            assert expected.argmax() == (v - honest).abs().argmin()


@pytest.mark.parametrize("rule", RULES)
def test_the_best_classifier_measures_the_rules_divergence(rule):
    p, q = gaussians()
    r, v = SCORING_RULES[rule], log_ratio(GRID)
    best = (expect(p, r.reward(v)) + expect(q, r.reward(-v))) / 2 - r.bayes(torch.tensor(0.5))
    dp, dq = p.log_prob(GRID).exp(), q.log_prob(GRID).exp()
    closed = {
        "log": lambda: exact("jensen_shannon"),
        "brier": lambda: torch.trapezoid((dp - dq).square() / (dp + dq), GRID) / 8,
        "boosting": lambda: exact("hellinger") / 2,
        "spherical": lambda: torch.trapezoid(torch.hypot(dp, dq), GRID) / 2 - 0.5**0.5,
        "zero_one": lambda: torch.trapezoid((dp - dq).abs(), GRID) / 4,
    }[rule]()
    torch.testing.assert_close(best, closed, atol=1e-7, rtol=1e-7)
    mean = (expect(p, r.bayes(torch.sigmoid(v))) + expect(q, r.bayes(torch.sigmoid(v)))) / 2
    torch.testing.assert_close(mean - r.bayes(torch.tensor(0.5)), closed, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("rule", RULES)
def test_losses_and_scores_agree(rule):
    v_p, v_q = torch.randn(20), torch.randn(20)
    scores = score(rule, torch.cat([v_p, v_q]), torch.cat([torch.ones(20), torch.zeros(20)]))
    torch.testing.assert_close(classification_loss(rule, v_p, v_q), -scores.mean())
    assert score_divergence(rule, torch.zeros(3), torch.zeros(3)) == pytest.approx(0, abs=1e-12)


def test_scores_are_those_of_scikit_learn():
    from sklearn.metrics import brier_score_loss, log_loss

    torch.manual_seed(0)
    v, y = torch.randn(200), torch.randint(0, 2, (200,))
    d = torch.sigmoid(v)
    assert -score("log", v, y).mean().item() == pytest.approx(log_loss(y, d))
    assert -score("brier", v, y).mean().item() == pytest.approx(brier_score_loss(y, d))


def test_energy_score_in_one_dimension_is_the_crps_of_a_gaussian():
    torch.manual_seed(0)
    outcome = torch.tensor([[-1.0], [0.0], [2.5]])
    draws = torch.randn(400, 3, 1)
    normal = Normal(0.0, 1.0)
    x = outcome[:, 0]
    crps = x * (2 * normal.cdf(x) - 1) + 2 * normal.log_prob(x).exp() - math.pi**-0.5
    repeats = torch.stack([energy_score(torch.randn(20, 3, 1), outcome) for _ in range(2000)])
    assert ((repeats.mean(0) - crps).abs() < 4.5 * repeats.std(0) / 2000**0.5).all()
    assert (energy_score(draws, outcome) - crps).abs().max() < 0.3


def test_energy_score_regret_is_half_the_energy_distance():
    torch.manual_seed(0)
    n, k = 4000, 20
    p, q = gaussians()
    x = p.sample((n, 1))
    regret = energy_score(q.sample((k, n, 1)), x) - energy_score(p.sample((k, n, 1)), x)
    grid = GRID
    cramer = torch.trapezoid((p.cdf(grid) - q.cdf(grid)).square(), grid)
    assert abs(regret.mean() - cramer) < 4.5 * regret.std() / n**0.5
    distance = energy_distance(p.sample((2000, 1)), q.sample((2000, 1)))
    assert abs(distance / 2 - cramer) < 0.03


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: f_divergence("renyi", torch.zeros(2)), "divergence is 'renyi', expected one of kl"),
        (lambda: f_divergence("kl", torch.tensor([math.nan])), "log_ratio_q has shape"),
        (lambda: variational_bound("", torch.zeros(2), torch.zeros(2)), "divergence is ''"),
        (lambda: score("log", torch.zeros(2), torch.tensor([0, 2])), r"labels has values \[0, 2\]"),
        (lambda: score("log", torch.zeros(2), torch.zeros(3)), r"labels has shape \(3,\), expected \(2,\)"),
        (lambda: classification_loss("huber", torch.zeros(1), torch.zeros(1)), "rule is 'huber'"),
        (lambda: energy_score(torch.zeros(1, 3, 2), torch.zeros(3, 2)), "at least two draws"),
        (lambda: energy_score(torch.zeros(4, 3, 1), torch.zeros(3, 2)), "draws has shape"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
