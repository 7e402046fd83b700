"""How fast one GPU trains and scores the shipped networks of CIFAR's size, and whether its logits are the CPU's.

Synthetic images and labels, fresh weights: the speed is that of a real run, the scores mean nothing.
"""

import argparse
import contextlib
import csv
import functools
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.gpu_work import COMPILED, SCORED, Found, device_name, graphed, nodes, scoring, training
from ood_bench.errors import OodBenchError
from ood_bench.models.classifier import build_network
from ood_bench.training.speed import precision_of
from ood_bench.utils.device import device_named

NETWORKS = (
    *("lenet", "allconv", "vgg11", "resnet20", "resnet18", "resnet20_v2"),
    *("wrn_28_10", "resnet34", "wrn_40_2", "densenet_bc_100_12"),
)
"""By the number of their layers, which is what compiling takes its time for."""
_DASH = "-"
_CONSTANT = 10.0  # seconds that any compiled training takes, about


@dataclass(frozen=True)
class Row:
    """One network in one mode.

    Attributes:
        network: its name in ``conf/model``.
        work: ``train`` or ``score``.
        mode: how, or what of scoring; ``CUDA graphs`` is the bare step, captured and replayed, others the trainer's.
        precision: ``bfloat16``, ``tf32`` (of convolutions only, torch's default) or ``float32``.
        images_per_second: median over the rounds, or none if nothing was measured.
        share_of_peak: percent of the device's peak in that precision, or none where it is not known.
        ratio: time in bare training steps, or in bare forward passes.
        memory: peak of torch's memory on the GPU in GiB, or none on a CPU.
        start: seconds that the first epoch took beyond the median one: compiling, and trying algorithms.
        difference: largest difference of a logit on the device from the CPU's, as a share of the CPU's largest.
        seconds: what measuring the row took in all.
        note: why nothing was measured.
    """

    network: str
    work: str
    mode: str
    precision: str
    images_per_second: float | None = None
    share_of_peak: float | None = None
    ratio: float | None = None
    memory: float | None = None
    start: float | None = None
    difference: float | None = None
    seconds: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        def cell(value: float | None, form: str, width: int) -> str:
            return (_DASH if value is None else format(value, form)).rjust(width)

        numbers = (
            cell(self.images_per_second, ",.0f", 9),
            cell(self.share_of_peak, ".1f", 6),
            cell(self.ratio, ".2f", 6),
        )
        others = cell(self.memory, ".1f", 5), cell(self.start, ".1f", 6), cell(self.difference, ".0e", 6)
        name = f"{self.network:18} {self.work:5} {self.mode:15} {self.precision:8}"
        return " ".join([name, *numbers, *others, self.note]).rstrip()


HEADING = "network            work  mode            in        images/s % peak  ratio   GiB  start  |diff|"


@dataclass
class Bench:
    """What all measurements share: the command line's options, the device, and what was found so far."""

    options: argparse.Namespace
    device: torch.device
    rows: list[Row] = field(default_factory=list)

    @functools.cached_property
    def conditions(self) -> str:
        """Machine, versions and sizes, in words."""
        options, driver = self.options, _DASH
        if self.device.type == "cuda":
            words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
            with contextlib.suppress(OSError):
                driver = subprocess.run(words, capture_output=True, text=True, check=False).stdout.partition("\n")[0]  # noqa: S603
        flags = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        convolutions, products = ("on" if one else "off" for one in flags)
        return (
            f"{device_name(self.device)}, driver {driver}, torch {torch.__version__}, {len(os.sched_getaffinity(0))} "
            f"CPU cores. Training: {options.images:,} images, batches of {options.batch}, median of {options.rounds} "
            f"epochs after one, ratio to the bare step; TF32 is {convolutions} for convolutions, {products} for matrix "
            f"products. Scoring: up to {options.scored:,} images, TF32 off, banks in memory, ratio to the bare pass."
        )

    def add(self, blank: Row, measure: Callable[[], Found]) -> Row:
        """Measures a row, prints it and writes all rows; an error becomes its note, in one line."""
        if blank.mode in COMPILED:  # frees the graphs of the network before
            torch.compiler.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        start = time.monotonic()
        try:
            found = measure()
            if self.device.type == "cuda":
                found["memory"] = torch.cuda.max_memory_allocated(self.device) / 2**30
        except Exception as error:  # torch.compile raises anything; the other rows are wanted
            found = {"note": f"failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:120]}"}
        row = replace(blank, **found, seconds=time.monotonic() - start)
        self._enter(row)
        return row

    def skip(self, row: Row, why: str) -> None:
        """Enters a row that is not measured."""
        self._enter(replace(row, note=f"skipped: {why}"))

    def _enter(self, row: Row) -> None:
        """Prints a row, and writes ``gpu.json`` and ``gpu.csv``."""
        self.rows.append(row)
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        rows, out = [asdict(row) for row in self.rows], self.options.out
        text = json.dumps({"conditions": self.conditions, "rows": rows}, indent=2)
        (out / "gpu.json").write_text(f"{text}\n")
        with (out / "gpu.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(Row.__dataclass_fields__))
            writer.writeheader()
            writer.writerows(rows)

    def train(self, name: str, mode: str, autocast: str) -> Row:
        """Measures the training of one network."""
        return self.add(*self._training(name, mode, autocast))

    def _training(self, name: str, mode: str, autocast: str) -> tuple[Row, Callable[[], Found]]:
        precision = precision_of("bfloat16" if autocast == "bfloat16" else "none", self.device)
        work = partial(training, name, mode, autocast, self.options, self.device)
        return Row(name, "train", mode, precision), work

    def network(self, name: str, share: float) -> None:
        """Measures scoring and training of one network but for compiled training.

        Args:
            name: the network.
            share: seconds after which nothing more of it is begun.
        """
        end = time.monotonic() + share
        scores = scoring(name, self.options, self.device)  # begins with the first row

        def score() -> Found:
            return next(scores)()

        rows: list[tuple[Row, Callable[[], Found]]] = [(Row(name, "score", mode, "float32"), score) for mode in SCORED]
        rows += [self._training(name, "eager", autocast) for autocast in ("bfloat16", "none")]
        rows.append((Row(name, "train", "CUDA graphs", "bfloat16"), partial(graphed, name, self.options, self.device)))
        for row, work in rows:
            if time.monotonic() < end:
                self.add(row, work)
            else:
                self.skip(row, f"its share of the time, {share:.0f} s, is used up")

    def compile(self, deadline: float) -> None:
        """Measures compiled training, smallest networks first, as far as the time goes.

        Args:
            deadline: by ``time.monotonic``.
        """
        each = dict.fromkeys(COMPILED, 1.0)  # seconds a module beside the constant ones, of the network before
        for name in self.options.networks:
            node, id_node = nodes(name)
            modules = sum(1 for _ in build_network(node, id_node["shape"], 10).modules())
            for mode in COMPILED:
                needed, left = _CONSTANT + each[mode] * modules, max(0.0, deadline - time.monotonic())
                if needed > left:
                    row = Row(name, "train", mode, "bfloat16")
                    self.skip(row, f"needs about {needed:.0f} s, {left:.0f} s are left")
                else:
                    each[mode] = max(0.0, self.train(name, mode, "bfloat16").seconds - _CONSTANT) / modules

    def table(self) -> str:
        """All rows, network by network."""
        order = list(dict.fromkeys(row.network for row in self.rows))
        rows = sorted(self.rows, key=lambda row: order.index(row.network))
        return "\n".join([self.conditions, HEADING, *map(str, rows)])


def run(options: argparse.Namespace) -> None:
    """Measures all networks, each in its share of the time, then compiled training in what is left; prints a table.

    Raises:
        OodBenchError: if there is no such device or network.
    """
    deadline = time.monotonic() + options.seconds
    bench = Bench(options, device_named(options.device))
    options.out.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{bench.conditions}\n{HEADING}\n")
    for number, name in enumerate(options.networks):
        left = max(0.0, deadline - time.monotonic())
        bench.network(name, left / (len(options.networks) - number))
    bench.compile(deadline)
    sys.stdout.write(f"\n{bench.table()}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints the table.

    Args:
        arguments: the command line without the program's name; that of the process if none.

    Returns:
        Exit status: 0 if all went well, 1 if there is no such device or network.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for gpu.json and gpu.csv")
    add("--seconds", type=float, default=540, help="in all; what there is no time for is named (default 540)")
    add("--networks", type=lambda text: text.split(","), default=NETWORKS, help="names of conf/model (default: all)")
    add("--device", default="cuda", help="default cuda; cpu only to try the command")
    add("--images", type=int, default=8192, help="images of an epoch (default 8192)")
    add("--batch", type=int, default=128, help="images of a training step (default 128)")
    add("--scored", type=int, default=10000, help="images to score, at most (default 10000)")
    add("--rounds", type=int, default=3, help="measured epochs and passes (default 3)")
    options = parser.parse_args(arguments)
    try:
        run(options)
    except OodBenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
