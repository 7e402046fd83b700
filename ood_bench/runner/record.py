"""The record of a computed cell: its numbers, and how they came about."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from ood_bench.data.imageset import ImageSet
from ood_bench.data.stream import stream_of
from ood_bench.metrics import Measure, convention_named, measure, measure_selective
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import model_title
from ood_bench.protocols.base import Outcome
from ood_bench.results import Record, utc_now
from ood_bench.runner.cell import Cell
from ood_bench.runner.environment import environment
from ood_bench.utils.files import content_key


def record_of(
    cell: Cell,
    outcome: Outcome,
    classifiers: Sequence[Classifier],
    seconds: float,
    correct: npt.NDArray[np.bool_] | None = None,
    *,
    backend: str | None = None,
) -> Record:
    """Evaluates a cell's scores and writes down how they came about.

    Args:
        cell: the cell.
        outcome: its scores and the setting they were made with.
        classifiers: the trained networks, in the order of the cell's ``specs``.
        seconds: time that tuning and scoring took.
        correct: bool ``[n_id]``, whether the class of each scored ID row is predicted right, or none if unknown.
        backend: what ran the passes where torch alone did not.
    """
    protocol, detector = cell.protocol, cell.detector
    convention = convention_named(protocol.convention)
    own, exact = _measures(cell, outcome)
    return Record.of(
        {
            "cell_key": cell.key,
            "method": cell.method,
            "variant": cell.variant,
            "model": cell.model,
            "id": cell.test.name,
            "ood": cell.ood.name,
            "seed": cell.seed,
            "protocol": protocol.name,
            "evaluation": {
                "convention": protocol.convention,
                "positive": convention.positive,
                "unit": "percent",
                "description": convention.description,
                "rows": outcome.rows,
                "tuned_on": outcome.tuned_on,
            },
            "metrics": {name: value._asdict() for name, value in own.items()},
            "exact": {name: value._asdict() for name, value in exact.items()},
            "selective": {
                name: value._asdict()
                for name, value in measure_selective(outcome.id_scores, outcome.ood_scores, correct=correct).items()
            },
            "n_id": len(outcome.id_scores),
            "n_ood": len(outcome.ood_scores),
            "hyperparameters": {**detector.hyperparameters(), **detector.findings(), **outcome.setting},
            "tuning": None if outcome.tuning is None else dict(outcome.tuning),
            "checkpoint": _checkpoint(classifiers),
            "data": _data(cell),
            "deviations": _deviations(cell, classifiers),
            "notes": [*outcome.notes, *_ties(outcome), *_imports(classifiers), *_streams(cell)],
            "environment": replace(environment(classifiers[0].device), backend=backend),
            "seconds": seconds,
            "created": utc_now(),
        }
    )


def _measures(cell: Cell, outcome: Outcome) -> tuple[dict[str, Measure], dict[str, Measure]]:
    """Metrics by the protocol's convention, and exact ones."""
    scores = (outcome.id_scores, outcome.ood_scores)
    ranked = outcome.convention_scores or scores
    own, exact = measure(cell.protocol.convention, *ranked, resamples=cell.resamples, **outcome.convention_options)
    if ranked is not scores:
        _, exact = measure("exact", *scores, resamples=cell.resamples)
    return {**own, **{other: Measure(value) for other, value in outcome.also_measured.items()}}, exact


def _ties(outcome: Outcome) -> list[str]:
    """How many of the convention's scores tie because a probability rounds to 0 or 1."""
    if outcome.convention_scores is None:
        return []
    sentences = []
    for end in (1, 0, -1):
        inside, outside = (int((scores == end).sum()) for scores in outcome.convention_scores)
        if inside + outside > 1:
            sentences.append(f"{inside:,} ID and {outside:,} OOD scores tie at {end}.")
    return sentences


def _imports(classifiers: Sequence[Classifier]) -> list[str]:
    """What was chosen of published weights, and what was left out of their file."""
    return list(dict.fromkeys(note for classifier in classifiers for note in classifier.card.get("notes", ())))


def _streams(cell: Cell) -> list[str]:
    """Which sets' fingerprints are not those of pixels."""
    sets = (cell.specs[0].data, cell.test, cell.ood)
    names = list(dict.fromkeys(images.name for images in sets if stream_of(images) is not None))
    how = "decoded while they were scored: their fingerprints are over names, sizes and times of files, not over pixels"
    return [f"Images of {', '.join(names)} were {how}."] if names else []


def _data(cell: Cell) -> dict[str, Any]:
    outliers = next((spec.outliers for spec in cell.specs if spec.outliers is not None), None)
    return {
        "id_train": _set_used(cell.specs[0].data),
        "id_test": _set_used(cell.test),
        "ood": _set_used(cell.ood),
        "outliers": None if outliers is None else _set_used(outliers),
    }


def _set_used(images: ImageSet) -> dict[str, Any]:
    return {"name": images.name, "variant": images.variant, "fingerprint": images.fingerprint, "n": len(images)}


def _deviations(cell: Cell, classifiers: Sequence[Classifier]) -> list[str]:
    """Known differences from the paper, a sentence each, from protocol, method and training."""
    sentences = [
        *cell.protocol.deviations,
        *cell.protocol.method_deviations.get(cell.method, ()),
        *cell.detector.deviations(),
    ]
    for spec, classifier in zip(cell.specs, classifiers, strict=True):
        if spec.checkpoint is not None:
            sentences += classifier.card["deviations"]
            continue
        sentences += spec.recipe.deviations
        if spec.recipe.autocast != "none":
            kind = spec.recipe.autocast
            sentences.append(f"Trained under {kind} autocast with float32 weights; scored in float32.")
    return list(dict.fromkeys(sentences))


def _checkpoint(classifiers: Sequence[Classifier]) -> dict[str, Any]:
    networks = [
        {
            "key": card["key"],
            "model": model_title(card["spec"]["model"]),
            "recipe": card["recipe"],
            "seed": card["spec"]["seed"],
            "weights_sha256": card["weights_sha256"],
            "id_accuracy": card["id_accuracy"],
            "epochs": len(card["history"]),
            "trained_seconds": card["trained_seconds"],
        }
        for card in (classifier.card for classifier in classifiers)
    ]
    hashes = "".join(network["weights_sha256"] for network in networks)
    whole = networks[0]["weights_sha256"] if len(networks) == 1 else hashlib.sha256(hashes.encode()).hexdigest()
    return {"key": content_key([network["key"] for network in networks]), "sha256": whole, "networks": networks}
