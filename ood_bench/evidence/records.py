"""Makes ordinary records of scores that somebody else computed; weights and pixels stay unknown."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.data.imageset import Array
from ood_bench.errors import DataError
from ood_bench.evidence.benchmark import Benchmark, KnownSet
from ood_bench.evidence.files import VALIDATION, SetScores, read_scores
from ood_bench.metrics import Measure, convention_named, measure, measure_selective
from ood_bench.results import Record, RecordStore, utc_now
from ood_bench.results.details import DetailStore, details_of
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.runner.environment import environment
from ood_bench.utils.files import content_key, sha256_file

RECIPE = "from scores"
_UNKNOWN = "From scores that were computed elsewhere: weights and pixels are not known."
_STATED = "The accuracy is stated by whoever gave the scores."
_METHODS = (
    "The accuracy is that of the predictions beside the scores; those of a method that changes features may differ "
    "from the network's own in a few rows."
)
_VALIDATED = "The threshold that is transferred was set on {rows:,} ID validation rows of these files."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stated:
    """What a user says of scores.

    Attributes:
        method: method name, as tables show it.
        model: model name.
        seed: seed of the network; scores of one seed count as one network's.
        variant: what sets the row apart from others of the method.
        tuned_on: what its hyperparameters were chosen on, in words.
        hyperparameters: their values.
        higher_is_ood: whether scores are higher for OOD, so that they are negated.
        id_accuracy: of the network on the ID test set in percent, where the files cannot tell.
    """

    method: str
    model: str
    seed: int
    variant: str = ""
    tuned_on: str = "not stated"
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    higher_is_ood: bool = False
    id_accuracy: float | None = None


def read_all(files: Sequence[Path]) -> dict[str, SetScores]:
    """The scores of several files together, by image set.

    Raises:
        DataError: if a file is not usable, or two hold scores of one set.
    """
    found: dict[str, SetScores] = {}
    for path in files:
        scores = read_scores(path)
        if twice := sorted(found.keys() & scores.keys()):
            raise DataError(f"{path}: holds scores of {twice[0]}, and so does a file before it")
        found |= scores
    return found


def import_scores(
    files: Sequence[Path], benchmark: Benchmark, stated: Stated, *, results: Path, store: Path, resamples: int
) -> list[Path]:
    """Writes a record for each OOD set, details for the page and scores for paired tests; gives the records' paths.

    Args:
        files: score files.
        benchmark: what the scores are of.
        stated: what is said of them.
        results: the results folder.
        store: the artifact store.
        resamples: bootstrap resamples for intervals; 0 for none.

    Raises:
        DataError: if a file is not usable or does not fit the benchmark.
        RecordError: if there is another record of the same cell.
        ArtifactError: if something cannot be written.
    """
    found_sets = read_all(files)
    validation = found_sets.pop(VALIDATION, None)
    inside, outside, others = benchmark.matched(found_sets)
    if others:
        _log.info("left out, no sets of this benchmark: %s", ", ".join(others))
    if lacking := [one.name for one in benchmark.ood if one not in outside]:
        _log.warning("no scores of %s", ", ".join(lacking))
    sign = -1.0 if stated.higher_is_ood else 1.0
    accuracy, remark = _accuracy(inside, stated)
    files_read = {path.name: sha256_file(path) for path in files}
    notes = [_UNKNOWN, remark, _VALIDATED.format(rows=len(validation.scores)) if validation is not None else ""]
    origin = _Origin(accuracy, files_read, list(filter(None, notes)))
    correct, threshold_on = _correct(inside), None if validation is None else sign * validation.scores
    records, details, kept = RecordStore(results), DetailStore(results), ScoreStore(store / "scores")
    paths = []
    for known, found in outside.items():
        scores = sign * inside.scores, sign * found.scores
        own, exact = measure(benchmark.convention, *scores, resamples=resamples)
        metrics = own, exact, measure_selective(*scores, correct=correct, validation=threshold_on)
        record = _record(benchmark, stated, (known, scores), metrics, origin=origin)
        paths.append(records.write(record))
        rows = (np.arange(len(one), dtype=np.int64) for one in scores)
        kept.write(record.cell_key, Scores(*scores, *rows))
        details.write(details_of(record.cell_key, scores, None, (None, None)))
        _log.info("%s on %s, seed %d: AUROC %.2f", stated.method, known.name, stated.seed, record.exact["auroc"].value)
    return paths


def _accuracy(inside: SetScores, stated: Stated) -> tuple[float | None, str]:
    """The network's accuracy on the ID test set in percent, none if unknown, and what there is to say about it."""
    if stated.id_accuracy is not None and inside.network is None:
        return stated.id_accuracy, _STATED
    correct = _correct(inside)
    if correct is None:
        return stated.id_accuracy, _STATED if stated.id_accuracy is not None else ""
    return 100 * float(np.mean(correct)), _METHODS if inside.network is None else ""


def _correct(inside: SetScores) -> npt.NDArray[np.bool_] | None:
    """Whether each ID row is predicted right, bool ``[n]``: by the network itself if its predictions are there."""
    predictions = inside.predictions if inside.network is None else inside.network
    return None if inside.labels is None or predictions is None else np.asarray(inside.labels == predictions)


@dataclass(frozen=True)
class _Origin:
    """Accuracy of the network on the ID test set in percent, if known, SHA-256 of the files by name, and remarks."""

    accuracy: float | None
    files: Mapping[str, str]
    notes: Sequence[str]


def _record(
    benchmark: Benchmark,
    stated: Stated,
    graded: tuple[KnownSet, tuple[Array, Array]],
    metrics: tuple[dict[str, Measure], dict[str, Measure], dict[str, Measure]],
    *,
    origin: _Origin,
) -> Record:
    (known, scores), (own, exact, selective) = graded, metrics
    if origin.accuracy is not None:
        own = own | {"id_accuracy": Measure(origin.accuracy)}
    convention = convention_named(benchmark.convention)
    network = content_key({"scores of": [benchmark.protocol, benchmark.id.name, stated.model, stated.seed]})
    return Record.of(
        {
            "cell_key": content_key(
                {
                    "scores": [hashlib.sha256(side.tobytes()).hexdigest() for side in scores],
                    "method": [stated.method, stated.variant, dict(stated.hyperparameters)],
                    "network": network,
                    "ood": known.name,
                    "intervals": exact["auroc"].low is not None,
                }
            ),
            "method": stated.method,
            "variant": stated.variant,
            "model": stated.model,
            "id": benchmark.id.name,
            "ood": known.name,
            "seed": stated.seed,
            "protocol": benchmark.protocol,
            "evaluation": {
                "convention": benchmark.convention,
                "positive": convention.positive,
                "unit": "percent",
                "description": convention.description,
                "rows": "all rows of both sets, as files of scores hold them",
                "tuned_on": stated.tuned_on,
            },
            "metrics": {name: value._asdict() for name, value in own.items()},
            "exact": {name: value._asdict() for name, value in exact.items()},
            "selective": {name: value._asdict() for name, value in selective.items()},
            "n_id": len(scores[0]),
            "n_ood": len(scores[1]),
            "hyperparameters": dict(stated.hyperparameters),
            "tuning": None,
            "checkpoint": _checkpoint(network, stated, origin.accuracy),
            "data": {
                "id_train": None,
                "id_test": _set_used(benchmark.id, len(scores[0])),
                "ood": _set_used(known, len(scores[1])),
                "outliers": None,
            },
            "deviations": [],
            "notes": list(origin.notes),
            "environment": environment(torch.device("cpu")),
            "from_scores": {"files": dict(origin.files)},
            "seconds": 0.0,
            "created": utc_now(),
        }
    )


def _checkpoint(key: str, stated: Stated, accuracy: float | None) -> dict[str, Any]:
    network = {
        "key": key,
        "model": stated.model,
        "recipe": RECIPE,
        "seed": stated.seed,
        "weights_sha256": None,
        "id_accuracy": accuracy,
        "epochs": 0,
        "trained_seconds": 0.0,
    }
    return {"key": key, "sha256": None, "networks": [network]}


def _set_used(known: KnownSet, rows: int) -> dict[str, Any]:
    return {"name": known.name, "variant": known.variant, "fingerprint": None, "n": rows}
