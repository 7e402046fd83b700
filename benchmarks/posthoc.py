"""What all post-hoc methods cost together and each, fits and metrics included, on images of a few thousand to many."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.clock import Step
from benchmarks.ours import Ours
from benchmarks.rows import Row
from benchmarks.subjects import Subject
from ood_bench.checkpoints.__main__ import node_named
from ood_bench.data.imageset import Array, ImageSet
from ood_bench.methods.base import Detector, build_detector
from ood_bench.methods.posthoc import RowsDetector
from ood_bench.metrics import Curve, bootstrap
from ood_bench.models.classifier import Classifier
from ood_bench.utils.configs import options

IMAGES, FITTED = 20_000, 5_000
"""Images that are scored, half of them ID, and images that methods learn from."""
CELLS = 80
"""Cells that get intervals: forty methods on two sets."""
NEIGHBOURS = ("cfood", "ddu", "knn", "relation", "weiper")
"""Methods that look at every training image, a hundred last layers or a covariance of each class, for each image."""
FOURTEEN = (
    "msp", "maxlogit", "energy", "gen", "odin", "mahalanobis", "rmds", "knn", "vim", "dice", "she", "react", "ash",
    "gradnorm",
)  # fmt: skip
"""Methods that most libraries have."""

HEAVY = {
    "gram, powers 1 to 5, ends of stages": ("gram", {"taps": ["stages"], "powers": [1, 2, 3, 4, 5]}, 1.35),
    "gram, powers 1 to 10, every tap": ("gram", {}, 2.96),
    "nac_layers": ("nac_layers", {}, 1.7),
    "adascale": ("adascale", {}, 3.0),
}
"""Methods with work of their own for each image, their settings and floors: passes over scored and fitted images.

Gram: a prototype's, which took 0.35 and 0.98 beyond the pass for powers 1 to 5 at 4 stages and at 10 taps. NAC: a pass
and the way back to the end of the first stage, two thirds of the network. AdaSCALE: a pass, the way back to the input,
and a pass of the moved images.
"""


def posthoc_methods() -> dict[str, Detector]:
    """Every shipped method that scores the logits or the pooled features of the run's own network, without a step."""
    found: dict[str, Detector] = {}
    for name in options("method"):
        node = node_named("method", name)
        if {"train", "defaults"} & set(node):
            continue
        detector = build_detector(name, node)
        others = {"feature maps", "input gradients"} & set(detector.needs)  # LeNet does not average its maps
        if isinstance(detector, RowsDetector) and not others:
            found[name] = detector
    return found


def repeated(images: ImageSet, count: int) -> ImageSet:
    """The first ``count`` images of a set that is repeated as often as needed; each differs from its copies."""
    pixels, labels = np.resize(images.images, (count, *images.images.shape[1:])), images.labels
    pixels[:, 0, 0, 0] += (np.arange(count) // len(images)).astype(np.uint8)
    return ImageSet.of(images.name, pixels, None if labels is None else np.resize(labels, count))


def posthoc_rows(
    subject: Subject, folder: Path, *, images: int = IMAGES, fitted: int = FITTED, names: Collection[str] | None = None
) -> list[Row]:
    """Lines of the table.

    Args:
        subject: classifier and images, which are repeated up to the counts.
        folder: scratch folder.
        images: how many are scored: half ID, a quarter of each OOD set.
        fitted: how many are learned from.
        names: methods to measure; all by default.
    """
    ids = images // 2
    sets = [repeated(subject.test, ids), *(repeated(one, (images - ids) // 2) for one in subject.oods)]
    train = repeated(subject.train, fitted)
    ours, warm = Ours(subject.classifier, train, folder), folder / "posthoc"
    known = [name for name in posthoc_methods() if names is None or name in names]
    ours.table(ours.fit(fresh(known)), sets, warm)

    def row(name: str, chosen: Iterable[str], limit: float, store: Path | None = warm) -> Row:
        def run() -> Array:
            return ours.table(ours.fit(fresh(chosen)), sets, store)

        return Row(name, Step(run, images, slow=store is None), limit=limit, lacking=True)

    usual = [name for name in FOURTEEN if name in (*known, "odin", "mahalanobis")]

    random = np.random.default_rng(0)
    shift = np.linspace(0, 4, CELLS // 2)
    curves = [
        (random.normal(size=ids) + by, random.normal(size=len(oods))) for by in shift for oods in sets[1:]
    ]  # as of forty methods of every quality

    def some_libraries() -> Array:
        return together(subject.classifier, usual, train, sets, folder)

    def bounds() -> Array:
        bootstrap.forget()  # draws are made once in a run
        return np.array([bootstrap.intervals(Curve.of(*scores))["auroc"] for scores in curves])

    few, some = [repeated(one, len(one) // 5) for one in sets], repeated(subject.train, fitted // 5)

    def heavy(name: str) -> Row:
        method, changes, floor = HEAVY[name]

        def run() -> Array:
            anew = Ours(subject.classifier, some, folder)
            return anew.table(anew.fit({method: build_detector(method, node_named("method", method) | changes)}), few)

        step = Step(run, sum(map(len, [*few, some])), slow=True)
        return Row(f"{name}, cold, with the fit", step, limit=round(1.3 * floor, 2), lacking=True)

    count = f"all {len(known)} of logits and features"
    light = [name for name in known if name not in NEIGHBOURS]
    return [
        row(f"{count}, cold store", known, 1.25, None),
        row(f"{count}, warm store", known, 0.30),
        row(f"those without {', '.join(NEIGHBOURS)}", light, 0.08),
        Row(
            f"{len(FOURTEEN)} of most libraries, cold, with the fit",
            Step(some_libraries, images + fitted, slow=True),
            limit=5.0,
        ),
        Row(f"1,000-fold intervals of {CELLS // 2} methods on 2 sets", Step(bounds, images), limit=0.15, lacking=True),
        *(heavy(name) for name in HEAVY if names is None or HEAVY[name][0] in names),
        *(row(name, [name], 0.04 if name in NEIGHBOURS else 0.005) for name in known),
    ]


def together(
    classifier: Classifier, names: Iterable[str], train: ImageSet, sets: Sequence[ImageSet], folder: Path
) -> Array:
    """AUROC in percent ``[OOD sets, methods]`` from nothing but images: fits, the passes for them and scores."""
    anew = Ours(classifier, train, folder)
    return anew.table(anew.fit(fresh(names)), sets)


def fresh(names: Iterable[str]) -> Mapping[str, Detector]:
    """New detectors, which have learned nothing."""
    return {name: build_detector(name, node_named("method", name)) for name in names}
