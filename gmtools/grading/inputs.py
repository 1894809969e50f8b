"""Random inputs of checks, drawn from the generator that a check is given."""

import torch
from torch import Tensor

DOUBLE = {"dtype": torch.float64}


def normal(generator: torch.Generator, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
    """Independent draws from N(0, 1).

    >>> normal(torch.Generator().manual_seed(0), 2, 3, **DOUBLE).shape
    torch.Size([2, 3])
    """
    return torch.randn(shape, generator=generator, dtype=dtype)


def bits(generator: torch.Generator, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Fair coins, 0 or 1.

    >>> bits(torch.Generator().manual_seed(0), 4).unique()
    tensor([0., 1.])
    """
    return torch.randint(0, 2, shape, generator=generator).to(dtype)
