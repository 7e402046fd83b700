"""Methods that most libraries have, beside pytorch-ood and oodeel: cost in bare passes, fits and metrics included.

oodeel 0.4 wants an older NumPy, so that it runs under an interpreter of its own; docs/speed.md says how to make it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx

from benchmarks.agreement import agreement
from benchmarks.clock import Step, Timing, interleaved
from benchmarks.oodeel_work import METHODS
from benchmarks.ours import Ours, bare_pass
from benchmarks.posthoc import FOURTEEN, fresh, repeated, together
from benchmarks.subjects import Subject, real_subject
from benchmarks.theirs import HOW_TO_GET, Theirs, installed
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError, DataError, OodBenchError
from ood_bench.methods.base import Array
from ood_bench.utils.configs import default_data_root

EPSILON = 0.0014
"""ODIN's step on pixels from 0 to 1; oodeel takes it on normalised ones, over the mean standard deviation."""
PROBABILITIES = ("msp", "odin")
"""Methods whose scores are logarithms of oodeel's."""


def peers(theirs: Theirs, std: Sequence[float], names: Sequence[str]) -> list[Any]:
    """pytorch-ood's detectors of these of :data:`FOURTEEN` with our settings, fitted by the loop of its README."""
    network, encoder = theirs.network, theirs.encoder
    last: Any = network.linear

    def maps(x: torch.Tensor) -> torch.Tensor:
        return encoder(x)[:, :, None, None]

    known: dict[str, tuple[str, Sequence[Any], dict[str, Any]]] = {
        "msp": ("MaxSoftmax", [network], {}),
        "maxlogit": ("MaxLogit", [network], {}),
        "energy": ("EnergyBased", [network], {}),
        "gen": ("GEN", [network], {}),
        "odin": ("ODIN", [network], {"eps": EPSILON, "temperature": 1000.0, "norm_std": list(std)}),
        "mahalanobis": ("Mahalanobis", [encoder], {}),
        "rmds": ("RMD", [encoder], {}),
        "knn": ("KNN", [encoder], {"k": 50}),
        "vim": ("ViM", [encoder, last.in_features // 2, last.weight, last.bias], {}),
        "dice": ("DICE", [encoder, last.weight, last.bias], {"p": 0.9}),
        "she": ("SHE", [encoder, last], {}),
        "react": ("ReAct", [encoder, last], {"percentile": 0.9}),
        "ash": ("ASH", [maps, lambda z: last(z.flatten(1))], {"percentile": 0.9}),
        "gradnorm": ("GradNorm", [network], {"param_filter": lambda name: name == "linear.weight"}),
    }
    return [theirs.fit(kind, *given, **options) for kind, given, options in (known[name] for name in names)]


def prepared(ours: Ours, theirs: Theirs, train: ImageSet, sets: Sequence[ImageSet], path: Path) -> None:
    """Writes what the other interpreter works on: the network as torch's own modules, and normalised images."""
    network = fx.symbolic_trace(ours.classifier.network)
    pixels = [theirs.dataset(images, len(images)).tensors for images in (train, *sets)]
    epsilon = EPSILON / float(np.mean(ours.classifier.std))
    given = {"train": pixels[0], "sets": [x for x, _ in pixels[1:]], "batch_size": ours.batch_size, "epsilon": epsilon}
    torch.save({"network": network, **given}, path)


def elsewhere(python: Path, source: Path, target: Path, rounds: int) -> dict[str, Any]:
    """What ``oodeel_work`` measured under another interpreter.

    Raises:
        ConfigError: if it cannot be run there, with the last line that it said.
    """
    command = [str(python), "-m", "benchmarks.oodeel_work", str(source), str(target), str(rounds)]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=os.environ, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
        raise ConfigError(f"{python} cannot run oodeel: {said}", "make its environment as docs/speed.md says")
    with np.load(target) as found:
        return dict(found)


def measure(options: argparse.Namespace, subject: Subject, folder: Path) -> None:
    """Measures and prints both tables."""
    known = options.images // 2
    sets = [repeated(subject.test, known), *(repeated(one, (options.images - known) // 2) for one in subject.oods)]
    train, classifier = repeated(subject.train, options.fitted), subject.classifier
    ours = Ours(classifier, train, folder)
    theirs = Theirs(classifier, train, ours.batch_size)
    count = len(train) + sum(map(len, sets))

    def bare() -> None:
        for images in (train, *sets):
            bare_pass(classifier, images, ours.batch_size)

    def other(names: Sequence[str]) -> Array:
        dataset = [theirs.dataset(images, 0 if number else len(images)) for number, images in enumerate(sets)]
        return theirs.table(peers(theirs, classifier.std, names), theirs.benchmark(dataset[0], dataset[1:]))

    both = {len(names): list(names) for names in (METHODS, FOURTEEN)}
    steps = {("ours", k): Step(lambda k=k: together(classifier, both[k], train, sets, folder), count) for k in both}  # type: ignore[misc]
    steps |= {("pytorch-ood", k): Step(lambda k=k: other(both[k]), count) for k in both}  # type: ignore[misc]
    timings = interleaved(steps, Step(bare, count), options.rounds, by_cpu=True)
    source, target = folder / "given.pt", folder / "found.npz"
    prepared(ours, theirs, train, sets, source)
    found = elsewhere(options.python, source, target, options.rounds)
    timings["oodeel", len(METHODS)] = Timing(found["seconds"].tolist(), found["ratios"].tolist())
    say = sys.stdout.write
    say(f"{subject.title}; {options.images:,} images scored, {options.fitted:,} learned from\n")
    for (library, k), timing in sorted(timings.items(), key=lambda item: item[0][1]):
        least, most = min(timing.ratios), max(timing.ratios)
        say(f"{k} methods, {library:12} {timing.ratio:7.2f} passes ({least:.2f} to {most:.2f})\n")
    say(f"oodeel {found['version']} lacks {', '.join(name for name in FOURTEEN if name not in METHODS)}\n")
    scores = np.hstack(ours.cold(ours.fit(fresh(METHODS)), sets))
    for name, mine in zip(METHODS, scores, strict=True):
        values, same = -found[name], np.exp(mine) if name in PROBABILITIES else mine
        line = np.polyval(np.polyfit(same, values, 1), same)
        found_same = agreement(values, line, tolerance=None)
        share, rank = found_same.difference, found_same.rank_correlation
        say(f"{name:12} largest difference from ours {share:.1e} of the range, rank correlation {rank:.6f}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 if all went well, 1 if a file or the other interpreter cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.oodeel", description=__doc__)
    add = parser.add_argument
    add("--python", type=Path, required=True, help="interpreter of an environment with oodeel 0.4")
    add("--checkpoint", type=Path, required=True, help="weights of a CIFAR-10 ResNet-20")
    add("--data-root", type=Path, default=Path(default_data_root()), help="default: $OOD_BENCH_DATA, ./data")
    add("--images", type=int, default=1000, help="images that are scored, half of them ID (default 1,000)")
    add("--fitted", type=int, default=250, help="images that are learned from (default 250)")
    add("--rounds", type=int, default=3, help="measured rounds (default 3)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        if not options.python.is_file():
            raise ConfigError(f"--python {options.python} is not there", "make its environment as docs/speed.md says")
        if not installed():
            raise ConfigError("pytorch-ood is not installed", HOW_TO_GET)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            subject = real_subject(options.images // 2, options.data_root, options.checkpoint, folder)
            if subject is None:
                raise DataError(f"{options.data_root} lacks image sets", "docs/speed.md names them; set --data-root")
            measure(options, subject, folder)
    except OodBenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
