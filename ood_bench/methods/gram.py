"""Gram: how far the channels' correlations lie outside what training images of the predicted class show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Quantity, Scorer, Setting, View, at_every
from ood_bench.models.classifier import Classifier
from ood_bench.papers.methods import Source
from ood_bench.scoring.gram import Bounds, GramDeviation, gram_rows
from ood_bench.scoring.passes import refuse_not_finite
from ood_bench.scoring.quantities import LOGITS, OUTPUT
from ood_bench.scoring.taps import forward_to_all, full_precision, named_taps
from ood_bench.utils.printable import listed
from ood_bench.utils.progress import ticking

_HELD_OUT, _ROUNDING = 0.1, 1e-6
_BATCH = 64


@dataclass
class Gram(Detector):
    """``-(sum_l dev_l / mean dev_l) / max_k p_k``: deviations of each tap's Gram statistics from their class's bounds.

    The statistics of a tap F, ``[C, P]`` for P positions, are the row sums of ``F^p F^p'`` for each power p, of which
    the signed p-th root is taken. Of them, ``dev_l`` sums ``(low - g) / |low + 1e-6|`` below, and ``(g - high) / |high
    + 1e-6|`` above the smallest and the largest value that training images of the same *predicted* class have. Its unit
    is its mean, over ``max p`` too, over a tenth of the training images, which has no part in the bounds.

    Differences: the authors read the output of every convolution and activation, and we the named taps. They take the
    mean over a tenth of the test images, and average ten such draws. OpenOOD reads all modules that are convolutions
    or ReLUs (on its CIFAR ResNet the convolutions alone, which calls ReLU as a function), powers 1 to 5, bounds by
    label, draws its tenth of each class's training images without seed, and takes its mean deviation from the bounds of
    their labels, before the division by ``max p``. pytorch-ood 0.4 does the same for the layers that it is given, and
    does not divide by ``max p`` at all; its powers go up to the number of layers. ``definition`` is about bounds, units
    and division; taps, powers and the draw stay as they are set.

    Attributes:
        taps: names of taps; ``[all]`` for every tap of the model; ``[stages]`` for the ends of its stages. A tap
            without positions counts as a map of one.
        powers: ascending; the authors' code takes 1 to 10.
        seed: seeds the draw of the tenth.
        definition: ``paper``, ``openood`` or ``pytorch_ood``.
    """

    taps: list[str] = field(default_factory=lambda: ["all"])
    powers: list[int] = field(default_factory=lambda: list(range(1, 11)))
    seed: int = 0
    definition: Literal["paper", "openood", "pytorch_ood"] = "paper"

    younger: ClassVar = frozenset({"definition"})
    needs: ClassVar[tuple[str, ...]] = ("logits", "feature maps", "ID training images")
    source = Source(
        title="Detecting Out-of-Distribution Examples with Gram Matrices",
        authors="Sastry and Oore",
        venue="ICML",
        year=2020,
        arxiv="1912.12510",
        code="github.com/VectorInstitute/gram-ood-detection",
        licence="none stated",
    )

    def __post_init__(self) -> None:
        if not self.taps:
            raise ConfigError("method gram: taps must name one tap or more, or be [all] or [stages]")
        if not self.powers or self.powers != sorted(set(self.powers)) or self.powers[0] < 1 or self.seed < 0:
            raise ConfigError(
                f"method gram: powers are {self.powers} and seed is {self.seed}",
                "set method.gram.powers to ascending whole numbers from 1, and method.gram.seed to at least 0",
            )
        self._deviations: list[Quantity] = []
        self._units: Array = np.empty(0)
        self._fitted_on = ""

    def deviations(self) -> list[str]:
        """Which taps are read, and what the unit of each is."""
        return [
            "The named taps are read; the paper takes the output of every convolution and activation.",
            "Each tap's unit is its mean over training images held out of the bounds; the paper takes test images.",
        ]

    def tap_names(self, classifier: Classifier) -> Sequence[str]:
        """The taps."""
        return named_taps(classifier, self.taps)

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Bounds of each class from nine tenths of the ID training images, units from the rest.

        Labels are used by other definitions than the paper's only.

        Raises:
            ConfigError: if there are too few images, no image is predicted as (or of) some class, no held-out image
                deviates at a tap, or labels are needed and missing.
        """
        fitted_on = f"{scorer.classifier.key}-{scorer.train.fingerprint}"
        if fitted_on == self._fitted_on:
            return
        taps = self.tap_names(scorer.classifier)
        identity = {
            "method": self.kept_as("gram"),
            "network": scorer.classifier.key,
            "train": scorer.train.fingerprint,
            "taps": list(taps),
            "powers": self.powers,
            "seed": self.seed,
            "device": scorer.classifier.device.type,
            **({} if self.definition == "paper" else {"bounds": "by label"}),
        }
        # A column for each statistic: the tap's number, its unit, K smallest and K largest values.
        numbers, units, *bounds = scorer.engine.cached("gram", identity, lambda: self._learned(scorer, taps))
        both, mine = np.reshape(bounds, (2, -1, len(units))), [numbers == number for number in range(len(taps))]
        self._deviations = self._measured(taps, [both[:, :, columns] for columns in mine])
        self._units = np.array([units[columns][0] for columns in mine])
        self._fitted_on = fitted_on

    def _measured(self, taps: Sequence[str], bounds: Sequence[Array]) -> list[Quantity]:
        powers = tuple(self.powers)
        return [
            Quantity(tap, GramDeviation(powers, np.ascontiguousarray(both)))
            for tap, both in zip(taps, bounds, strict=True)
        ]

    def _learned(self, scorer: Scorer, taps: Sequence[str]) -> Array:
        count, by_label = len(scorer.train), self.definition != "paper"
        if by_label and scorer.train.labels is None:
            raise ConfigError(
                f"method gram: definition {self.definition} takes labels, and {scorer.train.name} has none",
                "set method.gram.definition=paper",
            )
        if (held := int(_HELD_OUT * count)) < 1:
            raise ConfigError(
                f"method gram: {count} training images leave none to hold out of the bounds", "use 10 or more"
            )
        order = np.random.RandomState(self.seed).permutation(count)
        learned: list[Bounds] = []
        for logits, classes, values in self._batches(scorer, View(scorer.train, np.sort(order[held:])), taps):
            learned = learned or [Bounds(logits.shape[1]) for _ in taps]
            for one, tap in zip(learned, taps, strict=True):
                one.add(gram_rows(values[tap], self.powers).cpu().numpy(), classes)
        bounds = [one.values for one in learned]
        if missing := np.flatnonzero(np.isinf(bounds[0][0, :, 0])).tolist():
            raise ConfigError(
                f"method gram: no training image is {'of' if by_label else 'predicted as'} class "
                f"{listed(map(str, missing))}",
                "use more training images" if by_label else "train for longer, or leave the method out",
            )
        found = self._measured(taps, bounds)
        rest = View(scorer.train, np.sort(order[:held]))
        sums = np.zeros(len(taps))
        for logits, classes, values in self._batches(scorer, rest, taps):
            rows = [one.reduction(values[one.tap]).cpu().numpy() for one in found]
            sums += _of(classes, rows, None if by_label else logits).sum(axis=0)
        units = sums / held
        if still := [tap for tap, unit in zip(taps, units, strict=True) if unit <= _ROUNDING]:
            raise ConfigError(
                f"method gram: none of {held} held-out training images deviates at tap {listed(still)}",
                "use more training images, or other taps",
            )
        widths = [both.shape[2] for both in bounds]
        whole = np.concatenate(bounds, axis=2).reshape(-1, sum(widths))
        return np.vstack([np.repeat(np.arange(len(taps)), widths), np.repeat(units, widths), whole])

    def _batches(
        self, scorer: Scorer, view: View, taps: Sequence[str]
    ) -> Iterator[tuple[Array, npt.NDArray[np.int64], dict[str, torch.Tensor]]]:
        """Logits ``[B, K]``, classes ``[B]`` and values of the taps, some images at a time: no rows of all are kept.

        Classes are predicted ones, or labels for definitions that take those.
        """
        classifier, first = scorer.classifier, 0
        known = view.images.labels if self.definition != "paper" else None
        labels = known if known is None or view.rows is None else known[view.rows]
        with ticking(f"Gram matrices of {view.images.title}", len(view), "images") as ticker, full_precision():
            for batch in view.batches(_BATCH):
                with torch.inference_mode():
                    values = forward_to_all(classifier, classifier.normalise(batch), [*taps, OUTPUT])
                    logits = values[OUTPUT].double().cpu().numpy()
                    refuse_not_finite(classifier, view, "at its output", logits)
                    classes = logits.argmax(axis=1) if labels is None else labels[first : first + len(batch)]
                    yield logits, classes, values
                first += len(batch)
                ticker.advance(len(batch))

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """The logits, and each tap's deviation from every class."""
        return (LOGITS, *self._deviations)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Minus the sum of deviations in units of their taps, ``[len(settings), n, 1]``."""
        logits, *deviations = (
            rows.astype(np.float64) for rows in scorer.bank(view, self.quantities(scorer.classifier)).values()
        )
        divided = _of(logits.argmax(axis=1), deviations, None if self.definition == "pytorch_ood" else logits)
        return at_every(settings, -(divided / self._units).sum(axis=1))


def _of(classes: npt.NDArray[np.int64], deviations: Sequence[Array], logits: Array | None) -> Array:
    """Deviations ``[n, taps]`` from each row's class, of ``[n, K]`` from every class.

    Args:
        classes: ``[n]``.
        deviations: for each tap.
        logits: ``[n, K]``, to divide by the largest probability; none for no division.
    """
    mine = np.stack([one[np.arange(len(classes)), classes] for one in deviations], axis=1)
    return np.asarray(mine if logits is None else mine / softmax(logits, axis=1).max(axis=1, keepdims=True))
