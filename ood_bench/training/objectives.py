"""Training objectives: what is minimised, given the network's forward function and a batch of one or two streams.

An objective of one's own is a dataclass derived from :class:`Objective`, named by its import path in
``train.loss.name``; its fields are the keys of ``train.loss.options``.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.utils.build import Strict, build
from ood_bench.utils.suggest import did_you_mean

Forward = Callable[[Tensor], Tensor]
"""Float32 logits ``[B, K]`` of normalised images ``[B, C, H, W]``, in the recipe's precision and memory format."""


@dataclass(frozen=True)
class Batch:
    """One step's images, augmented and normalised.

    Attributes:
        images: ``[N + M, C, H, W]``: N ID images, then M of the second stream (none for objectives of one stream).
        labels: ``[N]`` labels of the ID images.
    """

    images: Tensor
    labels: Tensor

    def split(self, both: Tensor) -> tuple[Tensor, Tensor]:
        """The N rows of the ID images, and the M rows of the second stream, of what has a row an image."""
        return both[: len(self.labels)], both[len(self.labels) :]


def cross_entropy_to_uniform(logits: Tensor) -> Tensor:
    """Cross entropy ``[M]`` of logits ``[M, K]`` to the uniform distribution, up to a constant: least if unsure."""
    return logits.logsumexp(dim=1) - logits.mean(dim=1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy ``[B]`` of the softmax of logits ``[B, K]``, in nats."""
    log_probabilities = logits.log_softmax(dim=1)
    return -(log_probabilities.exp() * log_probabilities).sum(dim=1)


class Objective(Strict, ABC):
    """Base of all objectives; a subclass is a dataclass whose fields are its options."""

    streams: ClassVar[int] = 1
    """1 for ID images only; 2 with images that the classifier should be unsure of."""

    @abstractmethod
    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss (a scalar to go down), and the ID images' logits ``[N, K]``, which the training accuracy needs."""


@dataclass
class CrossEntropy(Objective):
    """Mean cross entropy."""

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class."""
        logits = forward(batch.images)
        return F.cross_entropy(logits, batch.labels), logits


@dataclass
class OutlierExposure(Objective):
    """Cross entropy on ID images plus ``weight`` times the outliers' cross entropy to the uniform distribution.

    The outlier term is ``logsumexp(z) - mean_k z_k``, averaged over the outliers. Both streams go through the network
    in one pass, as in the authors' code.

    Source: Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", ICLR 2019; weight 0.5.

    Attributes:
        weight: weight of the outlier term.
    """

    streams = 2
    weight: float = 0.5

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class."""
        inside, outside = batch.split(forward(batch.images))
        return F.cross_entropy(inside, batch.labels) + self.weight * cross_entropy_to_uniform(outside).mean(), inside


@dataclass
class MarginEntropy(Objective):
    """Cross entropy on ID images plus ``beta * max(0, margin + H(ID) - H(OOD))`` of the batches' mean entropies H.

    The hinge acts on means over the batch, not image by image: once the margin is met its gradient is 0.

    Source: Vyas et al., "Out-of-Distribution Detection Using an Ensemble of Self Supervised Leave-out Classifiers",
    arXiv 1809.03576; margin 0.4. The paper does not state beta; an unofficial implementation takes 0.2.

    Attributes:
        margin: nats by which the second stream's entropy should be higher.
        beta: weight of the hinge.
        passes: ``two`` sends the streams through the network one after the other, ID first, so that batch normalisation
            sees each for itself, as the unofficial code has it; ``one`` sends them together.
    """

    streams = 2
    margin: float = 0.4
    beta: float = 0.2
    passes: Literal["two", "one"] = "two"

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class."""
        if self.passes == "two":
            inside, outside = (forward(images) for images in batch.split(batch.images))
        else:
            inside, outside = batch.split(forward(batch.images))
        hinge = F.relu(self.margin + entropy(inside).mean() - entropy(outside).mean())
        return F.cross_entropy(inside, batch.labels) + self.beta * hinge, inside


SHIPPED: Mapping[str, type[Objective]] = {
    "cross_entropy": CrossEntropy,
    "outlier_exposure": OutlierExposure,
    "margin_entropy": MarginEntropy,
}


@dataclass(frozen=True)
class LossConfig(Strict):
    """What a recipe says of its objective.

    Attributes:
        name: one of :data:`SHIPPED`, or the import path of a class.
        outlier_weight: weight of the outlier term of outlier exposure.
        options: fields of the objective.
    """

    name: str = "cross_entropy"
    outlier_weight: float = 0.5
    options: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def objective(self) -> Objective:
        """The objective itself.

        Raises:
            ConfigError: if the class is unknown or no objective, an option is unknown, or a value has the wrong type.
        """
        options = {"weight": self.outlier_weight} if self.name == "outlier_exposure" else {}
        options |= self.options
        if self.name in SHIPPED:
            return build(f"train.loss.options of {self.name}", SHIPPED[self.name], options)
        if "." not in self.name:
            raise ConfigError(
                f"train.loss.name: unknown {self.name}{did_you_mean(self.name, SHIPPED)}",
                hint=f"known are {', '.join(SHIPPED)}, and import paths of classes, as in my_package.MyLoss",
            )
        return build(f"train.loss {self.name}", Objective, {**options, "_target_": self.name})  # type: ignore[type-abstract]
