"""NAC-UE over several layers: coverage of activation times gradient, averaged over the layers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ood_bench.data.imageset import Rows32
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Scorer, Setting, View, at_every
from ood_bench.methods.coverage import Coverage, balanced, edges
from ood_bench.methods.nac import Nac
from ood_bench.methods.ranges import Count, Edges, Positive, Whole
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.tap_gradients import activation_times_gradient
from ood_bench.scoring.taps import named_taps


@dataclass
class NacLayers(Detector):
    """Mean over taps of the mean over channels of ``min(n(s) / full, 1)``, the coverage of the channel's state s.

    ``s = sigmoid(steepness * a * g)``: a is a channel's mean activation over its positions, g the mean over them of the
    gradient of ``-mean_k log p_k``. ``n(s)`` counts, among ``images`` ID training images that hold as many of every
    class, those whose state falls into the same bin. With the penultimate tap alone it is method ``nac``.

    The paper averages over positions, the authors' code sums (``pooling=sum``). Both are the same with a steepness for
    means that is larger by the square of the number of positions; the authors' values are for sums.

    Differences: the draw of the images differs from the authors'. pytorch-ood averages the products ``a g`` over
    positions where the authors multiply the sums, adds up the taps, and takes other bins (finer towards 0 and 1) and
    everything in its loader.

    Attributes:
        taps: names of taps; empty for the ends of the stages, with the pooled features in place of the last one, as the
            authors have it for ResNet; ``[stages]`` or ``[all]``.
        steepness: of the sigmoid, one for all taps or one for each. The authors tune it for sums: 0.001, 0.001, 1,000
            and 100 from the first stage of a ResNet-18 to its pooled features for CIFAR-10, 0.005, 1, 10 and 50 for
            CIFAR-100. With means the first two would put all images into one bin.
        bins: M, the number of edges of bins, even and at least 4, likewise; 500, 50, 500, 50 and 50, 50, 1,000, 50.
        full: how many images cover a bin fully, likewise; 100, 5, 100, 50 and 5, 500, 500, 50.
        pooling: ``mean`` or ``sum`` over the positions of activations and of gradients.
        images: how many training images are counted, at most; 1,000, or 50,000 for ViT.
        seed: seeds the draw of the images.
    """

    taps: list[str] = field(default_factory=list)
    steepness: Annotated[list[Positive], Field(min_length=1)] = field(default_factory=lambda: [100.0])
    bins: Annotated[list[Edges], Field(min_length=1)] = field(default_factory=lambda: [50])
    full: Annotated[list[Count], Field(min_length=1)] = field(default_factory=lambda: [50])
    pooling: Literal["mean", "sum"] = "mean"
    images: int = 1000
    seed: Whole = 0

    source = Nac.source
    younger: ClassVar[frozenset[str]] = frozenset({"pooling"})
    needs: ClassVar[tuple[str, ...]] = ("feature maps", "feature map gradients")

    def __post_init__(self) -> None:
        self._coverages: list[Coverage] = []
        self._fitted_on = ""

    @property
    def variant(self) -> str:
        """``sums`` where positions are summed."""
        return "sums" if self.pooling == "sum" else ""

    def deviations(self) -> list[str]:
        """That layers are not tuned one by one, and that one steepness for means is another one for sums."""
        if len(self.taps) == 1 or max(len(self.steepness), len(self.bins), len(self.full)) > 1:
            return []
        means = " Means over positions take the place of the authors' sums." if self.pooling == "mean" else ""
        return [f"All layers have the same steepness, bins and full; the paper tunes them for each layer.{means}"]

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The taps."""
        if self.taps:
            return named_taps(classifier, self.taps)
        stages = [tap for tap in named_taps(classifier, ["stages"]) if tap != "stem"]
        before = stages[: stages.index(classifier.penultimate)] if classifier.penultimate in stages else stages[:-1]
        return [*before, classifier.penultimate]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Coverage of every bin of every channel.

        Raises:
            ConfigError: if a list has another number of values than there are taps, the training images have no
                labels, a class has no image, or ``images`` is below the number of classes.
        """
        labels = scorer.train.labels
        if labels is None:
            raise ConfigError(f"method nac_layers: {scorer.train.name} has no labels to draw images of every class by")
        fitted_on = f"{scorer.classifier.key}-{scorer.train.fingerprint}"
        if fitted_on == self._fitted_on:
            return
        taps = self.tap_names(scorer.classifier)
        options = zip(*(self._each(name, taps) for name in ("steepness", "bins", "full")), strict=True)
        drawn = balanced(labels, int(labels.max()) + 1, self.images, self.seed, "nac_layers")
        widths, rows = self._products(scorer, View(scorer.train, drawn))
        self._ends = np.cumsum(widths)[:-1]
        parts = np.split(rows, self._ends, axis=1)
        self._coverages = [
            Coverage(part, steepness, edges(int(bins)), int(full))
            for part, (steepness, bins, full) in zip(parts, options, strict=True)
        ]
        self._fitted_on = fitted_on

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Mean coverage over all taps, ``[len(settings), n, 1]``."""
        identity = {
            "method": self.kept_as("nac_layers"),
            "network": scorer.classifier.key,
            "view": view.fingerprint,
            "taps": list(self.tap_names(scorer.classifier)),
            "device": scorer.classifier.device.type,
            **({} if self.pooling == "mean" else {"pooling": self.pooling}),
        }
        rows = scorer.engine.cached("nac_layers", identity, lambda: self._products(scorer, view)[1])
        parts = np.split(rows, self._ends, axis=1)
        found = [coverage.of(part) for coverage, part in zip(self._coverages, parts, strict=True)]
        return at_every(settings, np.mean(found, axis=0))

    def _products(self, scorer: Scorer, view: View) -> tuple[list[int], Rows32]:
        classifier = scorer.classifier
        size = scorer.engine.batch_size(classifier)
        summed = self.pooling == "sum"
        return activation_times_gradient(classifier, view, self.tap_names(classifier), size, summed=summed)

    def _each(self, name: str, taps: Sequence[str]) -> list[float]:
        """A hyperparameter's values, one for each tap."""
        values = list(getattr(self, name))
        if len(values) not in (1, len(taps)):
            raise ConfigError(
                f"method nac_layers: {name} has {len(values)} values, and there are {len(taps)} taps: "
                f"{', '.join(taps)}",
                f"give method.nac_layers.{name} one value, or one for each tap",
            )
        return values * len(taps) if len(values) == 1 else values
