"""AdaSCALE: SCALE or LTS whose percentile depends on how far a small step on the input moves the features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Scorer, Setting, Steps, View
from ood_bench.methods.ranges import Count, NotNegative, Share, Whole
from ood_bench.methods.shaping import ShapingDetector
from ood_bench.methods.top_share import LARGEST_RATIO, mass_ratio
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Perturbation, sign_of_smallest
from ood_bench.scoring.quantities import Mean, Quantity


@dataclass
class AdaScale(ShapingDetector):
    """A score of the logits of ``f exp(s1 / s2)`` (A), or of ``z (s1 / s2)^2`` (L), with a percentile for each image.

    f are the pooled features, z the logits, s1 the sum of ``max(f, 0)``, and s2 that of its ``D - round(D q / 100)``
    largest values of D. ``q = low + (1 - F(t)) (high - low)``; F is the share of ID training images with a t no larger.
    ``t = C + shift_weight Q``: Q sums ``|f - f'|`` over the largest k1 percent of f, C sums ``max(f', 0)`` over the
    largest k2 percent. f' are the features after a step of epsilon that raises the largest logit, in units of the
    normalised input, on the share of input elements whose gradient is smallest. With ``low = high`` it is SCALE or LTS.

    Differences: F is of ID training images, the paper's of up to 5,000 ID validation images. The authors' code
    takes k1 for C and k2 for Q where it scores, and the reverse in F; OpenOOD's copy is consistent, with the two names
    exchanged. Both round down to no feature where there are fewer than 100; here at least one is left. pytorch-ood does
    not have it.

    Attributes:
        kind: ``a`` or ``l``.
        low: smallest percentile; the authors advise 60.
        high: largest percentile; the authors tune it between 65 and 99.
        k1: percent of the features over which Q sums.
        k2: percent of the features over which C sums.
        shift_weight: of Q in t.
        share: of the input elements that move.
        epsilon: how far they move.
        images: how many training images F is of, at most.
        seed: seeds the draw of those images.
    """

    kind: Literal["a", "l"] = "a"
    low: float = 75.0
    high: float = 85.0
    k1: Annotated[float, Field(gt=0, le=100)] = 1.0
    k2: Annotated[float, Field(gt=0, le=100)] = 5.0
    shift_weight: NotNegative = 10.0
    share: Share = 0.05
    epsilon: NotNegative = 0.5
    images: Count = 5000
    seed: Whole = 0

    source = Source(
        title="AdaSCALE: Adaptive Scaling for OOD Detection",
        authors="Regmi",
        venue="ICML",
        year=2026,
        arxiv="2503.08023",
        code="github.com/sudarshanregmi/AdaSCALE",
        licence="MIT",
    )
    needs: ClassVar[tuple[str, ...]] = ("pooled features", "last layer", "input gradients")
    published_grid: ClassVar = {"low": [60.0], "high": [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 99.0]}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.low <= self.high < 100:
            raise ConfigError(
                f"method adascale: low is {self.low} and high is {self.high}",
                "set method.adascale.low to at least 0, and method.adascale.high to at least as much and below 100",
            )

    def deviations(self) -> list[str]:
        """What takes the place of the validation images."""
        return ["The distribution of t is that of ID training images; the paper takes ID validation images."]

    def learned_rows(self, scorer: Scorer) -> View:
        """The images that F is of."""
        order = np.random.RandomState(self.seed).permutation(len(scorer.train))
        return View(scorer.train, order[: self.images])

    def rows(self, scorer: Scorer, view: View) -> Array:
        """Features and t, ``[n, D + 1]``, float64."""
        (found,) = scorer.stepped(view, self.steps(scorer, [{}]))
        shift, size = found[0, 0]
        return np.column_stack([super().rows(scorer, view), size + self.shift_weight * shift])

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """The one step, the same for all settings, at the tap of the features."""
        classifier = scorer.classifier
        weight, bias = (torch.from_numpy(one).float().to(classifier.device) for one in (self.weight, self.bias))
        std = classifier.channel_std()
        step = Perturbation(
            quantity=Quantity(classifier.penultimate, Mean()),
            losses=[lambda rows: (rows @ weight.T + bias).amax(dim=1)],
            scores=[lambda stepped, clean: self._change(stepped.double(), clean.double())],
            rule=lambda gradient: sign_of_smallest(gradient, self.share) * std,
            direction=1.0,
            batch_size=scorer.engine.batch_size(classifier),
            columns=2,
            compares=True,
        )
        identity = {"method": self.kept_as("adascale"), "k1": self.k1, "k2": self.k2, "share": self.share}
        return [Steps("adascale", identity, step, [self.epsilon])]

    def _change(self, stepped: Tensor, clean: Tensor) -> Tensor:
        """Q and C, ``[2, B]``, of features ``[B, D]`` after the step and before it."""
        dims = clean.shape[1]
        few, more = (max(1, int(dims * percent / 100)) for percent in (self.k1, self.k2))
        order = clean.topk(max(few, more), dim=1).indices
        shifts = (stepped - clean).abs().gather(1, order[:, :few])
        sizes = stepped.clamp_min(0).gather(1, order[:, :more])
        return torch.stack([shifts.sum(dim=1), sizes.sum(dim=1)])

    def prepare(self, rows: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The sorted t of the training images; labels are not used.

        Raises:
            ConfigError: if no feature, or too few for float64, count as large at the highest percentile.
        """
        dims = rows.shape[1] - 1
        if not self._suits(dims, self.high):
            raise ConfigError(
                f"method adascale: high is {self.high:g}, which leaves {_largest(dims, self.high)} of {dims} features "
                "as the largest",
                "set method.adascale.high lower",
            )
        self._known = np.sort(rows[:, -1])

    def possible(self, setting: Setting) -> bool:
        """Whether the highest percentile leaves enough features."""
        return not hasattr(self, "weight") or self._suits(self.weight.shape[1], setting["high"])

    def _suits(self, dims: int, high: float) -> bool:
        """Whether a feature is left as the largest, and kind A's factors stay far inside float64."""
        kept = int(_largest(dims, high))
        return kept > 0 and (self.kind == "l" or dims / kept <= LARGEST_RATIO)

    def shape(self, rows: Array, /) -> Array:
        """Logits of features and t ``[n, D + 1]``."""
        features = rows[:, :-1]
        above = 1 - np.searchsorted(self._known, rows[:, -1], side="right") / len(self._known)
        percentiles = self.low + above * (self.high - self.low)
        ratio = mass_ratio(np.maximum(features, 0), _largest(features.shape[1], percentiles))[:, None]
        return self.logits(features * np.exp(ratio)) if self.kind == "a" else self.logits(features) * ratio**2


def _largest(dims: int, percentiles: Array | float) -> npt.NDArray[np.int64]:
    """How many of ``dims`` features are the largest at each percentile."""
    return dims - np.round(dims * np.asarray(percentiles) / 100).astype(np.int64)
