"""How well flows fit: ``python -m benchmarks.quality``. Three seeds, equal budgets, beside zuko's flows.

Both of a pair have the same number of layers, hidden units, steps, batches and the same Adam. Planar data:
held-out NLL less the data's entropy, that is the KL divergence in nats. Digits: bits per dimension, held out,
uniformly dequantised.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from statistics import mean, stdev

import torch
from torch import Tensor, nn

from gmtools.data import TOYS, dequantise, digits
from gmtools.flows import Flow, masked_autoregressive_flow, neural_spline_flow, real_nvp, standard_normal
from gmtools.training import fit

PLANAR_DATA = ("two_moons", "eight_gaussians", "checkerboard", "pinwheel")


def pairs(dim: int, hidden: int) -> Iterator[tuple[str, Callable, Callable]]:
    """Name, gmtools' bijection, zuko's flow: each made anew on every call."""
    import zuko

    sizes = (hidden, hidden)
    yield (
        "Real NVP, 8 layers",
        lambda: real_nvp(dim, 8, sizes, nn.ReLU),
        lambda: zuko.flows.RealNVP(dim, transforms=8, hidden_features=sizes),
    )
    yield (
        "MAF, 5 layers",
        lambda: masked_autoregressive_flow(dim, 5, sizes, nn.ReLU),
        lambda: zuko.flows.MAF(dim, transforms=5, hidden_features=sizes),
    )
    yield (
        "NSF, 3 layers",
        lambda: neural_spline_flow(dim, 3, 8, hidden=sizes, activation=nn.ReLU, autoregressive=True),
        lambda: zuko.flows.NSF(dim, transforms=3, bins=8, hidden_features=sizes),
    )


def planar_data(name: str) -> tuple[Callable[[int], Tensor], int, float]:
    """A sampler of the standardised data, its dimension, and what to subtract from the NLL: the entropy."""
    toy = TOYS[name]()
    sample = toy.sample((100_000,))
    centre, scale = sample.mean(0), sample.std(0)
    entropy = float(toy.entropy()) - scale.log().sum().item()
    return lambda n: (toy.sample((n,)) - centre) / scale, 2, entropy


def train_and_score(
    module: nn.Module,
    log_prob: Callable[[Tensor], Tensor],
    data: Tensor,
    held_out: Tensor,
    steps: int,
    seed: int,
) -> float:
    """Held-out NLL in nats after so many steps of Adam."""
    fit(module, lambda x: -log_prob(x).mean(), data, steps=steps, lr=1e-3, seed=seed, progress=False)
    with torch.no_grad():
        return -log_prob(held_out).mean().item()


def compare(
    data: Tensor, held_out: Tensor, steps: int, seeds: int, hidden: int
) -> dict[str, dict[str, list]]:
    """For each pair, the held-out NLLs of both sides, one a seed."""
    base = standard_normal(data.shape[1])
    results: dict[str, dict[str, list]] = {}
    for name, ours, theirs in pairs(data.shape[1], hidden):
        results[name] = {"gmtools": [], "zuko": []}
        for seed in range(seeds):
            torch.manual_seed(seed)
            flow = ours()
            score = train_and_score(
                flow, lambda x, f=flow: Flow(base, f).log_prob(x), data, held_out, steps, seed
            )
            results[name]["gmtools"].append(score)
            torch.manual_seed(seed)
            flow = theirs()
            score = train_and_score(flow, lambda x, f=flow: f().log_prob(x), data, held_out, steps, seed)
            results[name]["zuko"].append(score)
    return results


def on_planar_data(name: str, steps: int, seeds: int, n: int = 20_000, hidden: int = 64) -> dict:
    torch.manual_seed(0)
    sample, _, entropy = planar_data(name)
    results = compare(sample(n), sample(n), steps, seeds, hidden)
    return {k: {who: [v - entropy for v in values] for who, values in r.items()} for k, r in results.items()}


def on_digits(steps: int, seeds: int, hidden: int = 128) -> dict:
    """Bits per dimension of pixels, standardised for the flow and counted back to 17 grey levels."""
    torch.manual_seed(0)
    splits = digits()
    train, test = (dequantise(part.images, part.levels).flatten(1) for part in (splits.train, splits.test))
    # One scale for all pixels: a border pixel that is black in training may be white in what is held out.
    centre, scale = train.mean(0), train.std()
    dim, levels = train.shape[1], splits.train.levels
    results = compare((train - centre) / scale, (test - centre) / scale, steps, seeds, hidden)

    def bits(nats: float) -> float:
        return (nats + dim * (scale.log().item() + math.log(levels))) / (dim * math.log(2))

    return {k: {who: [bits(v) for v in values] for who, values in r.items()} for k, r in results.items()}


def table(title: str, results: dict) -> str:
    """Mean and standard deviation over the seeds, as a Markdown table; lower is better."""
    lines = [f"### {title}", "", "| | gmtools | zuko |", "|---|---:|---:|"]
    for name, result in results.items():
        cells = [f"{mean(v):.3f} ± {stdev(v) if len(v) > 1 else 0:.3f}" for v in result.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tables(steps: int, seeds: int, only: str | None = None) -> Iterator[str]:
    for name in PLANAR_DATA:
        if only in (None, name):
            yield table(f"{name}: KL in nats, held out", on_planar_data(name, steps, seeds))
    if only in (None, "digits"):
        yield table("digits: bits per dimension, held out", on_digits(steps, seeds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", choices=(*PLANAR_DATA, "digits"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for text in tables(options.steps, options.seeds, options.only):
        print(text, end="\n\n", flush=True)


if __name__ == "__main__":
    main()
