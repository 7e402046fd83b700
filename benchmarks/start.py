"""What a run takes from command to first image, warm, beyond the bare imports of what it stands on.

``python -m benchmarks.start`` trains and scores the quickstart once in an empty folder, and then starts it again with a
method whose pass is missing, in processes that end before their first image.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LIMIT = 1.5
_RUN = ("experiment=quickstart", "train.epochs=1", "ood=uniform")
_PROBE = """
import json, os, sys, time
import torch, hydra, omegaconf, numpy, pydantic, rich
bare = time.process_time()
from ood_bench.cli.main import main
from ood_bench.scoring import engine
def first_image(*_, **__):
    print(json.dumps([bare, time.process_time() - bare, sorted(sys.modules)]), flush=True)
    os._exit(0)
engine.run_pass = first_image
main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        bare: processor seconds of the interpreter and of importing torch, hydra, omegaconf, numpy, pydantic and rich.
        beyond: processor seconds from there to the first image.
        modules: names of the modules that were imported until then.
    """

    bare: float
    beyond: float
    modules: frozenset[str]


def start(words: Sequence[str], folder: Path) -> Start:
    """Starts a run in a process of its own, which ends before its first image.

    Args:
        words: its command line; its networks and images must be in the store, and a pass must be missing.
        folder: where it starts.
    """
    command = [sys.executable, "-c", _PROBE, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603
    bare, beyond, modules = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    return Start(bare, beyond, frozenset(modules))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints medians.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as name:
        first = [sys.executable, "-m", "ood_bench", *_RUN, "method=msp"]
        subprocess.run(first, cwd=name, capture_output=True, check=True)  # noqa: S603
        found = [start([*_RUN, "method=mahalanobis"], Path(name)) for _ in range(1 + rounds)][1:]
    for what, seconds in (("bare imports", [one.bare for one in found]), ("beyond", [one.beyond for one in found])):
        limit = f", limit {LIMIT} s" if what == "beyond" else ""
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        sys.stdout.write(f"start, {what}: {statistics.median(seconds):.2f} s of the processor ({spread}){limit}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
