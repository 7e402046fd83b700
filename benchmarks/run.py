"""The measurement as a whole: LeNet's table, then ResNet-20's beside pytorch-ood."""

import argparse
import functools
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.markup import escape

from benchmarks.clock import Step, Timing, interleaved
from benchmarks.lenet import lenet_rows
from benchmarks.ours import Ours, bare_pass
from benchmarks.posthoc import FITTED, IMAGES, posthoc_rows, repeated
from benchmarks.report import agreement_table, further_methods, speed_table
from benchmarks.rows import PAPER_GRID, SMALL_GRID, Bench, Row
from benchmarks.subjects import Subject, embedded_subject, fashion_images, fresh_lenet, mixture, real_subject
from benchmarks.theirs import HOW_TO_GET, Theirs, installed
from ood_bench.data.imageset import ImageSet
from ood_bench.runner.environment import environment

Timings = dict[str, Timing]
_WIDTH_OF_A_PIPE = 170
_UNIT = 500
"""Images of the bare pass beside post-hoc methods, most of which take less than it."""


def run(options: argparse.Namespace) -> None:
    """Measures both tables as the command line says, and prints them.

    Raises:
        OodBenchError: if images or the checkpoint cannot be read.
    """
    torch.set_num_threads(options.threads)
    handler = logging.StreamHandler()
    handler.addFilter(functools.partial(_once, set()))  # the same work comes again and again
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("benchmarks").setLevel(logging.INFO)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE, highlight=False)
    console.print(escape(_conditions(options)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _lenet(options, console, folder)
        _resnet20(options, console, folder)


def _once(said: set[str], record: logging.LogRecord) -> bool:
    """Whether a line of the log is a new one."""
    text = record.getMessage()
    new = text not in said
    said.add(text)
    return new


def _conditions(options: argparse.Namespace) -> str:
    """Machine and clock, in words."""
    machine = environment(torch.device("cpu"))
    clock = "processor time of this process" if options.threads == 1 else "wall-clock time"
    return (
        f"{machine.cpu}, {options.threads} thread(s), torch {torch.__version__}. One unit is the bare forward pass "
        f"over the same images, measured anew before each step; ratios are of {clock}, medians over {options.rounds} "
        "round(s), every other one for the longest work, with least and most beside them. The column s is wall-clock "
        "time."
    )


def _lenet(options: argparse.Namespace, console: Console, folder: Path) -> None:
    images, classifier = fashion_images(options.lenet_images, options.data_root), fresh_lenet()
    ours = Ours(classifier, images, folder)
    rows = lenet_rows(ours, images, folder)
    mine, theirs = measured(rows, ours, images, options)
    title = f"LeNet (fresh weights), {len(images):,} images ({images.name})"
    console.print(speed_table(title, rows, mine, theirs, beside=""))


def _resnet20(options: argparse.Namespace, console: Console, folder: Path) -> None:
    subject = None if options.quick else real_subject(options.images, options.data_root, options.checkpoint, folder)
    if subject is None:
        subject = embedded_subject(options.images)
    ours, version = Ours(subject.classifier, subject.train, folder), installed()
    theirs = Theirs(subject.classifier, subject.train, ours.batch_size) if version else None
    bench = Bench(subject, ours, theirs, folder, PAPER_GRID, min(64, options.images))
    if options.quick:
        bench = replace(bench, grid=SMALL_GRID, metric_rows=1000)
    rows = bench.rows()
    mine, other = measured(rows, ours, mixture(subject, len(subject.test)), options)
    title = f"{subject.title}; {len(subject.test)} images of each, batches of {ours.batch_size}"
    console.print(speed_table(title, rows, mine, other, beside=f"pytorch-ood {version or ''}".strip()))
    console.print(further_methods(rows, mine))
    if theirs is None:
        console.print(escape(f"pytorch-ood is not installed: {HOW_TO_GET}"))
    else:
        console.print(agreement_table(rows, mine, other))
    if options.checkpoint is not None and not options.quick:
        _posthoc(subject, ours, options, console, folder)


def _posthoc(subject: Subject, ours: Ours, options: argparse.Namespace, console: Console, folder: Path) -> None:
    """The table of all post-hoc methods, which need a trained network and images enough to learn from."""
    rows = posthoc_rows(subject, folder)
    mine, _ = measured(rows, ours, repeated(subject.test, _UNIT), options)
    title = f"{subject.title}; {IMAGES:,} images scored, {FITTED:,} learned from, 2 OOD sets, metrics without intervals"
    console.print(speed_table(title, rows, mine, {}, beside=""))


def measured(rows: Sequence[Row], ours: Ours, images: ImageSet, options: argparse.Namespace) -> tuple[Timings, Timings]:
    """Timings of our steps and of pytorch-ood's, by row name, from one interleaved run.

    Args:
        rows: what to measure.
        ours: has the network whose bare pass is the unit.
        images: what the bare pass sees.
        options: ``rounds`` and ``threads``.
    """
    steps = {("ours", row.name): row.ours for row in rows}
    steps |= {("theirs", row.name): row.theirs for row in rows if row.theirs is not None}
    turns = sorted(steps, key=lambda key: [row.name for row in rows].index(key[1]))
    bare = Step(lambda: bare_pass(ours.classifier, images, ours.batch_size), len(images))
    found = interleaved({key: steps[key] for key in turns}, bare, options.rounds, by_cpu=options.threads == 1)
    mine, theirs = ({name: found[who, name] for who, name in turns if who == side} for side in ("ours", "theirs"))
    return mine, theirs
