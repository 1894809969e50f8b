"""An argument check of this room, beside those of :mod:`gmtools.checks`."""

from torch import Tensor


def check_float(name: str, value: Tensor) -> None:
    """Raise ValueError unless ``value`` holds real floating-point numbers.

    >>> import torch
    >>> check_float("x", torch.tensor([1, 2]))
    Traceback (most recent call last):
    ValueError: x has dtype torch.int64, expected a floating-point one
    """
    if not value.is_floating_point():
        raise ValueError(f"{name} has dtype {value.dtype}, expected a floating-point one")
