"""Training objectives: what is minimised, given the network's forward function and a batch of one or two streams.

An objective of one's own is a dataclass derived from :class:`Objective`, named by its import path in
``train.loss.name``; its fields are the keys of ``train.loss.options``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pydantic
from hydra.utils import get_class
from torch import Tensor

from ood_bench.errors import ConfigError, faults
from ood_bench.training import losses

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

    @property
    def inside(self) -> Tensor:
        """The ID images ``[N, C, H, W]``."""
        return self.images[: len(self.labels)]

    @property
    def outside(self) -> Tensor:
        """The images of the second stream ``[M, C, H, W]``."""
        return self.images[len(self.labels) :]


class Objective(ABC):
    """Base of all objectives; a subclass is a dataclass whose fields are its options."""

    __pydantic_config__: ClassVar[pydantic.ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}

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
        return losses.cross_entropy(logits, batch.labels), logits


@dataclass
class OutlierExposure(Objective):
    """Outlier exposure, both streams in one pass as its authors' code has it.

    Attributes:
        weight: weight of the outlier term.
    """

    streams = 2
    weight: float = 0.5

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class."""
        logits = forward(batch.images)
        inside, outside = logits[: len(batch.labels)], logits[len(batch.labels) :]
        return losses.outlier_exposure(inside, batch.labels, outside, self.weight), inside


@dataclass
class MarginEntropy(Objective):
    """The leave-out ensemble's loss; see :func:`ood_bench.training.losses.margin_entropy`.

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
            inside, outside = forward(batch.inside), forward(batch.outside)
        else:
            logits = forward(batch.images)
            inside, outside = logits[: len(batch.labels)], logits[len(batch.labels) :]
        return losses.margin_entropy(inside, batch.labels, outside, self.margin, self.beta), inside


SHIPPED: Mapping[str, type[Objective]] = {
    "cross_entropy": CrossEntropy,
    "outlier_exposure": OutlierExposure,
    "margin_entropy": MarginEntropy,
}


def build_objective(name: str, options: Mapping[str, Any]) -> Objective:
    """Makes the objective that ``train.loss`` describes.

    Args:
        name: one of :data:`SHIPPED`, or the import path of a class.
        options: its fields.

    Raises:
        ConfigError: if the class is unknown or no objective, an option is unknown, or a value has the wrong type.
    """
    target = SHIPPED.get(name) or _imported(name)
    try:
        return pydantic.TypeAdapter(target).validate_python(dict(options))
    except pydantic.ValidationError as error:
        raise ConfigError(f"train.loss.options of {name}: {faults(error)}") from error


def _imported(name: str) -> type[Objective]:
    known = f"known are {', '.join(SHIPPED)}, and import paths of classes, as in my_package.MyLoss"
    if "." not in name:
        raise ConfigError(f"train.loss.name: unknown {name}; {known}")
    try:
        target = get_class(name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"train.loss.name: cannot find the class {name}: {error}; {known}") from error
    if not issubclass(target, Objective):
        raise ConfigError(f"train.loss.name: {name} is not a subclass of {Objective.__module__}.Objective")
    return target
