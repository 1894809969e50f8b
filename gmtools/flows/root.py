"""Solving monotone equations elementwise, for the flows whose inverse has no formula."""

from collections.abc import Callable

import torch
from torch import Tensor


def monotone_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]], low: Tensor, high: Tensor, iterations: int = 40
) -> Tensor:
    r"""Solve :math:`f(r) = 0` elementwise for an increasing f, differentiably.

    Newton's method kept inside a shrinking bracket: a step that leaves it or is no number, or follows
    one that shrank f too little, is replaced by bisection. A last Newton step, as far as the bracket goes, is
    taken with gradients, which are those of the root,

    .. math::

        \frac{\partial r}{\partial \theta} = - \frac{\partial f / \partial \theta}{f'(r)}.

    A root where f has underflowed to a constant is any point of that stretch, and gets no gradient.

    It stops when every element has converged; under ``torch.compile``, where a graph cannot stop on data, it
    takes all its iterations.

    Args:
        function: returns :math:`f(r)` and :math:`f'(r) \ge 0`, elementwise.
        low, high: a bracket of the root, all of one shape.
        iterations: the most it takes; Newton's method needs about 6 where f is not nearly flat.

    Returns:
        The root, of the shape of the bracket.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> y = torch.tensor([8.0, 27.0], requires_grad=True)
    >>> root = monotone_root(lambda r: (r**3 - y, 3 * r**2), torch.zeros(2), 10 * torch.ones(2))
    >>> root.detach(), torch.autograd.grad(root[0], y)[0]
    (tensor([2., 3.]), tensor([0.0833, 0.0000]))
    """
    with torch.no_grad():
        low, high = low.detach(), high.detach()
        root = best = (low + high) / 2
        last = smallest = torch.full_like(root, torch.inf)
        for _ in range(iterations):
            value, slope = function(root)
            size, newton = value.abs(), root - value / slope
            best, smallest = torch.where(size < smallest, root, best), torch.minimum(size, smallest)
            if not torch.compiler.is_compiling() and _converged(root, newton):
                break
            low, high = torch.where(value > 0, low, root), torch.where(value > 0, root, high)
            inside = (newton > low) & (newton < high)  # False for NaN, which is 0 / 0 where f is flat
            root = torch.where(inside & (size <= last / 2), newton, (low + high) / 2)
            last = size
    value, slope = function(best)
    slope = torch.where(slope > 0, slope, torch.inf).detach()
    step = (value / slope).detach().clamp(best - high, best - low)
    return best - step - (value - value.detach()) / slope


def _converged(root: Tensor, newton: Tensor) -> bool:
    precision = 4 * torch.finfo(root.dtype).eps
    return bool(((newton - root).abs() <= precision * (1 + root.abs())).all())
