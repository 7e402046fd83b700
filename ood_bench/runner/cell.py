"""Cells: one method on one OOD set with one seed, and the record that it becomes."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, Steps, View
from ood_bench.metrics import Measure, convention_named, measure
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import model_title
from ood_bench.protocols.base import Outcome, Protocol
from ood_bench.protocols.overlap import overlapping, seen_in_training
from ood_bench.results import Record, utc_now
from ood_bench.runner.environment import environment
from ood_bench.training.recipe import Autocast
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.files import content_key

CELL_VERSION = 1


@dataclass(frozen=True)
class Cell:
    """One number's place in a table, before it is computed.

    Attributes:
        method: method name.
        model: the run's model; a method may score with a variant of it.
        detector: the method's detector.
        specs: the networks that it needs.
        ood_name: config name of the OOD set.
        ood: the OOD set.
        test: ID test images.
        seed: the run's seed.
        protocol: the protocol.
        resamples: bootstrap resamples for intervals.
    """

    method: str
    model: str
    detector: Detector
    specs: Sequence[TrainingSpec]
    ood_name: str
    ood: ImageSet
    test: ImageSet
    seed: int
    protocol: Protocol
    resamples: int

    @property
    def key(self) -> str:
        """Key of everything that determines the cell's numbers, 16 hex digits."""
        return content_key(
            {
                "cell": CELL_VERSION,
                "method": self.method,
                "revision": self.detector.revision,
                "model": self.model,
                "hyperparameters": self.detector.hyperparameters(),
                "networks": [spec.key for spec in self.specs],
                "test": self.test.fingerprint,
                "ood": self.ood.fingerprint,
                "protocol": self.protocol.identity(),
                "seed": self.seed,
                "resamples": self.resamples,
            }
        )

    @functools.cached_property
    def overlap(self) -> dict[str, int]:
        """Number of scored rows that a choice (of settings, or of the classifiers' epoch) has seen, by image set."""
        seen = self.protocol.seen(self.method, self.detector, self.test, self.ood)
        return overlapping(self.scored, [*seen, *seen_in_training(self.specs)])

    @property
    def scored(self) -> tuple[View, View]:
        """The rows of the ID test set and of the OOD set that are scored."""
        return self.protocol.scored(self.method, self.detector, self.test, self.ood)

    def single_steps(self, scorer: Scorer) -> Sequence[Steps]:
        """The steps that scoring takes, where there is nothing to choose; else none: a choice asks for its own."""
        grid = self.detector.grid()
        return self.detector.steps(scorer, grid) if len(grid) == 1 else ()

    def refuse_overlap(self) -> None:
        """Refuses to score rows that a choice has seen.

        Raises:
            ConfigError: see above.
        """
        if self.overlap:
            rows = ", ".join(f"{count} of {name}" for name, count in self.overlap.items())
            raise ConfigError(
                f"{self.title}, protocol {self.protocol.name}: settings or epochs are chosen on rows that are then "
                f"scored ({rows}): choose on other rows, or use the protocol of the paper, which keeps them apart"
            )

    @property
    def row(self) -> str:
        """The method with its variant: what the cells of one row of a table have in common."""
        return f"{self.method} {self.detector.variant}".rstrip()

    @property
    def title(self) -> str:
        """The cell in a few words, for logs."""
        return f"{self.row} on {self.ood_name}, seed {self.seed}"

    def record(self, outcome: Outcome, classifiers: Sequence[Classifier], seconds: float) -> Record:
        """Evaluates the scores and writes down how they came about.

        Args:
            outcome: scores and setting.
            classifiers: the trained networks, in the order of ``specs``.
            seconds: time that fitting, tuning and scoring took.
        """
        convention = convention_named(self.protocol.convention)
        own, exact = self._measures(outcome)
        return Record.of(
            {
                "cell_key": self.key,
                "method": self.method,
                "variant": self.detector.variant,
                "model": self.model,
                "id": self.test.name,
                "ood": self.ood.name,
                "seed": self.seed,
                "protocol": self.protocol.name,
                "evaluation": {
                    "convention": self.protocol.convention,
                    "positive": convention.positive,
                    "unit": "percent",
                    "description": convention.description,
                    "rows": outcome.rows,
                    "tuned_on": outcome.tuned_on,
                },
                "metrics": {name: value._asdict() for name, value in own.items()},
                "exact": {name: value._asdict() for name, value in exact.items()},
                "n_id": len(outcome.id_scores),
                "n_ood": len(outcome.ood_scores),
                "hyperparameters": {
                    **self.detector.hyperparameters(),
                    **self.detector.findings(),
                    **outcome.setting,
                },
                "tuning": None if outcome.tuning is None else dict(outcome.tuning),
                "checkpoint": _checkpoint(classifiers),
                "data": self._data(),
                "deviations": self._deviations(classifiers),
                "notes": list(outcome.notes),
                "environment": environment(classifiers[0].device),
                "seconds": seconds,
                "created": utc_now(),
            }
        )

    def _measures(self, outcome: Outcome) -> tuple[dict[str, Measure], dict[str, Measure]]:
        name, scores = self.protocol.convention, (outcome.id_scores, outcome.ood_scores)
        ranked, options = outcome.convention_scores or scores, outcome.convention_options
        own, exact = measure(name, *ranked, resamples=self.resamples, **options)
        if ranked is not scores:
            _, exact = measure("exact", *scores, resamples=self.resamples)
        return {**own, **{other: Measure(value) for other, value in outcome.also_measured.items()}}, exact

    def _data(self) -> dict[str, Any]:
        outliers = next((spec.outliers for spec in self.specs if spec.outliers is not None), None)
        return {
            "id_train": _set_used(self.specs[0].data),
            "id_test": _set_used(self.test),
            "ood": _set_used(self.ood),
            "outliers": None if outliers is None else _set_used(outliers),
        }

    def _deviations(self, classifiers: Sequence[Classifier]) -> list[str]:
        sentences = [
            *self.protocol.deviations,
            *self.protocol.method_deviations.get(self.method, ()),
            *self.detector.deviations(),
        ]
        for spec, classifier in zip(self.specs, classifiers, strict=True):
            if spec.checkpoint is not None:
                sentences += classifier.card["deviations"]
                continue
            sentences += spec.recipe.deviations
            if spec.recipe.autocast is not Autocast.none:
                kind = spec.recipe.autocast.value
                sentences.append(f"Trained under {kind} autocast with float32 weights; scored in float32.")
        return list(dict.fromkeys(sentences))


def _set_used(images: ImageSet) -> dict[str, Any]:
    return {"name": images.name, "variant": images.variant, "fingerprint": images.fingerprint, "n": len(images)}


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
