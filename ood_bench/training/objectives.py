"""Training objectives: what is minimised, given the network's forward function and a batch of one or two streams.

An objective of one's own is a dataclass derived from :class:`Objective`, named by its import path in
``train.loss.name``; its fields are the keys of ``train.loss.options``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.utils.build import Strict

Forward = Callable[[Tensor], Tensor]
"""Float32 logits ``[B, K]`` of normalised images ``[B, C, H, W]``, in the recipe's precision and memory format."""


@dataclass(frozen=True)
class Batch:
    """One step's images, augmented and normalised.

    Attributes:
        images: ``[N + M, C, H, W]``: N ID images, then M of the second stream (none for objectives of one stream).
        labels: ``[N]`` labels of the ID images.
        epoch: number of whole epochs before this one.
    """

    images: Tensor
    labels: Tensor
    epoch: int = 0

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


def _nothing() -> None:
    """Leaves the trained network as it is."""


class Objective(Strict, ABC):
    """Base of all objectives; a subclass is a dataclass whose fields are its options."""

    streams: ClassVar[int] = 1
    """1 for ID images only; 2 with images that the classifier should be unsure of."""

    head: ClassVar[str | None] = None
    """The head that the network must have, or none for any whose logits are those of the classes."""

    copies: ClassVar[int] = 1
    """How many copies of the images go through the network together, such as turned ones."""

    def check(self, epochs: int, images: npt.NDArray[np.int64]) -> None:
        """Raises :class:`ConfigError` if a training cannot do what the objective is for; by default never.

        Args:
            epochs: of the recipe.
            images: number of training images of each class, ``[K]``.
        """
        return

    def prepare(self, network: nn.Module) -> Callable[[], None]:
        """Changes the network for training, in place, before its optimizer is made.

        Names and shapes of its weights are the same again in the end. By default nothing changes. Each training has an
        objective of its own, which may keep the network.

        Returns:
            What makes of the trained network the one that is kept and scored.
        """
        return _nothing

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


@dataclass
class LogitNorm(Objective):
    """Cross entropy of the normalised logits ``z / ((|z| + 1e-7) tau)``, so that no logit grows by its length alone.

    The network itself is left as it is: tests score its plain logits.

    Source: Wei et al., "Mitigating Neural Network Overconfidence with Logit Normalization", ICML 2022, arXiv
    2205.09310; tau is 0.04 for CIFAR-10 there and in OpenOOD (the README of the authors' code trains with 0.01).

    Attributes:
        tau: temperature, above 0.
    """

    tau: float = 0.04

    def __post_init__(self) -> None:
        refuse_tau("logitnorm", self.tau)

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class."""
        logits = forward(batch.images)
        norms = torch.linalg.vector_norm(logits, dim=1, keepdim=True) + 1e-7
        return F.cross_entropy(logits / norms / self.tau, batch.labels), logits


def refuse_tau(name: str, tau: float) -> None:
    """Raises :class:`ConfigError` unless a temperature is above 0."""
    if not tau > 0:
        raise ConfigError(f"train.loss.options of {name}: tau is {tau}", hint="give a temperature above 0")
