"""Speed as ratios to the bare forward pass, ours beside pytorch-ood's, measured in one interleaved run on CPU."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ood_bench.errors import OodBenchError
from ood_bench.utils.configs import default_data_root

_QUICK = {"images": 32, "rounds": 2, "lenet_images": 500}
_FULL = {"images": 128, "rounds": 3, "lenet_images": 5000}


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="embedded images, fresh weights, fewer images and a small ODIN grid")
    add("--checkpoint", type=Path, help="weights of a CIFAR-10 ResNet-20 trained with the ImageNet constants")
    add(
        "--data-root", type=Path, default=Path(default_data_root()), help="data root (default: $OOD_BENCH_DATA, ./data)"
    )
    add("--images", type=int, help=f"images of each set (default {_FULL['images']}, quick {_QUICK['images']})")
    add("--rounds", type=int, help=f"measured rounds (default {_FULL['rounds']}, quick {_QUICK['rounds']})")
    add("--lenet-images", type=int, help=f"for LeNet (default {_FULL['lenet_images']}, quick {_QUICK['lenet_images']})")
    add("--threads", type=int, default=1, help="with 1, ratios are of processor time (default 1)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints the tables.

    Args:
        arguments: the command line without the program's name; that of the process if none.

    Returns:
        Exit status: 0 if all went well, 1 if a file could not be read, 2 for a wrong command line.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    for name, value in (_QUICK if options.quick else _FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if min(options.rounds, options.threads) < 1 or min(options.images, options.lenet_images) < 4:
        parser.error("--rounds and --threads must be at least 1, --images and --lenet-images at least 4")
    for library in ("OMP", "OPENBLAS", "MKL"):  # read once, when NumPy and torch are imported
        os.environ[f"{library}_NUM_THREADS"] = str(options.threads)
    from benchmarks.run import run  # noqa: PLC0415 - after the number of threads is set

    try:
        run(options)
    except OodBenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
