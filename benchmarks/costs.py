"""What each post-hoc method costs to score in forward passes, which the tables of methods show beside its AUROC.

``python -m benchmarks.costs --checkpoint WEIGHTS`` writes ``ood_bench/papers/costs.csv``.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from omegaconf import OmegaConf

from benchmarks.clock import Step, interleaved
from benchmarks.ours import Ours, bare_pass
from benchmarks.posthoc import FITTED, IMAGES, posthoc_methods, repeated
from benchmarks.subjects import Subject, real_subject
from ood_bench.checkpoints.__main__ import node_named
from ood_bench.errors import OodBenchError
from ood_bench.methods.base import Array, Detector, build_detector
from ood_bench.papers.costs import FILE, Cost, as_text
from ood_bench.runner.environment import environment
from ood_bench.utils.configs import conf_dir, default_data_root

FEW, FEW_FITTED = 1000, 500
"""Images for methods that do more than read the shared pass."""


def methods() -> dict[str, Detector]:
    """The methods of ``experiment=posthoc``."""
    defaults = OmegaConf.load(conf_dir() / "experiment" / "posthoc.yaml").defaults
    (names,) = (one["override /method"] for one in defaults if "override /method" in one)
    return {name: build_detector(name, node_named("method", name)) for name in names}


def steps(subject: Subject, folder: Path) -> dict[str, Step]:
    """What is timed, by method: scoring and metrics; fits come before.

    A method that reads logits and pooled features only finds them in the store, so that its step lacks the one pass.
    """
    light = posthoc_methods()

    def step(name: str, detector: Detector) -> Step:
        count, fitted = (IMAGES, FITTED) if name in light else (FEW, FEW_FITTED)
        sets = [repeated(subject.test, count // 2), *(repeated(one, count // 4) for one in subject.oods)]
        ours, warm = Ours(subject.classifier, repeated(subject.train, fitted), folder), folder / "warm"
        ready = ours.fit({name: detector})
        if name in light:
            ours.table(ready, sets, warm)

        def run() -> Array:
            return ours.table(ready, sets, warm if name in light else None)

        return Step(run, count)

    return {name: step(name, detector) for name, detector in methods().items()}


def costs(subject: Subject, folder: Path, rounds: int) -> list[Cost]:
    """Measures all methods, cheapest first."""
    images, light = repeated(subject.test, 2000), posthoc_methods()
    bare = Step(lambda: bare_pass(subject.classifier, images, 250), len(images))
    found = interleaved(steps(subject, folder), bare, rounds, by_cpu=True)
    cpu = environment(torch.device("cpu")).cpu
    passes = {name: timing.ratio + (name in light) for name, timing in found.items()}
    return [Cost(name, passes[name], subject.title, cpu) for name in sorted(passes, key=lambda name: passes[name])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and writes the file; exit status 0, or 1 if the weights or images could not be read."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True, help="weights of a CIFAR-10 ResNet-20")
    parser.add_argument("--data-root", type=Path, default=Path(default_data_root()))
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default 3)")
    parser.add_argument("--out", type=Path, default=FILE, help="default: the file that the tables read")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        try:
            subject = real_subject(250, options.data_root, options.checkpoint, Path(name))
        except OodBenchError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        if subject is None:
            sys.stderr.write(f"no images under {options.data_root}: see README\n")
            return 1
        text = as_text(costs(subject, Path(name), options.rounds))
    options.out.write_text(text)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    sys.exit(main())
