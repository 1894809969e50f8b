"""What flows cost: ``python -m benchmarks.flows`` prints the tables. One thread, batches of 256, float32.

Steps are a loss, its gradient and one Adam update. The losses beside them show that all learn the same thing.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks import peers
from benchmarks.floors import AutoregressiveFloor, CouplingFloor, PlanarFloor
from benchmarks.harness import BATCH, FLOOR, Row, race, race_steps, table
from gmtools.flows import Flow, Planar, masked_autoregressive_flow, real_nvp, standard_normal


def coupling(rounds: int = 30, dim: int = 64, layers: int = 8, hidden: int = 128) -> list[Row]:
    """A training step of Real NVP on correlated, skewed data."""
    torch.manual_seed(0)
    x = _skewed(BATCH, dim)
    floor, flow = CouplingFloor(dim, layers, hidden), real_nvp(dim, layers, (hidden, hidden), nn.ReLU)
    base = standard_normal(dim)
    losses = {
        FLOOR: (floor.parameters(), lambda: floor.nll(x)),
        "gmtools": (flow.parameters(), lambda: -Flow(base, flow).log_prob(x).mean()),
    }
    for name, make in peers.REAL_NVP.items():
        module, nll = make(dim, layers, hidden)
        losses[name] = (module.parameters(), lambda nll=nll: nll(x))
    return race_steps(losses, rounds)


def sampling(rounds: int = 10, dim: int = 64, layers: int = 5) -> list[Row]:
    """Drawing a batch from a masked autoregressive flow."""
    torch.manual_seed(0)
    hidden = dim - 1  # one hidden unit a degree
    floor = AutoregressiveFloor(dim, layers)
    flow = masked_autoregressive_flow(dim, layers, (hidden, hidden), nn.ReLU)
    p = Flow(standard_normal(dim), flow)
    calls = {FLOOR: lambda: floor.draw(BATCH), "gmtools": lambda: p.sample((BATCH,))}
    for name, make in peers.MAF.items():
        calls[name] = partial(make(dim, layers, hidden), BATCH)
    with torch.no_grad():
        return race(calls, rounds)


def planar(rounds: int = 30, dim: int = 64, layers: int = 32) -> list[Row]:
    """A variational step of 32 planar layers towards a correlated Gaussian."""
    torch.manual_seed(0)
    factor = torch.eye(dim) + 0.3 * torch.randn(dim, dim) / dim**0.5
    z = torch.randn(BATCH, dim)
    floor, flow = PlanarFloor(dim, layers), Planar(dim, layers)

    def kl(forward: Callable) -> Tensor:
        """KL to the target up to a constant, for the layers' Gaussian base."""
        x, ladj = forward(z)
        return (0.5 * (x @ factor).square().sum(-1) - 0.5 * z.square().sum(-1) - ladj).mean()

    losses = {
        FLOOR: (floor.parameters(), lambda: kl(floor.forward)),
        "gmtools": (flow.parameters(), lambda: kl(flow)),
    }
    for name, make in peers.PLANAR.items():
        module, forward = make(dim, layers)
        losses[name] = (module.parameters(), lambda forward=forward: kl(forward))
    return race_steps(losses, rounds)


def _skewed(n: int, dim: int) -> Tensor:
    x = torch.randn(n, dim) @ (torch.eye(dim) + 0.5 * torch.randn(dim, dim) / dim**0.5)
    return x + 0.3 * x.roll(1, dims=-1).square()


TABLES = {
    "Affine coupling, D = 64, 8 layers: training step": (coupling, 1.2),
    "Masked autoregressive flow, D = 64, 5 layers: drawing": (sampling, 1.1),
    "Planar, D = 64, 32 layers: variational step": (planar, 1.2),
}


def tables(rounds: int) -> Iterator[str]:
    for title, (measure, target) in TABLES.items():
        yield table(title, measure(rounds), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # peers' deprecations
    for text in tables(rounds):
        print(text, end="\n\n", flush=True)


if __name__ == "__main__":
    main()
