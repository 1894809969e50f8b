"""Laws of the conditional distributions: normalisation, scales, gradients."""

import pytest
import torch
from torch import nn

from gmtools.models import (
    BernoulliHead,
    DiscretisedLogistic,
    DiscretisedLogisticHead,
    GaussianHead,
    StandardNormal,
)


@pytest.mark.parametrize("levels", [2, 5, 256])
@pytest.mark.parametrize("loc, scale", [(0.3, 0.1), (-1.0, 0.02), (0.5, 10.0), (40.0, 0.01)])
def test_discretised_logistic_sums_to_one(levels, loc, scale):
    x = torch.arange(levels, dtype=torch.float64) / (levels - 1)
    q = DiscretisedLogistic(torch.tensor(loc).double(), torch.tensor(scale).double(), levels)
    log_prob = q.log_prob(x)
    assert log_prob.isfinite().all()
    torch.testing.assert_close(log_prob.exp().sum(), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close((log_prob.exp() * x).sum(), q.mean)


def test_bernoulli_log_prob_is_torchs():
    q = BernoulliHead(nn.Linear(2, 6).double())(torch.randn(3, 5, 2, dtype=torch.float64))
    x = torch.bernoulli(torch.rand(5, 6, dtype=torch.float64))
    torch.testing.assert_close(q.log_prob(x), q.base_dist.log_prob(x).sum(-1))
    torch.testing.assert_close(q.expand((4, 3, 5)).log_prob(x), q.log_prob(x).expand(4, 3, 5))


@pytest.mark.parametrize("wrong", [0.5, 0.99, 1e-3, -1.0, 2.0, float("nan"), float("inf")])
@pytest.mark.parametrize("size, dtype", [(100, torch.float32), (5000, torch.float32), (100, torch.bfloat16)])
def test_bernoulli_takes_nothing_but_zeros_and_ones(wrong, size, dtype):
    torch.manual_seed(0)
    x = torch.bernoulli(torch.rand(5, size)).to(dtype)
    q = BernoulliHead(nn.Linear(2, size).to(dtype))(torch.zeros(5, 2, dtype=dtype))
    assert q.log_prob(x).isfinite().all()
    x[3, 7] = wrong
    with pytest.raises(ValueError, match="other than 0 and 1"):
        q.log_prob(x)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_bernoulli_takes_truth_values_and_integers(dtype):
    q = BernoulliHead(nn.Linear(2, 6))(torch.randn(3, 2))
    x = torch.tensor([0, 1, 1, 0, 1, 0])
    torch.testing.assert_close(q.log_prob(x.to(dtype)), q.log_prob(x.float()))
    with pytest.raises(ValueError, match="other than 0 and 1"):
        q.log_prob(torch.full((6,), 255, dtype=torch.uint8))


def test_discretised_logistic_is_the_difference_of_cdfs():
    loc, scale = torch.tensor(0.4).double(), torch.tensor(0.2).double()
    x = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64)
    cdf = lambda v: torch.sigmoid((v - loc) / scale)  # noqa: E731
    q = DiscretisedLogistic(loc, scale, 5)
    torch.testing.assert_close(q.log_prob(x).exp(), cdf(x + 0.125) - cdf(x - 0.125))


def test_discretised_logistic_samples_have_its_frequencies():
    torch.manual_seed(0)
    q = DiscretisedLogistic(torch.tensor(0.4).double(), torch.tensor(0.2).double(), 4)
    x = q.sample((20000,))
    for value in torch.arange(4, dtype=torch.float64) / 3:
        p = q.log_prob(value).exp()
        frequency = ((x - value).abs() < 1e-9).double().mean()
        assert abs(frequency - p) < 5 * (p * (1 - p) / 20000).sqrt()


def test_discretised_logistic_gradients_are_finite_far_out():
    loc = torch.tensor([-50.0, 0.5, 60.0], requires_grad=True)
    raw = torch.tensor([-8.0, 0.0, 3.0], requires_grad=True)
    scale = nn.functional.softplus(raw) + 1e-3
    DiscretisedLogistic(loc[:, None], scale[:, None], 256).log_prob(torch.tensor([0.0, 1.0])).sum().backward()
    assert loc.grad.isfinite().all() and raw.grad.isfinite().all()


def test_heads_split_parameters_along_the_first_event_dimension():
    net = nn.Conv2d(1, 4, 1)
    context = torch.randn(3, 1, 5, 5)
    gaussian = GaussianHead(net, event_dims=3)(context)
    assert gaussian.event_shape == (2, 5, 5)
    torch.testing.assert_close(gaussian.mean, net(context)[:, :2])
    shared = GaussianHead(net, event_dims=3, scale=0.3)(context)
    assert shared.event_shape == (4, 5, 5)
    torch.testing.assert_close(shared.stddev, torch.full((3, 4, 5, 5), 0.3))
    logistic = DiscretisedLogisticHead(net, levels=4, event_dims=3)(context)
    assert logistic.event_shape == (2, 5, 5)
    assert logistic.sample((7,)).shape == (7, 3, 2, 5, 5)
    bernoulli = BernoulliHead(net, event_dims=3)(context)
    torch.testing.assert_close(bernoulli.mean, net(context).sigmoid())


def test_a_shared_scale_is_learned_and_may_be_frozen():
    head = GaussianHead(nn.Linear(2, 3), scale=0.5)
    head(torch.randn(4, 2)).log_prob(torch.randn(4, 3)).sum().backward()
    assert head.log_scale.grad.isfinite()
    assert "log_scale" in head.state_dict()
    assert GaussianHead(nn.Linear(2, 4)).log_scale is None


def test_prior_follows_its_module():
    assert StandardNormal(3).double()().log_prob(torch.zeros(3, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("outputs", [1, 3, 5])
def test_locations_and_scales_need_an_even_number_of_outputs(outputs):
    for head in (GaussianHead(nn.Linear(2, outputs)), DiscretisedLogisticHead(nn.Linear(2, outputs), 4)):
        with pytest.raises(ValueError, match=f"net has {outputs} outputs, expected an even number"):
            head(torch.zeros(4, 2))


def test_bad_inputs_name_the_argument():
    with pytest.raises(ValueError, match="scale"):
        DiscretisedLogistic(torch.zeros(2), torch.zeros(2), 4)
    with pytest.raises(ValueError, match="levels"):
        DiscretisedLogistic(torch.zeros(2), torch.ones(2), 1)
    with pytest.raises(ValueError, match="support"):
        DiscretisedLogistic(torch.zeros(2), torch.ones(2), 3, validate_args=True).log_prob(
            torch.tensor([0.5, 0.3])
        )
    with pytest.raises(ValueError, match="scale"):
        GaussianHead(nn.Linear(2, 3), scale=0.0)
    with pytest.raises(ValueError, match="event_dims"):
        BernoulliHead(nn.Linear(2, 3), event_dims=0)
    with pytest.raises(ValueError, match=r"value has shape \(4,\), expected \(..., 3\)"):
        BernoulliHead(nn.Linear(2, 3))(torch.zeros(2)).log_prob(torch.zeros(4))
