"""Lab 4: what its checks compare with is right, and its metrics refuse what only looks like a generator."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gmtools.data import EightGaussians
from gmtools.grading import Failed
from gmtools.grading.lab import load_module
from gmtools.grading.notebook import NamespaceStudent
from gmtools.nets import MLP

ROOT = Path(__file__).parents[2]
PROSE = (ROOT / "labs/4-gans/lab.md").read_text(encoding="utf-8")
public = load_module(ROOT / "labs/4-gans/checks.py")
hidden = load_module(ROOT / "solutions/4-gans/hidden")
solution = load_module(ROOT / "solutions/4-gans/solution.py")
DOUBLE = {"dtype": torch.float64}


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_newtons_ratio_is_the_minimum(generator):
    h_p = 1 + torch.randn(30, 3, generator=generator, **DOUBLE)
    h_q = torch.randn(50, 3, generator=generator, **DOUBLE)
    w = hidden.logistic_ratio.true_logistic_ratio(h_p, h_q, 0.1).requires_grad_()
    loss = hidden.discriminator_loss.true_discriminator_loss(h_p @ w, h_q @ w) + 0.05 * w @ w
    assert torch.autograd.grad(loss, w)[0].norm() < 1e-10
    assert public.slope_of_objective(w.detach(), h_p, h_q, 0.1).norm() < 1e-10


def test_numerical_slopes_agree_with_autograd(generator):
    critic = public.random_critic(generator, 3, **DOUBLE)
    x = torch.randn(5, 3, generator=generator, **DOUBLE)
    expected = hidden.gradient_penalty.true_penalty(critic, x, 0.7)
    assert torch.allclose((public.numerical_slopes(critic, x) - 0.7).square().mean(), expected, atol=1e-8)


def test_a_check_sees_the_gradients_of_a_module_that_it_passes():
    layer = nn.Linear(2, 1)
    student = NamespaceStudent({"double": lambda critic, x: 2 * critic(x)})
    outcome = student.trace("double", layer, torch.ones(3, 2), parameters=True)
    assert torch.equal(outcome.parameters["weight"], torch.full((1, 2), 6.0))
    assert student.trace("double", layer, torch.ones(3, 2)).parameters is None


def test_the_grader_rebuilds_the_generator_that_students_train():
    network = MLP(2, 2, (16, 8), nn.ReLU).double()
    found = public.drawn(network.state_dict(), torch.Generator().manual_seed(3), 50)
    z = torch.randn(50, 2, generator=torch.Generator().manual_seed(3), **DOUBLE)
    assert torch.allclose(found, network(z))


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"modes": torch.tensor([8.0])},
        MLP(3, 2, (8,)).state_dict(),
        MLP(2, 2, (600, 600)).state_dict(),
        {name: value * torch.nan for name, value in MLP(2, 2, (8,)).state_dict().items()},
    ],
    ids=["empty", "a number", "other noise", "too large", "not finite"],
)
def test_what_is_no_generator_is_refused_in_words(weights, generator):
    with pytest.raises(Failed, match="[а-я]{3}"):
        public.drawn(weights, generator)


def metrics(x, monkeypatch):
    """The three metrics, in the order of the checks, of a generator that draws ``x``, 8000 points."""
    monkeypatch.setattr(hidden.common.public, "drawn", lambda weights, generator, count=8000: x[:count])
    return [metric.measure({}) - metric.threshold for metric in hidden.hidden.metrics]


def test_the_data_meet_every_threshold(monkeypatch):
    torch.manual_seed(1)
    assert min(metrics(EightGaussians().sample((8000,)).double(), monkeypatch)) > 0


def test_eight_points_have_every_mode_and_full_quality_and_fail_the_mmd(monkeypatch):
    rarest, quality, mmd = metrics(EightGaussians().means.repeat(1000, 1), monkeypatch)
    assert rarest > 0 and quality > 0 and mmd < -0.01


def test_a_ring_through_the_modes_fails(monkeypatch):
    torch.manual_seed(1)
    angle = 2 * torch.pi * torch.rand(8000, **DOUBLE)
    ring = 2 * torch.stack([angle.cos(), angle.sin()], -1) + 0.2 * torch.randn(8000, 2, **DOUBLE)
    rarest, quality, mmd = metrics(ring, monkeypatch)
    assert rarest > 0 and quality < 0


def test_a_missing_mode_fails(monkeypatch):
    torch.manual_seed(1)
    x = EightGaussians().sample((10_000,)).double()
    x = x[(x - EightGaussians().means[3]).norm(dim=1) > 0.8][:8000]
    assert metrics(x, monkeypatch)[0] < 0


def test_the_thresholds_in_the_prose_are_those_of_the_checks():
    share, quality, mmd = (metric.threshold for metric in hidden.hidden.metrics)
    for value in (
        f"**{100 * share:.0f} %**",
        f"**{100 * quality:.0f} %**",
        f"**{public.bulgarian(-mmd, 3)}**",
    ):
        assert value in PROSE
    assert pytest.approx(3 * EightGaussians().scale) == public.RADIUS
    assert f"RADIUS = EightGaussians(), {public.RADIUS}" in PROSE


def test_the_biased_line_of_the_figure_is_where_the_diagonal_puts_it():
    """With the diagonal, the mean for equal distributions in the plane is 2/N (1 - E k), E k = 1/3."""
    torch.manual_seed(0)
    values = []
    for _ in range(200):
        x, y = torch.randn(2, 50, 2, **DOUBLE)
        unbiased = solution.mmd2(x, y, (1.0,))
        kernels = [torch.exp(-torch.cdist(a, a).square() / 2) for a in (x, y)]
        values.append(unbiased + sum((1 - (k.sum() - 50) / (50 * 49)) / 50 for k in kernels))
    values = torch.stack(values)
    assert abs(values.mean() - 2 / 50 * (1 - 1 / 3)) < 5 * values.std() / 200**0.5
