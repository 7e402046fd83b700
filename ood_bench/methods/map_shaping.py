"""Bases of methods that change the last map before it is pooled, and score the logits of what pooling makes of it."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Quantity, Scorer, Setting, View
from ood_bench.methods.ranges import Percentile
from ood_bench.methods.shaping import ShapingDetector, refuse_negative
from ood_bench.methods.top_share import factors, top_count
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import Mean, Reduction
from ood_bench.scoring.taps import forward_to_all, full_precision

_FEW = 8


@dataclass
class MapShapingDetector(ShapingDetector):
    """The score of other logits, made of a changed map. To write: :meth:`reduction` and :meth:`shape`.

    The map is changed and averaged while the pass goes on, so that none is kept: pooling and the last layer are linear.

    Attributes:
        tap: name of the tap of the map; empty for the one before the penultimate tap in the model's list.
    """

    tap: str = ""

    name: ClassVar[str]
    """The method's name, for messages."""
    needs: ClassVar[tuple[str, ...]] = ("feature maps", "last layer")

    @abstractmethod
    def reduction(self) -> Reduction:
        """What becomes of a map ``[B, C, H, W]``: the rows that :meth:`shape` gets."""

    def refuse_size(self, values: int) -> None:
        """Raises a :class:`ConfigError` if the method cannot be used on maps of so many values, ``C H W``."""

    def quantity(self, classifier: Classifier) -> Quantity:
        """The changed map's means."""
        names = list(classifier.taps)
        before = names[max(0, names.index(classifier.penultimate) - 1)]
        return Quantity(self.tap or before, self.reduction())

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Looks at the map of a few images, then as in the base.

        Raises:
            ConfigError: if the tap gives no map of several positions whose mean the last layer gets.
        """
        classifier = scorer.classifier
        scorer.engine.head(classifier, scorer.train)
        tap, last = self.quantity(classifier).tap, classifier.penultimate
        images = next(View(scorer.train).batches(_FEW))
        with full_precision(), torch.inference_mode():
            found = forward_to_all(classifier, classifier.normalise(images), [tap, last])
            mean, features = Mean()(found[tap]), Mean()(found[last])
        hint = f"set method.{self.name}.tap to the tap whose mean over positions is {last}, or leave the method out"
        if found[tap].shape[2:].numel() == 1:
            raise ConfigError(f"method {self.name}: tap {tap} gives no map of several positions", hint)
        if mean.shape != features.shape or not torch.allclose(mean, features, rtol=1e-3, atol=1e-5):
            raise ConfigError(
                f"method {self.name}: the mean over positions of tap {tap} is not what the last layer gets", hint
            )
        self.refuse_size(found[tap][0].numel())
        super().fit(scorer, random)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Scores ``[len(settings), n, 1]``: each setting changes the map in its own way, in one pass."""
        fitted = [self._at(setting, scorer) for setting in settings]
        wanted = [one.quantity(scorer.classifier) for one in fitted]
        bank = scorer.bank(view, wanted)
        scores = [one.score(bank[rows].astype(np.float64)) for one, rows in zip(fitted, wanted, strict=True)]
        return np.stack(scores)[:, :, None]


@dataclass
class TopShareMapDetector(MapShapingDetector):
    """Changes that look at the k largest of a map's n values, over all channels and positions.

    Attributes:
        percentile: share of the values below the k largest, in percent, at least 0 and below 100.
    """

    percentile: Percentile = 90.0

    @property
    def raised(self) -> bool:
        """Whether the means are multiplied by ``exp(s1 / s2)``: s1 sums all values, s2 the k largest."""
        return True

    @property
    def signed(self) -> bool:
        """Whether values below 0 do no harm."""
        return False

    def __post_init__(self) -> None:
        super().__post_init__()

    def refuse_size(self, values: int) -> None:
        """Refuses percentiles that leave no value, or so few that factors of an even map would overflow."""
        self._values, k = values, top_count(self.name, self.percentile, values)
        if self.raised:
            factors(self.name, self.percentile, values, np.array([values / k]))

    def shape(self, rows: Array) -> Array:
        """Logits of the means in rows ``[n, C + 2]`` of a :class:`ood_bench.scoring.maps.ShapedMean`.

        Raises:
            ConfigError: if values are below 0, or a factor would not stay far inside float64.
        """
        means, ratios, lowest = rows[:, :-2], rows[:, -2], rows[:, -1]
        if not self.signed:
            refuse_negative(lowest, self.name, "values of the map")
        if not self.raised:
            return self.logits(means)
        return self.logits(means * factors(self.name, self.percentile, self._values, ratios)[:, None])
