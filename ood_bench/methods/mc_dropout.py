"""Monte-Carlo dropout: many random passes of a network trained with dropout."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Detector, Networks, Scorer, Setting, View, at_every
from ood_bench.methods.ranges import Count, Seed32
from ood_bench.models.classifier import build_network
from ood_bench.papers.methods import Source
from ood_bench.scoring.stochastic import active, dropout_modules, sample_passes
from ood_bench.training.spec import TrainingSpec


@dataclass
class McDropout(Detector):
    """Confidence over random passes of the model's dropout variant, trained with the run's own recipe.

    Passes, rates and both statistics are as in the first public commit of FSSD's code.

    Attributes:
        passes: random passes for every image.
        statistic: ``mean_softmax``, the maximum of the mean softmax; or ``logit_variance``, minus the variance of the
            winning class's logit.
        mode: ``dropout_only`` samples dropout and nothing else; ``train_mode`` puts the whole network into training
            mode as the released scorer does, which matters to networks with batch normalisation.
        seed: seeds the passes.
        batch_size: images that go through together, which matters in ``train_mode``.
    """

    passes: Count = 32
    statistic: Literal["mean_softmax", "logit_variance"] = "mean_softmax"
    mode: Literal["dropout_only", "train_mode"] = "dropout_only"
    seed: Seed32 = 0
    batch_size: Count = 100

    source = Source(
        title="Dropout as a Bayesian Approximation: Representing Model Uncertainty in Deep Learning",
        authors="Gal and Ghahramani",
        venue="ICML",
        year=2016,
        arxiv="1506.02142",
        code="github.com/yaringal/DropoutUncertaintyExps",
        licence="CC-BY-NC-4.0",
    )
    needs = ("logits", "networks of its own")

    @property
    def variant(self) -> str:
        """Names the statistic and the mode where they are not the plain ones."""
        words = ["logit variance"] * (self.statistic == "logit_variance") + ["train mode"] * (self.mode == "train_mode")
        return ", ".join(words)

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The model's ``mc_dropout`` variant."""
        if "mc_dropout" not in networks.variants:
            name = networks.base.model["name"]
            raise ConfigError(f"method mc_dropout: model {name} has no variants.mc_dropout in conf/model/{name}.yaml")
        spec = replace(networks.base, model=networks.variants["mc_dropout"], checkpoint=None)
        if not _drops(json.dumps(spec.model), spec.data.shape, spec.classes):
            raise ConfigError(f"method mc_dropout: model {spec.model['name']} has no dropout layer of a rate above 0")
        return [spec]

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The chosen statistic, ``[len(settings), n, 1]``."""
        if not dropout_modules(scorer.classifier.network):
            raise ConfigError("method mc_dropout: the network has no dropout layer")
        identity = {
            "method": self.kept_as("mc_dropout"),
            "network": scorer.classifier.key,
            "view": view.fingerprint,
            "passes": self.passes,
            "mode": self.mode,
            "seed": self.seed,
            "batch": self.batch_size,
            "device": scorer.classifier.device.type,
        }
        summary = scorer.engine.cached("mc_dropout", identity, lambda: self._sample(scorer, view))
        rows = summary[:, :-1].max(axis=1) if self.statistic == "mean_softmax" else -summary[:, -1]
        return at_every(settings, rows)

    def _sample(self, scorer: Scorer, view: View) -> Array:
        train_mode = self.mode == "train_mode"
        return sample_passes(scorer.classifier, view, self.passes, self.seed, self.batch_size, train_mode=train_mode)


@functools.cache
def _drops(model: str, shape: tuple[int, ...], classes: int) -> bool:
    """Whether a network that a ``conf/model`` file's content (as JSON) describes has dropout that does something."""
    with torch.random.fork_rng(devices=[]):
        network = build_network(json.loads(model), shape, classes)
    return any(active(module) for module in dropout_modules(network))
