"""The two-step loop learns a known distribution with every comparison."""

import pytest
import torch
from torch import nn

from gmtools.comparison import (
    Comparison,
    GaussianPair,
    Kernel,
    by_classification,
    by_mmd,
    by_moments,
    by_ratio,
    energy_distance,
    two_step,
)


class Affine(nn.Module):
    """x = mean + scale * z: contains the data's distribution exactly."""

    def __init__(self):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, n):
        return self.mean + self.scale * torch.randn(n, 2)


def critic():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))


MEAN = torch.tensor([1.0, -0.5], dtype=torch.float64)
SCALE = torch.tensor([0.6, 1.5], dtype=torch.float64)


def data(n=4000):
    torch.manual_seed(0)
    return MEAN + SCALE * torch.randn(n, 2)


COMPARISONS = {
    "moments": (by_moments, {}),
    "mmd": (lambda: by_mmd(Kernel("gaussian", (1.0, 2.0))), {}),
    "energy": (lambda: by_mmd(Kernel("energy")), {}),
    "ratio": (lambda: by_ratio(critic()), {}),
    "classes": (lambda: by_classification(critic()), {}),
    "saturating": (lambda: by_classification(critic(), "saturating"), {}),
    "wasserstein": (
        lambda: by_classification(critic(), "wasserstein", penalty=1.0),
        dict(comparison_steps=3),
    ),
}


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_every_comparison_brings_the_model_to_the_data(name):
    """The exact energy distance to the data, from many samples, falls to a tenth; a game still circles."""
    make, options = COMPARISONS[name]
    model, x = Affine(), data()

    def distance():
        torch.manual_seed(5)
        return energy_distance(model(1000).detach(), x[:1000]).item()

    before = distance()
    history = two_step(model, make(), x, steps=250, batch_size=128, lr=0.02, lr_critic=0.02, **options)
    assert distance() < 0.1 * before
    assert len(history.estimate) == 250
    assert len(history.compare) == (250 if make().critic is not None else 0)


def test_the_seed_decides_and_the_callers_generator_is_left_alone():
    def run(seed):
        model = Affine()
        torch.manual_seed(7)
        two_step(model, by_classification(critic()), data(), steps=5, seed=seed)
        return model.mean.detach()

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    two_step(Affine(), by_moments(), torch.randn(20, 2, generator=torch.Generator()), steps=2)
    assert torch.equal(torch.rand(2), expected)


def test_each_step_trains_its_own_player_only():
    judge, model = critic(), Affine()
    seen = []

    def compare(x_p, x_q):
        assert not x_q.requires_grad
        seen.append("compare")
        return judge(x_q).mean() - judge(x_p).mean()

    def estimate(x_p, x_q):
        seen.append("estimate")
        assert x_q.requires_grad
        return -judge(x_q).mean()

    before = [p.detach().clone() for p in judge.parameters()]
    two_step(model, Comparison(estimate, compare, judge), data(50), steps=2, comparison_steps=3)
    assert seen == ["compare"] * 3 + ["estimate"] + ["compare"] * 3 + ["estimate"]
    assert not torch.equal(before[0], judge[0].weight)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: two_step(Affine(), by_moments(), data(), steps=0), "steps is 0"),
        (lambda: two_step(Affine(), by_moments(), data(), lr=0.0), "lr"),
        (lambda: two_step(Affine(), by_ratio(critic()), data(), lr_critic=0.0), "lr_critic"),
        (lambda: two_step(Affine(), by_moments(), torch.zeros(5, 3)), r"generator\(n\) has shape \(5, 2\)"),
        (lambda: by_ratio(critic(), "huber"), "compare is 'huber'"),
        (lambda: by_ratio(critic(), "gan", "huber"), "estimate is 'huber'"),
        (lambda: by_classification(critic(), "huber"), "name is 'huber'"),
        (lambda: by_classification(critic(), penalty=-1.0), "penalty is -1.0"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_loss_that_is_not_finite_names_step_and_player():
    with pytest.raises(FloatingPointError, match="estimation, step 1"):
        two_step(Affine(), Comparison(lambda x_p, x_q: x_q.mean() / 0), data(), steps=3)


@pytest.mark.parametrize("name", ["kl", "reverse_kl", "pearson", "hellinger", "jensen_shannon", "gan"])
def test_with_the_exact_ratio_the_generator_descends_the_divergence(name):
    pair, step = GaussianPair(0.7, 1.3), 1e-4
    exact = (
        GaussianPair(0.7 + step, 1.3).f_divergence(name) - GaussianPair(0.7 - step, 1.3).f_divergence(name)
    ) / (2 * step)
    mean = torch.tensor(0.7, requires_grad=True)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(100_000) + 0.5) / 100_000)

    class Exact(nn.Module):
        def forward(self, x):
            return pair.log_ratio(x)

    loss = by_ratio(Exact(), estimate=name).estimate(torch.zeros(1, 1), mean + 1.3 * quantiles[:, None])
    (gradient,) = torch.autograd.grad(loss, mean)
    assert abs(gradient - exact) < 2e-3 * (1 + exact.abs())
