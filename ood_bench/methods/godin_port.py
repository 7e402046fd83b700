"""Generalized ODIN as its TensorFlow port scores it, and the baseline row of the port's table."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import torch

from ood_bench.methods.base import Array, Networks, Scorer, Setting, View
from ood_bench.methods.godin import VALUES, Godin, max_h
from ood_bench.methods.grid import SteppingDetector
from ood_bench.methods.msp import log_max_softmax
from ood_bench.methods.ranges import Magnitudes
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import LINEAR
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.scoring.perturb import input_gradients, sign
from ood_bench.scoring.taps import full_precision
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.progress import ticking

_BYTE = 255.0


@dataclass
class GodinPort(Godin):
    """``max_i h_i / g`` after a step on 0 to 255 pixels that raises ``max_i h_i``, clipped to their range.

    The paper scores ``max_i h_i`` instead. Where the gradient is exactly 0 the step goes down. A magnitude of 0.04 is
    3e-4 of the network's input: hardly a step.

    The port's notebooks for epsilon and for evaluation are what this reproduces.
    """

    statistic: Literal["max_h", "g", "max_f"] = "max_f"
    magnitudes: Magnitudes = field(default_factory=lambda: [0.04])
    unit: Literal["raw", "bytes", "normalised"] = "bytes"
    clip: bool = True

    source = replace(Godin.source, code="github.com/sayakpaul/Generalized-ODIN-TF", licence="Apache-2.0")
    revision = 1
    plain: ClassVar[str] = "max_f"
    at_zero: ClassVar[float] = -1.0


@dataclass
class GodinPortBaseline(SteppingDetector):
    """Maximum softmax probability of a plain network, on images that a network with h and g has perturbed.

    The step is that of :class:`GodinPort`, and so is the choice of its length.

    The port's notebook for evaluation gives both models the same perturbed images.

    Attributes:
        head: head of the network that perturbs.
        magnitudes: candidates for epsilon, in 0 to 255 pixels.
    """

    head: str = "godin_inner"
    magnitudes: Magnitudes = field(default_factory=lambda: [0.04])

    source = GodinPort.source
    needs = ("logits", "networks of its own", "input gradients")
    paper_revision = 1
    tunes_by_id = True

    def __post_init__(self) -> None:
        self._source = GodinPort(head=self.head, magnitudes=self.magnitudes)

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The plain network that scores, then the one that perturbs."""
        base = networks.base
        model = {key: value for key, value in base.model.items() if key != "head"}
        plain = base if base.model.get("head", LINEAR) == LINEAR else replace(base, model=model, checkpoint=None)
        return [plain, *self._source.networks(networks)]

    def id_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The largest similarity that the other network sees after its step."""
        other = Scorer(scorer.engine, scorer.classifiers[1:], scorer.train)
        return self._source.id_scores(other, view, settings)

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """Log of the maximum softmax probability after the step, ``[len(settings), n, 1]``."""
        return self._column(0, scorer, view, settings)

    def paper_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The probability itself, in float32, from the same passes."""
        return self._column(1, scorer, view, settings)

    def _column(self, column: int, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        magnitudes = [setting["epsilon"] for setting in settings]
        identity = {
            "method": f"{self.kept_as('godin_port_baseline')}.{self.paper_revision}",
            "networks": [classifier.key for classifier in scorer.classifiers],
            "view": view.fingerprint,
            "magnitudes": magnitudes,
            "device": scorer.classifier.device.type,
        }
        rows = scorer.engine.cached(
            "godin_port_baseline", identity, lambda: self._transferred(scorer, view, magnitudes)
        )
        return rows[column, :, :, None]

    def _transferred(self, scorer: Scorer, view: View, magnitudes: Sequence[float]) -> Array:
        plain, source = scorer.classifiers
        scores = np.empty((2, len(magnitudes), len(view)))
        done = 0
        what = f"godin_port_baseline on {view.images.title}"
        with ticking(what, len(view), "images") as ticker, full_precision(), torch.no_grad():
            for batch in view.batches(scorer.engine.batch_size(source)):
                rows = slice(done, done + len(batch))
                scores[:, :, rows] = _batch_scores(plain, source, batch, magnitudes)
                done += len(batch)
                ticker.advance(len(batch))
        return scores


def _batch_scores(plain: Classifier, source: Classifier, batch: torch.Tensor, magnitudes: Sequence[float]) -> Array:
    """Log of the maximum softmax probability, and itself in float32, ``[2, magnitudes, B]``, of uint8 images."""
    x = source.normalise(batch)
    _, gradients = input_gradients(source, x, {VALUES: [lambda parts: -max_h(parts)]})
    direction = -sign(gradients[VALUES][0]) / source.channel_std() / _BYTE
    stepped = [source.clipped(x + magnitude * direction) if magnitude else x for magnitude in magnitudes]
    logits = [plain.scoring_network(images) for images in stepped]
    logs = [log_max_softmax(one.double().cpu().numpy()) for one in logits]
    return np.stack([logs, [max_softmax_float32(one).cpu().numpy() for one in logits]])
