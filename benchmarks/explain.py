"""How long ``ood-bench explain`` takes from a warm store: the ladder of a cell, and all conventions on a few cells."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.explain import find
from ood_bench.explain.cells import EXACT, PAPER, KeptCell
from ood_bench.explain.multiverse import multiverse
from ood_bench.explain.ranked import Ranked
from ood_bench.methods.base import Scorer, View
from ood_bench.methods.msp import Msp
from ood_bench.metrics import measure
from ood_bench.models.classifier import load_classifier, save_classifier
from ood_bench.models.lenet import LeNet
from ood_bench.papers.block import load_blocks
from ood_bench.results import Record, utc_now
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.runner.environment import environment
from ood_bench.scoring.engine import Engine

LADDER, COMBINATION = 1.0, 0.010
"""Seconds that a ladder, and one convention of one cell, may take at 10,000 + 10,000 rows."""
_SHAPE, _CLASSES = (1, 8, 8), 10
_CPU = torch.device("cpu")


def images(name: str, rows: int, seed: int) -> ImageSet:
    """Noise: it matters only how many scores there are, and that some tie at 1."""
    pixels = np.random.default_rng(seed).integers(0, 256, (rows, *_SHAPE), dtype=np.uint8)
    return ImageSet.of(name, pixels, np.arange(rows) % _CLASSES)


def filled(store: Path, rows: int) -> Record:
    """Fills a store with a network, its logits on two sets and the scores of MSP; gives the cell's record."""
    torch.manual_seed(0)
    network = LeNet(_SHAPE, _CLASSES)
    with torch.no_grad():
        network.fc2.weight *= 200
    model = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet"}
    normalisation = {"mean": [0.5], "std": [0.5]}
    spec = {"model": model, "shape": list(_SHAPE), "classes": _CLASSES, "normalisation": normalisation, "seed": 0}
    folder = store / "classifiers" / "lenet"
    save_classifier(folder, network.eval(), {"key": "lenet", "spec": spec, "recipe": "none", "history": []})
    classifier = load_classifier(folder, _CPU)
    sets = images("inside", rows, 1), images("outside", rows, 2)
    scorer = Scorer(Engine(store / "banks", 1000), [classifier], sets[0])
    inside, outside = (Msp().scores(scorer, View(one), {}) for one in sets)
    key = "0" * 16
    ScoreStore(store / "scores").write(key, Scores(inside, outside, np.arange(rows), np.arange(rows)))
    weights = str(classifier.card["weights_sha256"])
    return _record(key, sets, weights, {name: value._asdict() for name, value in _exact(inside, outside).items()})


def _exact(inside: Any, outside: Any) -> Any:
    return measure("exact", inside, outside, resamples=0)[1]


def _record(key: str, sets: Sequence[ImageSet], weights: str, metrics: dict[str, Any]) -> Record:
    network = {
        "key": "lenet", "model": "lenet", "recipe": "none", "seed": 0, "weights_sha256": weights, "id_accuracy": None,
        "epochs": 0, "trained_seconds": 0.0,
    }  # fmt: skip
    used = [{"name": one.name, "variant": "", "fingerprint": one.fingerprint, "n": len(one)} for one in sets]
    return Record.of(
        {
            "cell_key": key, "method": "msp", "variant": "", "model": "lenet", "id": "inside", "ood": "outside",
            "seed": 0, "protocol": "plain", "metrics": metrics, "exact": metrics, "n_id": len(sets[0]),
            "n_ood": len(sets[1]), "hyperparameters": {}, "tuning": None,
            "evaluation": {
                "convention": "exact", "positive": "id", "unit": "percent", "description": "exact", "rows": "all rows",
                "tuned_on": "nothing",
            },
            "checkpoint": {"key": "lenet", "sha256": weights, "networks": [network]},
            "data": {"id_train": used[0], "id_test": used[0], "ood": used[1], "outliers": None},
            "deviations": [], "notes": [], "environment": environment(_CPU), "seconds": 0.0, "created": utc_now(),
        }
    )  # fmt: skip


def ladder_seconds(record: Record, store: Path, rounds: int) -> list[float]:
    """What the ladder from the plain protocol to ODIN's takes, from opening the cell's files on."""
    wanted = find.Asked("fpr95", "plain", "odin", store)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = find.of_record(record, [], wanted)
        seconds.append(time.perf_counter() - start)
    sys.stdout.write(f"{len(found.ladder.rungs)} rungs, {found.ladder.evaluations} evaluations\n")
    return seconds


def multiverse_seconds(record: Record, store: Path, metric: str) -> float:
    """What one convention takes on one cell, sorting included: the mean over all of them on two cells."""
    cell = KeptCell(record, store)
    pairs = {name: cell.known(None, name).scores for name in (EXACT, PAPER)}
    start = time.perf_counter()
    cells = {method: [{name: Ranked(*pair) for name, pair in pairs.items()}] for method in ("one", "other")}
    found = multiverse(cells, metric)
    return (time.perf_counter() - start) / (len(found.universes) * len(cells))


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a line for the ladder and one for each metric.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explain", description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000, help="of each set; more than 2,000 (default: 10,000)")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        record = filled(store, options.rows)
        load_blocks()  # reading the configs is part of starting up
        seconds = sorted(ladder_seconds(record, store, options.rounds))
        middle = seconds[len(seconds) // 2]
        sys.stdout.write(f"ladder {middle:.3f} s ({seconds[0]:.3f} to {seconds[-1]:.3f})   limit {LADDER:g} s\n")
        for metric in ("fpr95", "auroc", "aupr_out"):
            each = 1000 * multiverse_seconds(record, store, metric)
            sys.stdout.write(f"{metric:9} {each:6.2f} ms a convention and cell   limit {1000 * COMBINATION:g} ms\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
