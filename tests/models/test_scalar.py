"""The quadrature that chapters hold their estimates to, against closed forms."""

import pytest
import torch
from torch.distributions import Normal

from gmtools.models.scalar import count, expectation, linear_gaussian, square

MEANS_AND_SCALES = [(0.0, 1.0), (-0.4, 0.7), (1.3, 0.01), (-3.0, 2.0)]


@pytest.fixture(params=MEANS_AND_SCALES, ids=str)
def parameters(request):
    return [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in request.param]


@pytest.mark.parametrize(
    "f, closed_form",
    [
        (torch.ones_like, lambda m, s: torch.ones_like(m)),
        (torch.square, lambda m, s: m**2 + s**2),
        (lambda z: (2 * z).exp(), lambda m, s: (2 * m + 2 * s**2).exp()),
        (lambda z: (3 * z).sin(), lambda m, s: (3 * m).sin() * (-4.5 * s**2).exp()),
    ],
)
def test_expectations_and_their_gradients_are_the_closed_forms(parameters, f, closed_form):
    m, s = parameters
    value, exact = expectation(f, Normal(m, s)), closed_form(m, s)
    torch.testing.assert_close(value, exact, rtol=1e-9, atol=1e-12)
    if f is torch.ones_like:
        return
    gradients = torch.autograd.grad(value, (m, s)), torch.autograd.grad(exact, (m, s))
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("model", [linear_gaussian(), count(0), square()], ids=["line", "count", "square"])
def test_the_bound_is_below_the_evidence(model):
    q = Normal(torch.tensor(-0.4, dtype=torch.float64), 0.7)
    bound = expectation(lambda z: model.log_joint(z) - q.log_prob(z), q)
    assert bound < model.log_evidence()


def test_a_batch_of_distributions_is_refused():
    with pytest.raises(ValueError, match="batch shape"):
        expectation(torch.square, Normal(torch.zeros(3), 1.0))
