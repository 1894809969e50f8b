"""What every comparison asks of its samples before it computes anything."""

from torch import Tensor

from gmtools.checks import check_count, check_float, check_not_nan, check_shape


def check_samples(x_p: Tensor, x_q: Tensor, minimum: int = 1) -> None:
    """Raise ValueError unless both samples have ``minimum`` points of one dimension, and no NaNs.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        minimum: points that each must have.

    >>> import torch
    >>> check_samples(torch.zeros(3, 2), torch.zeros(0, 2))
    Traceback (most recent call last):
    ValueError: number of points in x_q is 0, expected an integer >= 1
    """
    check_shape("x_p", x_p, "N", "D")
    check_shape("x_q", x_q, "M", x_p.shape[1])
    for name, x in (("x_p", x_p), ("x_q", x_q)):
        check_float(name, x)
        check_not_nan(name, x)
        check_count(f"number of points in {name}", len(x), minimum)
