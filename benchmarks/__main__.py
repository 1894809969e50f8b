"""Every benchmark of the library: ``python -m benchmarks`` prints all tables. One thread.

Speed first: imports, flows, the VAE's step. Then quality, within a budget of steps and seeds that
``--steps`` and ``--seeds`` set; ``--speed-only`` leaves it out. The grader's own is benchmarks/grading.py.
"""

import argparse
import warnings

import torch

from benchmarks import flows, imports, quality, vae


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="rounds of each timing")
    parser.add_argument("--steps", type=int, default=1000, help="training steps of each fit")
    parser.add_argument("--seeds", type=int, default=3, help="fits of each flow to each data set")
    parser.add_argument("--speed-only", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # peers' deprecations

    print(imports.table(), end="\n\n", flush=True)
    for text in flows.tables(options.rounds):
        print(text, end="\n\n", flush=True)
    print(vae.report(options.rounds), end="\n\n", flush=True)
    if options.speed_only:
        return
    print(
        f"Fits of {options.steps} steps on batches of 256, {options.seeds} seeds: mean ± standard deviation\n"
    )
    for text in quality.tables(options.steps, options.seeds):
        print(text, end="\n\n", flush=True)


if __name__ == "__main__":
    main()
