"""Generalized ODIN: a network that learns similarity and confidence apart, and a step that raises its score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Networks, Quantity, Scorer, Setting, Steps, View
from ood_bench.methods.grid import SteppingDetector
from ood_bench.methods.ranges import Magnitudes
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import DECOMPOSED, PARTS, head_of
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Objective, Perturbation, sign
from ood_bench.scoring.quantities import Flat
from ood_bench.training.spec import TrainingSpec

_BYTE = 255.0


def max_h(parts: Tensor) -> Tensor:
    """Largest similarity, float64 ``[B]``, of h and g side by side ``[B, K + 1]``."""
    return parts[:, :-1].double().amax(dim=1)


def confidence(parts: Tensor) -> Tensor:
    """g, float64 ``[B]``, of h and g side by side ``[B, K + 1]``."""
    return parts[:, -1].double()


def max_f(parts: Tensor) -> Tensor:
    """Largest logit h / g, float64 ``[B]``, of h and g side by side ``[B, K + 1]``."""
    return max_h(parts) / confidence(parts)


_STATISTICS: Mapping[str, Objective] = {"max_h": max_h, "g": confidence, "max_f": max_f}
VALUES = Quantity(PARTS, Flat())


@dataclass
class Godin(SteppingDetector):
    """``max_i h_i`` (or g) of the image after a step that raises it: ``x + epsilon * sign(gradient of the score)``.

    Where the gradient is exactly 0 the step goes up, and it is not clipped. With ``max_f`` it still raises
    ``max_i h_i``, as in the TensorFlow port; the PyTorch re-implementation raises ``max_i f_i`` then.

    In which units the paper's epsilon is, is not known.

    Attributes:
        head: the head of the network (see :mod:`ood_bench.models.heads`); where the run's own model has another one,
            the method has its own network, trained by the run's recipe.
        statistic: ``max_h``, ``g``, or the port's ``max_f``.
        magnitudes: candidates for epsilon.
        unit: of epsilon: ``raw`` [0, 1] pixels; ``bytes``, 0 to 255; or ``normalised``, of the network's input.
        clip: whether stepped pixels are brought back to their range.
    """

    head: str = "godin_inner"
    statistic: Literal["max_h", "g", "max_f"] = "max_h"
    magnitudes: Magnitudes = field(default_factory=lambda: [0.0])
    unit: Literal["raw", "bytes", "normalised"] = "raw"
    clip: bool = False

    source = Source(
        title="Generalized ODIN: Detecting Out-of-distribution Image without Learning from Out-of-distribution Data",
        authors="Hsu et al.",
        venue="CVPR",
        year=2020,
        arxiv="2002.11297",
    )
    needs = ("networks of its own", "input gradients (for steps)")

    revision = 2
    tunes_by_id = True
    plain: ClassVar[str] = "max_h"
    at_zero: ClassVar[float] = 1.0
    """The step's direction where the gradient is exactly 0: 1 is up."""

    def __post_init__(self) -> None:
        if self.head not in DECOMPOSED:
            raise ConfigError(f"method godin: head is {self.head!r}, it must be one of {', '.join(DECOMPOSED)}")

    @property
    def variant(self) -> str:
        """The statistic, where it is not the plain one."""
        return "" if self.statistic == self.plain else self.statistic.replace("_", " ")

    def deviations(self) -> list[str]:
        """What is not known of the paper's head."""
        if self.head != "godin_euclidean":
            return []
        return [
            "The Euclidean h is minus the mean, not the sum, of the squared differences, as in two public "
            "re-implementations; which one the paper uses is not known."
        ]

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's own network if it has the head, else one more that does."""
        base = networks.base
        if head_of(base.model) == self.head:
            return [base]
        return [replace(base, model={**base.model, "head": self.head}, checkpoint=None)]

    def quantities(self, classifier: Classifier) -> Sequence[Quantity]:
        """Both h and g, if some magnitude is 0."""
        return (VALUES,) if 0 in self.magnitudes else ()

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The statistic after the step, ``[len(settings), n, 1]``."""
        return self._stepped(scorer, view, settings, self.statistic)[:, :, None]

    def id_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """What the step raises, after the step."""
        return self._stepped(scorer, view, settings, self._raised)

    @property
    def _raised(self) -> str:
        return "g" if self.statistic == "g" else "max_h"

    def _stepped(self, scorer: Scorer, view: View, settings: Sequence[Setting], statistic: str) -> Array:
        """One statistic at each setting, ``[len(settings), n]``."""
        if steps := self._steps(scorer, settings, statistic):
            (scores,) = scorer.stepped(view, steps)
            return np.asarray(scores[0])
        rows = torch.from_numpy(np.array(scorer.bank(view, (VALUES,))[VALUES]))
        return np.stack([_STATISTICS[statistic](rows).numpy()] * len(settings))

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """The steps that raise the score; none if every magnitude is 0."""
        return self._steps(scorer, settings, self.statistic)

    def _steps(self, scorer: Scorer, settings: Sequence[Setting], statistic: str) -> list[Steps]:
        """Steps after which one statistic is read off."""
        magnitudes = [setting["epsilon"] / (_BYTE if self.unit == "bytes" else 1.0) for setting in settings]
        if not any(magnitudes):
            return []
        raised, std = _STATISTICS[self._raised], scorer.classifier.channel_std()
        step = Perturbation(
            quantity=VALUES,
            losses=[lambda parts: self.at_zero * raised(parts)],
            scores=[_STATISTICS[statistic]],
            rule=(lambda gradient: sign(gradient) * std) if self.unit == "normalised" else sign,
            direction=self.at_zero,
            batch_size=scorer.engine.batch_size(scorer.classifier),
            clip=self.clip,
        )
        identity = {
            "method": self.kept_as("godin"),
            "raised": self._raised,
            "statistic": statistic,
            "normalised": self.unit == "normalised",
            "clip": self.clip,
            **({} if self.at_zero > 0 else {"at_zero": self.at_zero}),
        }
        return [Steps("godin", identity, step, magnitudes)]
