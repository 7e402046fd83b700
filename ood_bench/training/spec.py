"""Everything that determines a trained classifier, and the key that follows from it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.files import content_key, sha256_file
from ood_bench.models.heads import LINEAR, head_of, without_default_head
from ood_bench.training.recipe import LossName, Recipe, Start

TRAINER_VERSION = 1


@dataclass(frozen=True)
class TrainingSpec:
    """One classifier to be trained.

    Attributes:
        model: content of the ``conf/model`` file, without ``variants``.
        recipe: how it is trained.
        data: ID training images with labels.
        test: ID test images; only used to report the accuracy of the finished classifier.
        classes: number of classes.
        normalisation: ``mean`` and ``std`` per channel on the [0, 1] scale.
        seed: seeds the weights, the order of the images, dropout and augmentation.
        outliers: outlier images, for losses that need them.
        initial: the classifier to start from when the recipe fine-tunes.
        checkpoint: a published checkpoint that takes the place of training, or none.
    """

    model: Mapping[str, Any]
    recipe: Recipe
    data: ImageSet
    test: ImageSet
    classes: int
    normalisation: Mapping[str, Any]
    seed: int
    outliers: ImageSet | None = None
    initial: "TrainingSpec | None" = None
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        if self.data.labels is None:
            raise ConfigError(f"{self.data.name}: a classifier cannot be trained on images without labels")
        low, high = int(self.data.labels.min()), int(self.data.labels.max())
        if low < 0 or high >= self.classes:
            raise ConfigError(
                f"{self.data.name}: labels go from {low} to {high}, id.classes={self.classes} needs 0 to "
                f"{self.classes - 1}"
            )
        if (self.recipe.loss.name is LossName.outlier_exposure) != (self.outliers is not None):
            raise ConfigError(f"recipe {self.recipe.name}: outliers are needed for outlier exposure, and only for it")
        if head_of(self.model) != LINEAR and len(self.data) % self.recipe.batch_size == 1:
            raise ConfigError(
                f"train.batch_size={self.recipe.batch_size} leaves a last batch of one of {len(self.data)} images, "
                f"which the batch norm in g of head {head_of(self.model)} cannot take: choose another"
            )
        if (self.recipe.start is Start.classifier) != (self.initial is not None):
            raise ConfigError(f"recipe {self.recipe.name}: an initial classifier is needed to fine-tune, and only then")

    def identity(self) -> dict[str, Any]:
        """JSON-able description of all that determines the weights; the key is its hash."""
        return {
            "trainer": TRAINER_VERSION,
            "model": without_default_head(self.model),
            "shape": list(self.data.shape),
            "classes": self.classes,
            "recipe": self.recipe.identity(),
            "data": self.data.fingerprint,
            "outliers": None if self.outliers is None else self.outliers.fingerprint,
            "normalisation": {key: [float(v) for v in values] for key, values in self.normalisation.items()},
            "seed": self.seed,
            "initial": None if self.initial is None else self.initial.key,
            **({} if self.checkpoint is None else {"checkpoint": sha256_file(self.checkpoint)}),
        }

    @functools.cached_property
    def key(self) -> str:
        """16 hex digits that name the classifier's artifact."""
        return content_key(self.identity())

    @property
    def title(self) -> str:
        """Name of the artifact's folder: readable, and unique through the key."""
        return f"{self.model['name']}-{self.data.name}-{self.recipe.name}-seed{self.seed}-{self.key}"
