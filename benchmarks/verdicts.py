"""How often the rule of docs/verdicts.md is wrong, and how often it decides: simulated reproductions.

``python -m benchmarks.verdicts`` draws a published number and our runs from normal distributions of the same spread,
rounds the former to a decimal, and asks the rule, 100,000 times a line.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from ood_bench.report.margins import DEFAULT
from ood_bench.report.rule import Ours, Published, decide

_SPREADS = (0.1, 0.3, 1.0, 3.0)
_NETWORKS = (2, 3, 5, 10)
_RUNS = (1, 3)
_DIFFERENCES = (0.0, 1.0, 2.0, 5.0)


def shares(n: int, std: float, runs: int, difference: float, draws: int, *, seed: int = 0) -> dict[str, float]:
    """Percent of the draws that the rule calls reproduced, not reproduced and undecided.

    Args:
        n: our networks.
        std: spread of all runs, in points.
        runs: runs behind the published mean.
        difference: true difference in points.
        draws: pretended reproductions.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    printed = np.round(random.normal(80 + difference, std / np.sqrt(runs), draws), 1)
    ours = random.normal(80, std, (draws, n))
    means, stds = ours.mean(axis=1), ours.std(axis=1, ddof=1)
    found = dict.fromkeys(("reproduced", "not reproduced", "undecided"), 0)
    for value, mean, spread in zip(printed.tolist(), means.tolist(), stds.tolist(), strict=True):
        found[decide(Ours(mean, spread, n), Published(value, 0.05, runs), DEFAULT.usual).said] += 1
    return {name: 100 * count / draws for name, count in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for each case.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__)
    parser.add_argument("--draws", type=int, default=100_000, metavar="N")
    draws = parser.parse_args(arguments).draws
    sys.stdout.write("margin 1.0, one decimal; percent of pretended reproductions\n")
    sys.stdout.write("difference  runs  spread  networks  reproduced  not reproduced  undecided\n")
    for difference in _DIFFERENCES:
        for runs in _RUNS:
            for std in _SPREADS:
                for n in _NETWORKS:
                    yes, no, open_ = shares(n, std, runs, difference, draws).values()
                    line = f"{difference:10g}  {runs:4}  {std:6g}  {n:8}  {yes:10.1f}  {no:14.1f}  {open_:9.1f}\n"
                    sys.stdout.write(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
