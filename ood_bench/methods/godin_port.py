"""Generalized ODIN as its TensorFlow port scores it."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from ood_bench.methods.godin import Godin


@dataclass
class GodinPort(Godin):
    """``max_i h_i / g`` after a step on 0 to 255 pixels that raises ``max_i h_i``, clipped to their range.

    The paper scores ``max_i h_i`` instead. A magnitude of 0.04 is 3e-4 of the network's input: hardly a step.

    Source: sayakpaul/Generalized-ODIN-TF, notebooks for epsilon and evaluation.

    Attributes:
        head: see :class:`~ood_bench.methods.godin.Godin`.
        statistic: ``max_f``, or the others.
        magnitudes: candidates for epsilon.
        unit: of epsilon.
        clip: whether stepped pixels are brought back to their range.
    """

    statistic: Literal["max_h", "g", "max_f"] = "max_f"
    magnitudes: list[float] = field(default_factory=lambda: [0.04])
    unit: Literal["raw", "bytes", "normalised"] = "bytes"
    clip: bool = True

    plain: ClassVar[str] = "max_f"
