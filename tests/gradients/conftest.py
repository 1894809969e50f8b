import pytest
import torch

from gmtools.gradients import gradient_moments


@pytest.fixture(autouse=True)
def float64_and_seed():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def assert_unbiased():
    def check(surrogate, parameters, exact, repeats=20_000):
        """Compare with the gradient of ``exact(*parameters)`` within five standard errors."""
        leaves = [p.clone().requires_grad_() for p in parameters]
        truth = torch.autograd.grad(exact(*leaves), leaves)
        for moments, true in zip(gradient_moments(surrogate, parameters, repeats), truth, strict=True):
            error = (moments.mean - true).abs()
            assert (error <= 5 * moments.standard_error + 1e-10).all(), (moments, true)

    return check
