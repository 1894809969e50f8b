"""Networks: ``mlp`` (multilayer perceptron with a context), ``made`` (masked autoregressive network)."""

from gmtools.nets.made import MADE
from gmtools.nets.mlp import MLP

__all__ = ["MADE", "MLP"]
