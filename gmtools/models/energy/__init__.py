"""Undirected models: ``boltzmann`` (fully visible, Ising), ``rbm`` (with CD, PCD and parallel tempering)."""

from gmtools.models.energy.boltzmann import BoltzmannMachine, ising
from gmtools.models.energy.rbm import RBM, TemperedChains, contrastive_loss

__all__ = ["RBM", "BoltzmannMachine", "TemperedChains", "contrastive_loss", "ising"]
