"""What the comparison on ResNet-20 measures: in each row the same work, ours and pytorch-ood's."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import Agreement, agreement
from benchmarks.clock import Step
from benchmarks.ours import Ours, every_tap, feature_norms, forward_only
from benchmarks.pairs import Pair, pairs
from benchmarks.subjects import Subject, mixture
from benchmarks.theirs import Theirs
from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Array
from ood_bench.methods.odin import Odin
from ood_bench.metrics import measure

Grid = tuple[Sequence[float], Sequence[float]]

PAPER_GRID: Grid = ((1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), [round(0.0002 * step, 4) for step in range(21)])
"""Temperatures and magnitudes that ODIN's paper searches, arXiv 1706.02690."""
SMALL_GRID: Grid = ((1, 10, 100, 1000), (0.0014, 0.0028))
"""The grid that pytorch-ood takes over from OpenOOD."""
_STEPS = "steps differ where the gradient is exactly 0; float32 maxima tie, as in papers' code, our logarithms do not"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what is done.
        ours: this library's step.
        theirs: pytorch-ood's, or none.
        limit: the ratio that ours is to keep to, or none.
        compare: holds the results of the two steps against each other, or none where there is nothing to compare.
        lacking: whether pytorch-ood has no such thing, as opposed to not being installed.
        further: how many methods beyond the first share the pass, where the row tells what each of them adds.
    """

    name: str
    ours: Step
    theirs: Step | None = None
    limit: float | None = None
    compare: Callable[[Any, Any], Agreement] | None = None
    lacking: bool = False
    further: int = 0


@dataclass(frozen=True)
class Bench:
    """What all rows share.

    Attributes:
        subject: classifier and images.
        ours: this library.
        theirs: pytorch-ood, or none if it is not installed.
        folder: scratch folder.
        grid: temperatures and magnitudes of ODIN's search.
        grid_images: number of images that are searched on, one batch.
        metric_rows: rows of each of the two sets whose metrics are computed.
    """

    subject: Subject
    ours: Ours
    theirs: Theirs | None
    folder: Path
    grid: Grid = PAPER_GRID
    grid_images: int = 64
    metric_rows: int = 9000

    @functools.cached_property
    def _pairs(self) -> list[tuple[Pair, Any]]:
        """All pairs with our detector fitted, and with pytorch-ood's fitted one or none."""
        found = pairs(self.subject.classifier)
        self.ours.fit({pair.name: pair.ours for pair in found})
        return [(pair, self.theirs and pair.theirs(self.theirs)) for pair in found]

    def rows(self) -> list[Row]:
        """All lines, in the table's order."""
        single = [self._single(pair, detector) for pair, detector in self._pairs]
        return [*single, self._search(), *self._shared(), *self._tables(), *self._metrics()]

    def _single(self, pair: Pair, detector: Any) -> Row:
        """One method on a mixture of ID and OOD images."""
        images = mixture(self.subject, len(self.subject.test))
        times = len(self.subject.train) if pair.scaled else 1

        def compare(mine: list[Array], other: Array) -> Agreement:
            return agreement(pair.scale(mine[0][0]), times * other, tolerance=pair.tolerance, why=pair.why)

        theirs = None
        if (peer := self.theirs) is not None:
            dataset = peer.dataset(images, len(images) // 2)
            theirs = Step(lambda: peer.scores(detector, dataset, gradient=pair.gradient), len(images))
        ours = Step(lambda: self.ours.cold([pair.ours], [images]), len(images))
        return Row(pair.name, ours, theirs, pair.limit, compare)

    def _search(self) -> Row:
        """ODIN's grid; the settings without a step need no pass of their own."""
        temperatures, magnitudes = self.grid
        images, known = mixture(self.subject, self.grid_images), self.grid_images // 2
        odin = Odin(list(magnitudes), list(temperatures))
        theirs = None
        if (peer := self.theirs) is not None:
            dataset, std = peer.dataset(images, known), list(self.subject.classifier.std)
            detector, space = (
                peer.fit("ODIN", peer.network, norm_std=std),
                {"eps": magnitudes, "temperature": temperatures},
            )
            theirs = Step(lambda: peer.grid(detector, dataset, space), len(images), slow=True)
        return Row(
            f"odin, grid of {len(temperatures)} x {len(magnitudes)}",
            Step(lambda: self.ours.grid(odin, images, known), len(images), slow=True),
            theirs,
            1 + len(temperatures) * (1 + sum(magnitude > 0 for magnitude in magnitudes)),
            lambda mine, other: agreement(
                mine, other, tolerance=None, points=True, why=f"AUROC of each setting; {_STEPS}"
            ),
        )

    def _shared(self) -> list[Row]:
        """All forward-only methods from one pass, then from the store, and FeatureNorm's blocks alone."""
        images = mixture(self.subject, len(self.subject.test))
        blocks = self.ours.fit(feature_norms(self.subject.classifier))
        everything = [*self.ours.fit(forward_only()), *self.ours.fit(every_tap()), *blocks]
        warm = self.folder / "forward-only"
        self.ours.scores(everything, [images], warm)

        def row(name: str, run: Callable[[], object], limit: float | None = None, further: int = 0) -> Row:
            return Row(name, Step(run, len(images)), limit=limit, lacking=True, further=further)

        name = f"all {len(everything)} forward-only ones"
        return [
            row(f"feature_norm of all {len(blocks)} blocks", lambda: self.ours.cold(blocks, [images])),
            row(f"{name}, cold store", lambda: self.ours.cold(everything, [images]), 1.3, len(everything) - 1),
            row(f"{name}, warm store", lambda: self.ours.scores(everything, [images], warm), 0.1),
        ]

    def _tables(self) -> list[Row]:
        """What a user wants of either library: several methods on two OOD sets, with metrics."""
        sets = [self.subject.test, *self.subject.oods]
        count = sum(len(images) for images in sets)
        plain = [(pair, detector) for pair, detector in self._pairs if not pair.gradient]
        rows = []
        for chosen, what in ((plain, "forward-only ones"), (self._pairs, "methods")):
            name = f"table of these {len(chosen)} {what}, 2 OOD sets"
            mine, folder = [pair.ours for pair, _ in chosen], self.folder / f"table-{len(chosen)}"
            self.ours.scores(mine, sets, folder)
            cold, warm = self._their_tables([detector for _, detector in chosen], sets, count)
            ours = Step(functools.partial(self.ours.table, mine, sets), count)
            again = Step(functools.partial(self.ours.table, mine, sets, folder), count)
            rows += [Row(f"{name}, cold store", ours, cold, compare=_same_auroc)]
            rows += [Row(f"{name}, warm store", again, warm, compare=_same_auroc)]
        return rows

    def _their_tables(
        self, detectors: list[Any], sets: list[ImageSet], count: int
    ) -> tuple[Step, Step] | tuple[None, None]:
        if (peer := self.theirs) is None:
            return None, None
        known, *others = (peer.dataset(images, 0 if number else len(images)) for number, images in enumerate(sets))
        warm = peer.benchmark(known, others)
        peer.table(detectors, warm)
        return (
            Step(lambda: peer.table(detectors, peer.benchmark(known, others)), count),
            Step(lambda: peer.table(detectors, warm), count),
        )

    def _metrics(self) -> list[Row]:
        """One cell's metrics at the size of a paper's table."""
        draws = np.random.default_rng(0).normal(size=(2, self.metric_rows))
        known, other = draws[0] + 1, draws[1]

        def ours(resamples: int) -> Step:
            return Step(lambda: _pair_of_metrics(known, other, resamples), 2 * self.metric_rows)

        peer = self.theirs
        theirs = None if peer is None else Step(lambda: peer.metrics(known, other), 2 * self.metric_rows)
        name = f"metrics of {self.metric_rows:,} + {self.metric_rows:,} rows"
        return [
            Row(name, ours(0), theirs, compare=_same_metrics),
            Row(f"{name} with 1,000-fold intervals", ours(1000), lacking=True),
        ]


def _pair_of_metrics(known: Array, other: Array, resamples: int) -> Array:
    exacts = measure("exact", known, other, resamples=resamples)[1]
    return np.array([exacts["auroc"].value, exacts["fpr95_ood_positive"].value])


def _same_metrics(mine: Array, other: Array) -> Agreement:
    return agreement(
        mine, other, tolerance=1e-9, points=True, why="AUROC and FPR95 with OOD positive; its AUPR is a trapezoid"
    )


def _same_auroc(mine: Array, other: Array) -> Agreement:
    return agreement(mine, other, tolerance=None, points=True, why="AUROC of each cell; as the methods above")
