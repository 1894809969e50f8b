"""What may be done to the weights of any trained exercise: damages that must cost points, one that must not.

Each is a function from the reference's weights to others, to be registered by ``hidden.damage`` or
``hidden.alternative``.
"""

import re
from collections.abc import Callable

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def last_number(weights: Weights) -> int:
    """The largest number of a layer in the names, as of ``2.weight`` or ``layers.2.weight``.

    >>> last_number({"layers.0.weight": torch.ones(1), "layers.10.weight": torch.ones(1)})
    10
    """
    return max(int(re.search(r"\d+", name)[0]) for name in weights)


def untrained(weights: Weights) -> Weights:
    """Random weights of the same shapes, normal with variance one over the size of a row (of all, in a bias).

    >>> untrained({"0.weight": torch.ones(2, 3)})["0.weight"].shape
    torch.Size([2, 3])
    """
    generator = torch.Generator().manual_seed(0)
    drawn = {name: torch.randn(weights[name].shape, generator=generator) for name in sorted(weights)}
    return {name: v / (v[0] if v.dim() > 1 else v).numel() ** 0.5 for name, v in drawn.items()}


def trained_only(part: str) -> Callable[[Weights], Weights]:
    """The damage that leaves the network named ``part`` as it is and makes all else random.

    >>> trained_only("a")({"a.bias": torch.ones(1), "b.bias": torch.ones(1)})["a.bias"]
    tensor([1.])
    """
    return lambda weights: untrained(weights) | {k: v for k, v in weights.items() if k.startswith(f"{part}.")}


def scaled(by: float, *names: str) -> Callable[[Weights], Weights]:
    """The damage that multiplies the named tensors, or all if none is named, by a number.

    >>> scaled(2.0, "bias")({"weight": torch.ones(1), "bias": torch.ones(1)})
    {'weight': tensor([1.]), 'bias': tensor([2.])}
    """
    return lambda weights: weights | {name: by * weights[name] for name in names or weights}


def not_a_number(weights: Weights) -> Weights:
    """NaN in place of one tensor.

    >>> not_a_number({"bias": torch.ones(1), "weight": torch.ones(1)})
    {'bias': tensor([1.]), 'weight': tensor([nan])}
    """
    return scaled(torch.nan, max(weights))(weights)


def reported_numbers(weights: Weights) -> Weights:
    """Good results in place of weights.

    >>> reported_numbers({"weight": torch.ones(1)})
    {'loss': tensor([0.]), 'log_prob': tensor([0., 0., 0.])}
    """
    return {"loss": torch.zeros(1), "log_prob": torch.zeros(3)}


def in_double(weights: Weights) -> Weights:
    """The same weights in float64, as good an answer.

    >>> in_double({"weight": torch.ones(1)})
    {'weight': tensor([1.], dtype=torch.float64)}
    """
    return {name: value.double() for name, value in weights.items()}
