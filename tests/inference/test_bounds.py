"""Laws of the bounds, on the linear-Gaussian model of slide 35: z ~ N(0, 1), x | z ~ N(z, 0.7), x = 1.3."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Normal

from gmtools.inference import elbo, iwae, perturbative, renyi

X, NOISE = 1.3, 0.7
EXACT = -0.5 * (math.log(2 * math.pi * (1 + NOISE)) + X**2 / (1 + NOISE))

BOUNDS = {
    "elbo": elbo,
    "iwae": iwae,
    "renyi 0.5": lambda log_w: renyi(log_w, 0.5),
    "renyi 2": lambda log_w: renyi(log_w, 2.0),
    "perturbative 1": lambda log_w: perturbative(log_w, 1),
    "perturbative 3": lambda log_w: perturbative(log_w, 3),
    "perturbative 5": lambda log_w: perturbative(log_w, 5),
}
every_bound = pytest.mark.parametrize("bound", BOUNDS.values(), ids=BOUNDS.keys())


def log_weights(z, location=0.4, scale=0.8):
    noise = torch.tensor(NOISE, dtype=z.dtype).sqrt()
    joint = Normal(0.0, 1.0).log_prob(z) + Normal(z, noise).log_prob(torch.tensor(X, dtype=z.dtype))
    return joint - Normal(z.new_tensor(location), z.new_tensor(scale)).log_prob(z)


def draw(K, N, location=0.4, scale=0.8, seed=0):
    torch.manual_seed(seed)
    return log_weights(location + scale * torch.randn(K, N, dtype=torch.float64), location, scale)


@every_bound
@pytest.mark.parametrize("K", [1, 2, 10])
def test_expected_value_is_below_the_exact_log_evidence(bound, K):
    value = bound(draw(K, 20_000)).clamp(min=-50)  # an infinite bound would hold: this makes the law stricter
    mean, error = value.mean(), value.std() / math.sqrt(value.numel())
    assert mean < EXACT + 4 * error
    if K == 1:
        assert mean < EXACT - 10 * error  # with one sample every bound is the ELBO, and this q leaves a gap


@every_bound
def test_bound_is_tight_at_the_exact_posterior(bound):
    log_w = draw(5, 7, location=X / (1 + NOISE), scale=math.sqrt(NOISE / (1 + NOISE)))
    torch.testing.assert_close(bound(log_w), torch.full((7,), EXACT, dtype=torch.float64))


@every_bound
def test_shifting_the_log_weights_shifts_the_bound(bound):
    log_w = draw(6, 4)
    torch.testing.assert_close(bound(log_w + 700.0), bound(log_w) + 700.0)  # and does not overflow


@every_bound
def test_shape_gradient_and_whole_graph(bound, compile_whole):
    log_w = draw(4, 3).requires_grad_()
    value = bound(log_w)
    assert value.shape == (3,)
    (gradient,) = torch.autograd.grad(value.sum(), log_w)
    assert gradient.isfinite().all()
    torch.testing.assert_close(
        gradient.sum(0), torch.ones(3, dtype=torch.float64)
    )  # shift law, differentiated
    compiled = compile_whole(bound)
    torch.testing.assert_close(compiled(log_w), value)


@every_bound
@pytest.mark.parametrize(
    "bad, message",
    [
        (torch.zeros(3), r"log_w has shape \(3,\), expected \(K, N\)"),
        (torch.zeros(2, 3, 4), r"log_w has shape \(2, 3, 4\), expected \(K, N\)"),
        (torch.zeros(0, 3), r"log_w has shape \(0, 3\), expected \(K, N\) with K >= 1"),
        (torch.tensor([[math.nan]]), "log_w has shape .* 1 NaN"),
    ],
)
def test_bad_log_weights_are_named(bound, bad, message):
    with pytest.raises(ValueError, match=message):
        bound(bad)


def test_elbo_equals_evidence_minus_kl_by_quadrature():
    mean, variance = X / (1 + NOISE), NOISE / (1 + NOISE)
    kl = 0.5 * (0.64 / variance + (0.4 - mean) ** 2 / variance - 1 + math.log(variance / 0.64))
    assert quadrature(0) == pytest.approx(EXACT - kl, abs=1e-12)


def quadrature(order):
    """The perturbative bound with its expectations by Gauss-Hermite quadrature instead of samples."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    log_w = log_weights(0.4 + 0.8 * torch.tensor(nodes)).numpy()
    weights = weights / weights.sum()
    mean = weights @ log_w
    return mean + math.log(sum(weights @ (log_w - mean) ** j / math.factorial(j) for j in range(order + 1)))


@pytest.mark.parametrize("order, slide", [(1, -1.899), (3, -1.751), (5, -1.717), (7, -1.700)])
def test_perturbative_gives_the_numbers_of_slide_35(order, slide):
    assert quadrature(order) == pytest.approx(slide, abs=5e-4)
    values = perturbative(draw(20_000, 100), order)
    error = values.std().item() / math.sqrt(len(values))
    assert abs(values.mean().item() - quadrature(order)) < 5 * error + 2e-3  # 2e-3: the bias of order 1/K


def test_exact_value_of_slide_35():
    assert pytest.approx(-1.681, abs=5e-4) == EXACT


def test_odd_perturbative_orders_never_exceed_iwae_on_the_same_samples():
    log_w = draw(5, 500, scale=1.5)
    for order in (1, 3, 5, 7, 9):
        assert (perturbative(log_w, order) <= iwae(log_w) + 1e-12).all()


def test_perturbative_series_converges_to_iwae():
    log_w = draw(10, 20)
    torch.testing.assert_close(perturbative(log_w, 60), iwae(log_w))


def test_perturbative_bound_of_a_negative_polynomial_is_minus_infinity_with_finite_gradient():
    log_w = torch.tensor([[0.0], [0.0], [0.0], [-20.0]], dtype=torch.float64, requires_grad=True)
    value = perturbative(log_w, 3)
    assert value.item() == -math.inf and iwae(log_w).item() > -1
    assert torch.autograd.grad(value.sum(), log_w)[0].isfinite().all()


@pytest.mark.parametrize("order", range(1, 10))
def test_perturbative_series_does_not_overflow_in_single_precision(order):
    log_w = torch.tensor([[0.0], [-1e7], [-2e7]])
    torch.testing.assert_close(perturbative(log_w, order), perturbative(log_w.double(), order).float())
    assert perturbative(log_w, order).isfinite()


def test_zero_weights_make_the_elbo_minus_infinity_but_not_iwae():
    log_w = torch.tensor([[0.0], [-math.inf]])
    assert elbo(log_w).item() == perturbative(log_w, 3).item() == -math.inf
    assert iwae(log_w).item() == pytest.approx(-math.log(2))


def test_iwae_is_monotone_in_K():
    bounds = [iwae(draw(K, 40_000, seed=K)) for K in (1, 2, 4, 16, 64)]
    means = [b.mean().item() for b in bounds]
    errors = [b.std().item() / 200 for b in bounds]
    for i in range(len(means) - 1):
        assert means[i] < means[i + 1] + 4 * math.hypot(errors[i], errors[i + 1])
    assert means[-1] - means[0] > 0.1


def test_renyi_falls_with_alpha_and_joins_iwae_and_elbo():
    log_w = draw(8, 50)
    values = torch.stack([renyi(log_w, alpha) for alpha in (-2.0, 0.0, 0.3, 1.0, 1.7, 5.0)])
    assert (values[:-1] >= values[1:] - 1e-12).all()
    torch.testing.assert_close(renyi(log_w, 0.0), iwae(log_w))
    torch.testing.assert_close(renyi(log_w, 1.0 + 1e-7), elbo(log_w), atol=1e-6, rtol=0)


@pytest.mark.parametrize("distance", [1e-6, -1e-6, 1e-3])
def test_renyi_keeps_its_digits_near_the_elbo_in_single_precision(distance):
    log_w = draw(8, 50).float()
    torch.testing.assert_close(
        renyi(log_w, 1 + distance).double(), renyi(log_w.double(), 1 + distance), atol=1e-5, rtol=1e-5
    )


def test_renyi_near_the_elbo_expands_in_the_variance():
    log_w = draw(8, 50)
    for distance in (1e-4, -1e-4):
        expected = elbo(log_w) - 0.5 * distance * log_w.var(0, correction=0)
        torch.testing.assert_close(renyi(log_w, 1 + distance), expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("alpha", [0.5, 0.999999])
def test_renyi_with_a_zero_weight_has_a_finite_gradient(alpha):
    log_w = torch.tensor([[-math.inf, 0.0], [0.0, 1e-3], [1.0, 0.0]], dtype=torch.float64, requires_grad=True)
    value = renyi(log_w, alpha)
    expected = math.log((1 + math.exp(1 - alpha)) / 3) / (1 - alpha)  # the zero weight adds nothing
    assert value[0].item() == pytest.approx(expected) and value[1].isfinite()
    assert torch.autograd.grad(value.sum(), log_w)[0].isfinite().all()


@pytest.mark.parametrize("alpha", [math.nan, math.inf])
def test_renyi_refuses_alpha(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        renyi(torch.zeros(2, 2), alpha)


@pytest.mark.parametrize("order", [-1, 1.5, True])
def test_perturbative_refuses_order(order):
    with pytest.raises(ValueError, match="order is"):
        perturbative(torch.zeros(2, 2), order)
