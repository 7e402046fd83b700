"""A cell: one method on one OOD set with one seed, before it is computed."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Scorer, Steps, View
from ood_bench.protocols.base import Protocol
from ood_bench.results.record import address
from ood_bench.training.selection import validation_view
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.files import content_key
from ood_bench.utils.source import own_source

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

    @functools.cached_property
    def key(self) -> str:
        """Key of everything that determines the cell's numbers, 16 hex digits."""
        return content_key(
            {
                "cell": CELL_VERSION,
                "method": self.method,
                "revision": self.detector.revision,
                "model": self.model,
                **own_source([*self.detector.scoring_classes, type(self.protocol)]),
                "hyperparameters": self.detector.hyperparameters(),
                "networks": [spec.key for spec in self.specs],
                "test": self.test.fingerprint,
                "ood": self.ood.fingerprint,
                "protocol": self.protocol.identity(),
                **self._ranked(),
                "seed": self.seed,
                "resamples": self.resamples,
            }
        )

    @property
    def address(self) -> str:
        """Names the cell's record: sets of the same images under other names have records of their own."""
        return address(self.test.name, self.ood.name, self.key)

    def _ranked(self) -> dict[str, int]:
        """The revision of what the protocol's convention ranks, where those are not the detector's own scores."""
        revision = self.detector.paper_revision if self.protocol.ranks_paper_scores else 0
        return {"paper_scores": revision} if revision else {}

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
        """Raises :class:`ConfigError` where rows would be scored that a choice has seen."""
        if self.overlap:
            rows = ", ".join(f"{count} of {name}" for name, count in self.overlap.items())
            raise ConfigError(
                f"{self.title}, protocol {self.protocol.name}: settings or epochs are chosen on rows that are then "
                f"scored ({rows}): choose on other rows, or use the protocol of the paper, which keeps them apart"
            )

    @property
    def row(self) -> str:
        """The method with its variant: what the cells of one row of a table have in common."""
        return f"{self.method} {self.variant}".rstrip()

    @property
    def variant(self) -> str:
        """What sets the row apart from others of the method: the detector's variant, and how it was tuned."""
        return ", ".join(filter(None, (self.detector.variant, self.protocol.variant)))

    @property
    def title(self) -> str:
        """The cell in a few words, for logs."""
        return f"{self.row} on {self.ood_name}, seed {self.seed}"


def _rows_of(view: View) -> np.ndarray:
    """The view's row numbers, also where it has all rows in order."""
    return np.arange(len(view.images)) if view.rows is None else view.rows


def overlapping(scored: Sequence[View], seen: Sequence[View]) -> dict[str, int]:
    """Number of scored rows that were seen, by name of the image set; sets without any are left out."""
    counts = {}
    for view in scored:
        mine = [_rows_of(one) for one in seen if one.images.same_pixels(view.images)]
        if mine and (count := int(np.isin(_rows_of(view), np.concatenate(mine)).sum())):
            counts[view.images.name] = count
    return counts


def seen_in_training(specs: Sequence[TrainingSpec]) -> list[View]:
    """Test and validation rows on which classifiers' epochs were chosen; the same for all of them."""
    spec = next((one for one in specs if one.validation is not None), None)
    if spec is None or spec.validation is None:
        return []
    return [validation_view(images) for images in (spec.test, spec.validation)]
