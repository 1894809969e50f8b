"""Timing several ways to do one thing, in one process, in turn, so that a noisy machine is noisy for all.

Every round runs every contestant once, beginning with another one each time. A contestant's figures are its
median time, and the median over rounds of its time divided by the floor's in the same round. Time is CPU time
of this process: what other programs do meanwhile does not count. Run it on one thread.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from torch.optim import Adam

FLOOR = "floor"
BATCH = 256


@dataclass
class Row:
    """One contestant: median CPU seconds, and how many times the floor's."""

    name: str
    seconds: float
    ratio: float
    note: str = ""


def race(calls: dict[str, Callable[[], object]], rounds: int = 30, warmup: int = 3) -> list[Row]:
    """Time calls in interleaved rounds. One of them is called "floor": the same thing written by hand.

    >>> rows = race({"floor": lambda: sum(range(10**4)), "more": lambda: sum(range(10**6))}, rounds=3)
    >>> [row.name for row in rows], rows[0].ratio, rows[1].ratio > 1
    (['floor', 'more'], 1.0, True)
    """
    if FLOOR not in calls:
        raise ValueError(f"calls are {sorted(calls)}, expected one named {FLOOR!r}")
    for call in calls.values():
        for _ in range(warmup):
            call()
    names = list(calls)
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.process_time()
            calls[name]()
            times[name].append(time.process_time() - start)
    ratios = {n: median(t / f for t, f in zip(times[n], times[FLOOR], strict=True)) for n in names}
    return [Row(name, median(times[name]), ratios[name]) for name in names]


def race_steps(losses: dict[str, tuple], rounds: int = 30) -> list[Row]:
    """Race training steps: for each contestant its parameters and a call that gives its loss.

    A step is the loss, its gradient and one Adam update. The last loss is noted: all must learn the same.
    """
    last: dict[str, float] = {}

    def step_of(name, parameters, loss):
        optimizer = Adam(list(parameters), lr=1e-3)

        def step():
            optimizer.zero_grad(set_to_none=True)
            value = loss()
            value.backward()
            optimizer.step()
            last[name] = value.item()

        return step

    rows = race({name: step_of(name, *parts) for name, parts in losses.items()}, rounds)
    for row in rows:
        row.note = f"loss {last[row.name]:.2f} nats"
    return rows


def table(title: str, rows: list[Row], target: float | None = None, target_of: str = "gmtools") -> str:
    """The rows as a Markdown table; the target is what gmtools is to reach, in times the floor.

    >>> print(table("Sum", [Row("floor", 0.001, 1.0), Row("gmtools", 0.0011, 1.1, "-2.0")], target=1.2))
    ### Sum
    <BLANKLINE>
    | | ms | x floor | |
    |---|---:|---:|---|
    | floor | 1.00 | 1.00 | |
    | gmtools | 1.10 | 1.10 (target 1.2) | -2.0 |
    """
    lines = [f"### {title}", "", "| | ms | x floor | |", "|---|---:|---:|---|"]
    for row in rows:
        goal = f" (target {target:g})" if target is not None and row.name == target_of else ""
        note = f" {row.note} |" if row.note else " |"
        lines.append(f"| {row.name} | {1e3 * row.seconds:.2f} | {row.ratio:.2f}{goal} |{note}")
    return "\n".join(lines)
