"""What every estimator of this room is made of: evaluate f on K draws, and attach a gradient to its value."""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_not_nan, check_shape


def evaluate(name: str, f: Callable[[Tensor], Tensor], z: Tensor, q: Distribution) -> Tensor:
    r"""Compute ``f(z)`` and insist on one number for each draw.

    Args:
        name: what the caller calls ``f``, for the error message.
        f: takes draws of shape ``(K, *batch, *event)``.
        z: the draws.
        q: where they come from; tells which dimensions are the event.

    Returns:
        values of shape ``(K, *batch)``.

    Raises:
        ValueError: another shape, or NaN entries.

    Chapter: 4-gradients/44-gradient-estimators

    >>> import torch
    >>> q = torch.distributions.Normal(torch.zeros(3), 1.0)
    >>> evaluate("f", torch.sum, q.sample((5,)), q)
    Traceback (most recent call last):
    ValueError: f(z) has shape (), expected (5, 3)
    """
    values = f(z)
    check_shape(f"{name}(z)", values, *z.shape[: z.dim() - len(q.event_shape)])
    check_not_nan(f"{name}(z)", values)
    return values


def attach(value: Tensor, term: Tensor) -> Tensor:
    r"""Return ``value`` with the gradient of ``value + term``.

    .. math:: \text{value} + \text{term} - \operatorname{stopgrad}(\text{term})

    An estimator's surrogate then reads as the Monte Carlo estimate of :math:`\mathbb{E}_q[f]` it stands for,
    and ``backward`` gives the estimate of its gradient.

    Args:
        value: the estimate, any shape.
        term: what is to be differentiated besides it; the same shape.

    Returns:
        the surrogate, of that shape.

    Reference: Foerster et al. (2018), DiCE: The infinitely differentiable Monte Carlo estimator.

    Chapter: 4-gradients/44-gradient-estimators

    >>> import torch
    >>> x = torch.tensor(3.0, requires_grad=True)
    >>> y = attach(torch.tensor(10.0), x**2)
    >>> y.item(), torch.autograd.grad(y, x)[0].item()
    (10.0, 6.0)
    """
    return value + (term - term.detach())


def sum_event(x: Tensor, q: Distribution) -> Tensor:
    """Sum the event dimensions of ``q`` away.

    >>> import torch
    >>> q = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> sum_event(torch.ones(5, 2), q)
    tensor([2., 2., 2., 2., 2.])
    """
    return x.sum(dim=tuple(range(x.dim() - len(q.event_shape), x.dim()))) if q.event_shape else x
