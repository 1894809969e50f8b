"""Random inputs of checks, and networks, drawn from the generator that a check is given."""

import torch
from torch import Tensor, nn

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


def random_weights(network: nn.Module, generator: torch.Generator, scale: float = 1.0) -> nn.Module:
    """``network`` itself, its parameters drawn anew in their order: independent, N(0, scale²).

    >>> random_weights(nn.Linear(2, 1), torch.Generator().manual_seed(0), scale=0.0).weight.abs().sum().item()
    0.0
    """
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(scale * normal(generator, *parameter.shape, dtype=parameter.dtype))
    return network


def random_linear(
    generator: torch.Generator, d_in: int, d_out: int, scale: float = 1.0, dtype: torch.dtype | None = None
) -> nn.Sequential:
    """A network of one linear layer with random weights.

    >>> random_linear(torch.Generator().manual_seed(0), 3, 2)(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """
    return random_weights(nn.Sequential(nn.Linear(d_in, d_out, dtype=dtype)), generator, scale)
