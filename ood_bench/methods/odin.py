"""ODIN: temperature scaling and a small step on the input."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ood_bench.methods.base import Array, Scorer, Setting, Steps, View
from ood_bench.methods.grid import SteppingDetector, axes, picked
from ood_bench.methods.ranges import Magnitudes, Temperatures
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Perturbation, sign
from ood_bench.scoring.quantities import LOGITS


@dataclass
class Odin(SteppingDetector):
    """Maximum softmax probability at temperature T of the image after a step that raises the predicted class.

    ``x' = x - epsilon * sign(grad of CE(z / T, argmax z)) / std`` with sign(0) = +1, no clipping, the maximum taken
    anew over all classes after the step, float64 softmax. ``epsilon`` is in raw [0, 1] pixels.

    The defaults are the paper's for CIFAR-10, chosen there on iSUN.

    Attributes:
        magnitudes: candidates for epsilon.
        temperatures: candidates for T.
    """

    magnitudes: Magnitudes = field(default_factory=lambda: [0.0014])
    temperatures: Temperatures = field(default_factory=lambda: [1000.0])

    source = Source(
        title="Enhancing The Reliability of Out-of-distribution Image Detection in Neural Networks",
        authors="Liang, Li and Srikant",
        venue="ICLR",
        year=2018,
        arxiv="1706.02690",
        code="github.com/facebookresearch/odin",
        licence="CC-BY-NC-4.0",
    )
    needs = ("logits", "input gradients")

    name: ClassVar[str] = "odin"
    paper_revision = 1
    tunes_by_id = True

    def rule(self, gradient: Tensor) -> Tensor:
        """The step's direction, up the loss, from the gradient ``[B, C, H, W]``."""
        return sign(gradient)

    def steps(self, scorer: Scorer, settings: Sequence[Setting]) -> Sequence[Steps]:
        """One step for each temperature and non-zero magnitude."""
        temperatures, magnitudes = axes(settings)
        step = Perturbation(
            quantity=LOGITS,
            losses=[partial(_cross_entropy, temperature=temperature) for temperature in temperatures],
            scores=[partial(_max_softmax, temperature=temperature) for temperature in temperatures],
            rule=self.rule,
            direction=-1.0,
            batch_size=scorer.engine.batch_size(scorer.classifier),
            columns=2,
        )
        identity = {"method": f"{self.kept_as(self.name)}.{self.paper_revision}", "temperatures": temperatures}
        return [Steps(self.name, identity, step, magnitudes)]

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Log of the maximum softmax probability at T after the step, ``[len(settings), n, 1]``.

        Costs 1 + n_T + n_T * n_epsilon forward equivalents for n_T temperatures and n_epsilon non-zero magnitudes.
        """
        return self._column(0, scorer, view, settings)

    def paper_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The probability itself, in float32, from the same passes."""
        return self._column(1, scorer, view, settings)

    def _column(self, column: int, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        (scores,) = scorer.stepped(view, self.steps(scorer, settings))
        return picked(scores, settings)[:, column, :, None]


def _cross_entropy(logits: Tensor, temperature: float) -> Tensor:
    """Cross entropy ``[B]`` of the tempered logits ``[B, K]`` against the class that they predict."""
    return F.cross_entropy(logits / temperature, logits.argmax(dim=1), reduction="none")


def _max_softmax(logits: Tensor, temperature: float) -> Tensor:
    """Largest tempered softmax probability ``[2, B]``: its log in float64, and itself as float32 gives it."""
    scaled = logits.double() / temperature
    top, winner = scaled.max(dim=1, keepdim=True)
    odds = torch.exp(scaled - top).scatter(1, winner, 0.0)
    return torch.stack([-torch.log1p(odds.sum(dim=1)), max_softmax_float32(logits / temperature).double()])
