"""OpenMax: probability of an unknown class, from how far logits lie from each class's mean."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy.optimize import brentq
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array
from ood_bench.methods.posthoc import LogitsDetector
from ood_bench.methods.ranges import Count, Positive
from ood_bench.papers.methods import Source


class Tail(NamedTuple):
    """Weibull distribution of the largest distances to a class's mean, as libmr fits it.

    Distances d are moved to ``d - start + shift`` before the fit, start the smallest distance of the tail.

    Attributes:
        start: smallest distance of the tail.
        log_scale: logarithm of the scale.
        shape: the shape.
    """

    start: float
    log_scale: float
    shape: float

    @classmethod
    def fit(cls, distances: Array, shift: float) -> "Tail":
        """Maximum likelihood fit to distances ``[n]``, not all equal; the shape is the exact root of its equation."""
        top = distances.max()
        moved_top = top - distances.min() + shift
        logs = np.log1p((distances - top) / moved_top)

        def slope(shape: float) -> float:
            weights = np.exp(shape * logs)
            return float((weights * logs).sum() / weights.sum() - 1 / shape - logs.mean())

        high = np.pi / (np.sqrt(6) * logs.std())
        low = high
        while slope(low) > 0:
            low /= 2
        while slope(high) < 0:
            high *= 2
        shape = float(brentq(slope, low, high, xtol=1e-12 * low, rtol=4 * np.finfo(np.float64).eps))
        log_scale = np.log(moved_top) + np.log(np.exp(shape * logs).mean()) / shape
        return cls(float(distances.min()), float(log_scale), shape)


@dataclass
class OpenMax(LogitsDetector):
    """``-p_u``, p_u the probability of "unknown" beside the K classes, ``exp v_u / (exp v_u + sum_k exp v_k)``.

    The alpha largest logits are revised: the i-th largest, of class c, is ``v_c = z_c (1 - w (alpha + 1 - i) / alpha)``
    then, w the Weibull distribution function of class c at the distance of z to the class's mean logits. What is taken
    away makes the logit v_u of "unknown". Means, and the Weibull distributions of the ``tail`` largest distances, are
    those of ID training images that are classified rightly. The score is the log-odds of "not unknown", which ranks
    alike and does not saturate.

    Differences: the paper (algorithms 1 and 2) revises the 10 largest of 1,000 logits and adds to the distance, over
    200, the cosine distance: ``distance=eucos alpha=10``; the libmr that it brings along moves distances by 10,000
    before the fit: ``shift=10000``. Defaults are OpenOOD's, which computes the same with libmr 0.1.9, whose shift is 1
    and whose likelihood ends at 1e-6; its exp overflows for logits above 709. The shift matters: with 1, w is 0 for
    images nearer than 1 below the tail's start; with 10,000 it is some hundredths there. pytorch-ood counts
    wrongly classified images too (``definition=pytorch_ood tail=25 alpha=10 shift=10000``), searches its fit by a
    general optimiser, and takes the distance to classes that are predicted for no image of a batch to be 0.

    Attributes:
        tail: how many distances of a class the Weibull distribution is fitted to; the paper takes 20.
        alpha: how many logits are revised, at most K.
        distance: ``euclidean``; or ``eucos``, over 200, plus the cosine distance.
        shift: what distances are moved by before the fit, above 0.
        definition: ``openood``, or ``pytorch_ood``, which takes all images of a class.
    """

    tail: Annotated[int, Field(ge=2)] = 20
    alpha: Count = 3
    distance: Literal["euclidean", "eucos"] = "euclidean"
    shift: Positive = 1.0
    definition: Literal["openood", "pytorch_ood"] = "openood"

    younger: ClassVar = frozenset({"definition"})
    source = Source(
        title="Towards Open Set Deep Networks",
        authors="Bendale and Boult",
        venue="CVPR",
        year=2016,
        arxiv="1511.06233",
        code="github.com/abhijitbendale/OSDN",
        licence="BSD-3-Clause; libmr, which it calls, for non-commercial use only",
    )

    def deviations(self) -> list[str]:
        """The distance, where it is not the paper's."""
        return [] if self.distance == "eucos" else ["Distances are Euclidean; the paper adds the cosine distance."]

    def learn(self, logits: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Mean logits ``[K, K]`` and the tail of each class.

        Raises:
            ConfigError: if there are fewer than ``alpha`` classes, or a class has fewer images that are classified
                rightly than ``tail``, or its largest distances are all equal.
        """
        classes = logits.shape[1]
        if self.alpha > classes:
            raise ConfigError(
                f"method openmax: alpha is {self.alpha}, and there are {classes} classes",
                f"set method.openmax.alpha to at most {classes}",
            )
        every = self.definition == "pytorch_ood"
        counted = np.full(len(labels), True) if every else logits.argmax(axis=1) == labels
        counts = np.bincount(labels[counted], minlength=classes)
        if (least := int(counts.min())) < self.tail:
            remedy = f"set method.openmax.tail to at most {least}, or " if least >= 2 else ""
            raise ConfigError(
                f"method openmax: tail is {self.tail}, and {least} training images of class {counts.argmin()} are "
                + ("there" if every else "classified rightly"),
                f"{remedy}train for longer",
            )
        rows = [logits[counted & (labels == label)] for label in range(classes)]
        self._means = np.stack([row.mean(axis=0) for row in rows])
        tails = [np.sort(self._distances(row, mean))[-self.tail :] for row, mean in zip(rows, self._means, strict=True)]
        if equal := [label for label, distances in enumerate(tails) if np.ptp(distances) <= 1e-12 * distances[-1]]:
            raise ConfigError(
                f"method openmax: training images of class {equal[0]} lie equally far from the class's mean, so that "
                "no distribution can be fitted",
                "use more training images, or leave the method out",
            )
        self._tails = np.array([Tail.fit(distances, self.shift) for distances in tails])

    def score(self, logits: Array) -> Array:
        """Log-odds of "not unknown"."""
        revised, unknown = logits.copy(), np.zeros(len(logits))
        order = np.argsort(-logits, axis=1, kind="stable")[:, : self.alpha]
        for rank, label in enumerate(order.T):
            start, log_scale, shape = self._tails[label].T
            moved = (self._distances(logits, self._means[label]) - start + self.shift).clip(min=0)
            with np.errstate(divide="ignore", over="ignore"):  # log 0 where the distance is far below the tail
                w = -np.expm1(-np.exp(shape * (np.log(moved) - log_scale)))
            value = np.take_along_axis(logits, label[:, None], axis=1)[:, 0]
            taken = value * w * (self.alpha - rank) / self.alpha
            np.put_along_axis(revised, label[:, None], (value - taken)[:, None], axis=1)
            unknown += taken
        return np.asarray(logsumexp(revised, axis=1) - unknown)

    def _distances(self, logits: Array, means: Array) -> Array:
        """Distances ``[n]`` of logits ``[n, K]`` to means ``[n, K]`` or ``[K]``."""
        lengths = np.linalg.norm(logits - means, axis=1)
        if self.distance == "euclidean":
            return np.asarray(lengths)
        norms = np.linalg.norm(logits, axis=1) * np.linalg.norm(means, axis=-1)
        cosines = np.divide((logits * means).sum(axis=1), norms, out=np.zeros_like(lengths), where=norms > 0)
        return np.asarray(lengths / 200 + 1 - cosines)
