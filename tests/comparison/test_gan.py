"""Laws of adversarial losses: hand formulas, optimal discriminators, gradients, smoothness of critics."""

import math

import pytest
import torch
from torch import nn

from gmtools.comparison import (
    GAN_LOSSES,
    gan_loss,
    gradient_penalty,
    r1_penalty,
    smoothed_discriminator_loss,
    spectral_normalise,
)

P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)


def by_hand(name, real, fake):
    d_real, d_fake = torch.sigmoid(real), torch.sigmoid(fake)
    logistic = -d_real.log().mean() - (1 - d_fake).log().mean()
    return {
        "saturating": (logistic, (1 - d_fake).log().mean()),
        "non_saturating": (logistic, -d_fake.log().mean()),
        "least_squares": (((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2, ((fake - 1) ** 2).mean() / 2),
        "hinge": ((1 - real).clamp(min=0).mean() + (1 + fake).clamp(min=0).mean(), -fake.mean()),
        "wasserstein": (fake.mean() - real.mean(), -fake.mean()),
    }[name]


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_losses_are_the_formulas(name):
    torch.manual_seed(0)
    real, fake = torch.randn(20), torch.randn(30)
    discriminator, generator = by_hand(name, real, fake)
    torch.testing.assert_close(gan_loss(name).discriminator(real, fake), discriminator)
    torch.testing.assert_close(gan_loss(name).generator(fake), generator)


@pytest.mark.parametrize("name", sorted(GAN_LOSSES))
def test_extreme_logits_keep_gradients_finite(name):
    real, fake = (torch.tensor([-500.0, 500.0], requires_grad=True) for _ in range(2))
    (gan_loss(name).discriminator(real, fake) + gan_loss(name).generator(fake)).backward()
    assert torch.isfinite(real.grad).all() and torch.isfinite(fake.grad).all()


def minimise(loss):
    v = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.LBFGS([v], max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        value = loss(v)
        value.backward()
        return value

    optimizer.step(closure)
    return v.detach()


def over_points(discriminator, v):
    """The discriminator's loss when its averages are over P and Q instead of samples."""
    return sum(P[i] * discriminator(v[i : i + 1], v.new_zeros(1)) for i in range(3)) + sum(
        Q[i] * discriminator(v.new_zeros(1), v[i : i + 1]) for i in range(3)
    )


def test_the_best_discriminators_are_those_of_the_theory():
    logistic = minimise(lambda v: over_points(gan_loss("saturating").discriminator, v))
    torch.testing.assert_close(logistic, (P / Q).log(), atol=1e-5, rtol=0)
    squares = minimise(lambda v: over_points(gan_loss("least_squares").discriminator, v))
    torch.testing.assert_close(squares, P / (P + Q), atol=1e-6, rtol=0)
    smooth = minimise(lambda v: over_points(lambda r, f: smoothed_discriminator_loss(r, f, 0.8), v))
    torch.testing.assert_close(torch.sigmoid(smooth), 0.8 * P / (P + Q), atol=1e-6, rtol=0)


def test_the_value_of_the_game_is_twice_jensen_shannon_less_log_four():
    v = (P / Q).log()
    value = -(P * nn.functional.softplus(-v)).sum() - (Q * nn.functional.softplus(v)).sum()
    m = (P + Q) / 2
    js = ((P * (P / m).log()).sum() + (Q * (Q / m).log()).sum()) / 2
    torch.testing.assert_close(value, 2 * js - math.log(4))


def test_the_saturating_gradient_vanishes_where_the_discriminator_is_sure():
    fake = torch.tensor([-8.0], requires_grad=True)
    gradients = {}
    for name in ("saturating", "non_saturating"):
        (gradients[name],) = torch.autograd.grad(gan_loss(name).generator(fake), fake)
        assert gradients[name] < 0  # both push the logit up
    torch.testing.assert_close(gradients["saturating"], -torch.sigmoid(fake.detach()))
    torch.testing.assert_close(gradients["non_saturating"], -torch.sigmoid(-fake.detach()))


def test_without_smoothing_the_loss_is_the_usual_one():
    real, fake = torch.randn(9), torch.randn(9)
    expected = gan_loss("saturating").discriminator(real, fake)
    torch.testing.assert_close(smoothed_discriminator_loss(real, fake, 1.0), expected)


# ---------------------------------------------------------------- penalties


def test_penalties_of_a_linear_critic_are_known():
    weight = torch.tensor([3.0, 4.0])
    x = torch.randn(10, 2)
    torch.testing.assert_close(gradient_penalty(lambda x: x @ weight, x, x + 1), torch.tensor(16.0))
    torch.testing.assert_close(r1_penalty(lambda x: x @ weight, x), torch.tensor(25.0))


def test_penalties_take_samples_of_numbers():
    x = torch.arange(3.0)
    torch.testing.assert_close(gradient_penalty(lambda x: 3 * x, x, x + 1), torch.tensor(4.0))
    torch.testing.assert_close(r1_penalty(lambda x: x.square(), x), torch.tensor(4 * (0 + 1 + 4) / 3))


def test_penalties_of_a_quadratic_critic_are_known_on_the_segment():
    torch.manual_seed(0)
    n = 20_000
    x_p, x_q = torch.ones(n, 1), torch.zeros(n, 1)

    def critic(x):
        return x.square().sum(1) / 2  # slope |u| at the point u between 0 and 1

    values = gradient_penalty(critic, x_p, x_q)
    # E (u - 1)^2 = 1/3 with standard deviation sqrt(1/5 - 1/9)
    assert abs(values - 1 / 3) < 4.5 * math.sqrt(4 / 45 / n)
    torch.testing.assert_close(r1_penalty(critic, 2 * x_p), torch.tensor(4.0))


@pytest.mark.parametrize("shape", [(6, 3), (6, 1, 4, 4)])
def test_penalties_reach_the_critics_parameters(shape):
    torch.manual_seed(0)
    size = math.prod(shape[1:])
    critic = nn.Sequential(nn.Flatten(), nn.Linear(size, 8), nn.Softplus(), nn.Linear(8, 1))
    x_p, x_q = torch.randn(shape), torch.randn(shape)
    for penalty in (lambda: gradient_penalty(critic, x_p, x_q), lambda: r1_penalty(critic, x_p)):
        critic.zero_grad()
        penalty().backward()
        assert critic[1].weight.grad.abs().sum() > 0 and critic[3].weight.grad.abs().sum() > 0


def test_a_flat_critic_has_a_finite_penalty_and_gradient():
    critic = nn.Linear(2, 1)
    nn.init.zeros_(critic.weight)
    penalty = gradient_penalty(critic, torch.randn(4, 2), torch.randn(4, 2))
    penalty.backward()
    assert penalty.item() == pytest.approx(1, abs=1e-5) and torch.isfinite(critic.weight.grad).all()


# ---------------------------------------------------------------- spectral normalisation


def test_spectral_normalisation_makes_the_network_one_lipschitz():
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
    with torch.no_grad():
        for layer in critic[::2]:
            layer.weight.mul_(10)
    spectral_normalise(critic).train()
    for _ in range(200):
        critic(torch.randn(2, 5))  # a power iteration for each pass in training mode
    critic.eval()
    for layer in critic[::2]:
        assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-3)
    x, y = torch.randn(500, 5), torch.randn(500, 5)
    slope = (critic(x) - critic(y)).abs().squeeze(1) / (x - y).norm(dim=1)
    assert slope.max() <= 1.01


def test_spectral_normalisation_takes_convolutions_and_is_done_once():
    critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 1))
    assert spectral_normalise(critic) is critic
    count = len(list(critic.modules()))
    assert len(list(spectral_normalise(critic).modules())) == count
    critic(torch.randn(2, 1, 8, 8)).sum().backward()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_spectral_normalisation_takes_every_convolution(rank):
    shape = (2, 2, *[3] * rank)
    for name in (f"Conv{rank}d", f"ConvTranspose{rank}d"):
        layer = spectral_normalise(getattr(nn, name)(2, 2, 3))
        for _ in range(100):
            _ = layer.weight  # a power iteration
        flat = layer.weight.transpose(0, int("Transpose" in name)).reshape(2, -1)
        assert layer.weight.shape == shape
        assert torch.linalg.matrix_norm(flat, 2).item() == pytest.approx(1, abs=1e-4)


def test_a_layer_with_another_normalisation_is_normalised_too():
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    layer.parametrizations.weight.original0.data.mul_(10)
    spectral_normalise(layer).train()
    for _ in range(100):
        _ = layer.weight  # a power iteration
    assert torch.linalg.matrix_norm(layer.weight, 2).item() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: gan_loss("minimax"), "name is 'minimax', expected one of saturating"),
        (lambda: smoothed_discriminator_loss(torch.zeros(2), torch.zeros(2), 1.5), "target is 1.5"),
        (lambda: gradient_penalty(nn.Linear(2, 1), torch.zeros(3, 2), torch.zeros(4, 2)), "x_q has shape"),
        (lambda: r1_penalty(nn.Linear(2, 1), torch.zeros(0, 2)), "number of rows of x_p is 0"),
        (lambda: gradient_penalty(nn.Linear(2, 1), torch.zeros(0, 2), torch.zeros(0, 2)), "number of rows"),
        (lambda: spectral_normalise(nn.ReLU()), "module is a ReLU"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
