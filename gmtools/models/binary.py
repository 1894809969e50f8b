"""All states of a few binary variables: what makes small discrete models exact."""

import torch
from torch import Tensor

from gmtools.checks import check_count

MOST = 16  # 65 536 states


def all_binary(dim: int, like: Tensor | None = None) -> Tensor:
    r"""All :math:`2^d` binary vectors, in the order of the numbers they write.

    .. math:: \{0, 1\}^d

    Args:
        dim: number of variables d, at most 16.
        like: tensor whose type and device the result takes.

    Returns:
        shape ``(2 ** dim, dim)``.

    Raises:
        ValueError: more than 16 variables.

    Chapter: 2-models/18-spectrum-fully-observed.

    >>> all_binary(2)
    tensor([[0., 0.],
            [0., 1.],
            [1., 0.],
            [1., 1.]])
    """
    check_count("dim", dim)
    if dim > MOST:
        raise ValueError(f"dim is {dim}, expected at most {MOST} binary variables to enumerate")
    device = None if like is None else like.device
    number = torch.arange(2**dim, device=device)
    bits = (number[:, None] >> torch.arange(dim - 1, -1, -1, device=device)) & 1
    return bits.to(torch.get_default_dtype() if like is None else like.dtype)
