"""Base of methods that change the features or the last layer, and leave the score to any method of the logits."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, build_detector
from ood_bench.methods.posthoc import HeadDetector, LogitsDetector, RowsDetector
from ood_bench.utils.suggest import did_you_mean

LOGIT_SCORES = {
    "energy": "ood_bench.methods.energy.Energy",
    "entropy": "ood_bench.methods.entropy.Entropy",
    "gen": "ood_bench.methods.gen.Gen",
    "kl_matching": "ood_bench.methods.kl_matching.KlMatching",
    "maxlogit": "ood_bench.methods.maxlogit.MaxLogit",
    "msp": "ood_bench.methods.msp.Msp",
}
"""Scores of logits that may stand on top, by name."""


@dataclass
class ShapingDetector(HeadDetector):
    """The score of other logits than the network's own. To write: :meth:`shape`, and :meth:`prepare` if it learns.

    Attributes:
        base: what scores the logits: a name of :data:`LOGIT_SCORES`, or a mapping from one, or from the import path of
            a :class:`LogitsDetector`, to its hyperparameters, as in ``{gen: {gamma: 0.5}}``.
    """

    base: str | dict[str, dict[str, Any]] = "energy"

    values_at_once: ClassVar[int] = 2**21
    """How many features :meth:`shape` gets at a time, so that its copies stay small (16 MiB each)."""

    def __post_init__(self) -> None:
        self._score = logit_score(self.base)

    @property
    def variant(self) -> str:
        """The definition, unless it is the authors', and the base, unless it is the shipped one."""
        shipped = next(item.default for item in fields(self) if item.name == "base")
        return ", ".join(filter(None, (super().variant, "" if self.base == shipped else f"with {_name(self.base)}")))

    @property
    def scoring_classes(self) -> tuple[type, ...]:
        """The change, and the score on top."""
        return (type(self), *self._score.scoring_classes)

    @abstractmethod
    def shape(self, features: Array, /) -> Array:
        """Logits ``[n, K]`` of features ``[n, D]``, after the change; both float64."""

    def prepare(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """Learns what :meth:`shape` needs from features ``[N, D]`` and labels ``[N]`` of the ID training images."""

    @property
    def learns(self) -> bool:
        """Whether the change or the score on top needs ID training images."""
        return type(self).prepare is not ShapingDetector.prepare or self._score.learns

    def learn(self, features: Array, labels: npt.NDArray[np.int64], /) -> None:
        """The change, and then the score on top from the changed logits."""
        self.prepare(features, labels)
        if self._score.learns:
            self._score.learn(self.shaped(features), labels)

    def score(self, features: Array) -> Array:
        """The base's score of the changed logits."""
        return self._score.score(self.shaped(features))

    def shaped(self, features: Array) -> Array:
        """:meth:`shape` of all features ``[n, D]``, some rows at a time."""
        step = max(1, self.values_at_once // features.shape[1])
        starts = range(0, max(1, len(features)), step)
        return np.concatenate([self.shape(features[start : start + step]) for start in starts])


def logit_score(base: str | Mapping[str, Mapping[str, Any]]) -> RowsDetector:
    """The score of logits that ``base`` names.

    Raises:
        ConfigError: if it names none.
    """
    if not isinstance(base, str) and len(base) != 1:
        raise ConfigError(f"base is {dict(base)}, it must be one score of the logits with its hyperparameters")
    name = _name(base)
    if name not in LOGIT_SCORES and "." not in name:
        near = did_you_mean(name, LOGIT_SCORES)
        raise ConfigError(f"base is {name!r}, no score of the logits{near}", f"choose one of {', '.join(LOGIT_SCORES)}")
    options = {} if isinstance(base, str) else next(iter(base.values()))
    found = build_detector(name, {"_target_": LOGIT_SCORES.get(name, name), **options})
    if not isinstance(found, LogitsDetector):
        raise ConfigError(f"base {name} is no score of the logits", f"choose one of {', '.join(LOGIT_SCORES)}")
    return found


def _name(base: str | Mapping[str, Any]) -> str:
    return base if isinstance(base, str) else next(iter(base), "")


def refuse_negative(features: Array, method: str, what: str = "pooled features") -> None:
    """Raises a :class:`ConfigError` for features (``what``) below 0, whose sum says nothing of their size."""
    if (lowest := float(features.min(initial=0.0))) < 0:
        raise ConfigError(
            f"method {method}: {what} reach down to {lowest:.3g}, and the method is made for features that "
            "passed a ReLU: its ratio of sums means nothing for others",
            "leave the method out for this network",
        )
