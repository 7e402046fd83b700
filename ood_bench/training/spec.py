"""Everything that determines a trained classifier, and the key that follows from it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ood_bench.checkpoints.choice import Choice
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.models.heads import DECOMPOSED, LINEAR, head_of, without_default_head
from ood_bench.models.rotation import ROTATION
from ood_bench.models.vos import VOS
from ood_bench.training.folds import of_known_classes
from ood_bench.training.recipe import Recipe
from ood_bench.training.selection import REVISION
from ood_bench.utils.files import content_key, sha256_file
from ood_bench.utils.source import classes_in, own_source

TRAINER_VERSION = 1
_TRAINED = {ROTATION: "the logits of the rotations", VOS: "the weights of the energy"}


def check_labels(images: ImageSet, classes: int) -> None:
    """Raises :class:`ConfigError` if an image's label is none of the outputs, 0 to ``classes`` - 1."""
    if images.labels is None:
        return
    low, high = int(images.labels.min()), int(images.labels.max())
    if low < 0 or high >= classes:
        raise ConfigError(
            f"{images.name}: labels go from {low} to {high}, id.classes={classes} needs 0 to {classes - 1}"
        )


@dataclass(frozen=True)
class TrainingSpec:
    """One classifier to be trained.

    Attributes:
        model: content of the ``conf/model`` file, without ``variants``.
        recipe: how it is trained.
        data: ID training images with labels.
        test: ID test images; only used to report the accuracy of the finished classifier.
        classes: number of outputs.
        normalisation: ``mean`` and ``std`` per channel on the [0, 1] scale.
        seed: seeds the weights, the order of the images, dropout and augmentation.
        outliers: images of the second stream, for losses that have one.
        known: the classes that are learned, in the order of the outputs, where some are left out; images of the others
            are the second stream unless ``outliers`` are given. None for all classes.
        validation: images, foreign to the ID set, on which the epoch is chosen if the recipe chooses one.
        initial: the classifier to start from when the recipe fine-tunes.
        checkpoint: a published checkpoint that takes the place of training, or none.
        choice: which network of the checkpoint, and other names of its tensors.
    """

    model: Mapping[str, Any]
    recipe: Recipe
    data: ImageSet
    test: ImageSet
    classes: int
    normalisation: Mapping[str, Any]
    seed: int
    outliers: ImageSet | None = None
    known: tuple[int, ...] | None = None
    validation: ImageSet | None = None
    initial: "TrainingSpec | None" = None
    checkpoint: Path | None = None
    choice: Choice = field(default_factory=Choice)

    def __post_init__(self) -> None:
        if self.data.labels is None:
            raise ConfigError(f"{self.data.name}: a classifier cannot be trained on images without labels")
        self._check_labels()
        self._check_second_stream()
        self._check_head()
        known = range(self.classes) if self.known is None else self.known
        images = np.bincount(self.data.labels, minlength=max(known) + 1)[list(known)]
        self.recipe.objective.check(self.recipe.epochs, images)
        if (self.recipe.start == "classifier") != (self.initial is not None):
            raise ConfigError(f"recipe {self.recipe.name}: an initial classifier is needed to fine-tune, and only then")
        if (self.recipe.selection == "msp_auroc") != (self.validation is not None):
            raise ConfigError(
                f"recipe {self.recipe.name}: validation images are needed for selection=msp_auroc, and only for it"
            )

    def _check_labels(self) -> None:
        if self.known is None:
            check_labels(self.data, self.classes)
            check_labels(self.test, self.classes)
        if self.known is not None and (len(set(self.known)) != self.classes or min(self.known) < 0):
            raise ConfigError(f"{self.data.name}: {self.known} are not {self.classes} classes, each once")
        if head_of(self.model) in DECOMPOSED and self.learned % self.recipe.batch_size == 1:
            raise ConfigError(
                f"train.batch_size={self.recipe.batch_size} leaves a last batch of one of {self.learned} images, "
                f"which the batch norm in g of head {head_of(self.model)} cannot take: choose another"
            )

    def _check_second_stream(self) -> None:
        two = self.recipe.objective.streams > 1
        if (two and self.outliers is None and self.known is None) or (not two and self.outliers is not None):
            raise ConfigError(
                f"recipe {self.recipe.name}: outliers are needed for losses of two streams, and only for them; its "
                f"loss is {self.recipe.loss.name}"
            )
        if self.outliers is not None and self.outliers.shape != self.data.shape:
            raise ConfigError(
                f"outliers {self.outliers.title} are {'x'.join(map(str, self.outliers.shape))} images, those of "
                f"{self.data.name} {'x'.join(map(str, self.data.shape))}: set source.resize and size of the outliers"
            )

    def _check_head(self) -> None:
        """Refuses an objective whose head the network lacks, and a head without the objective that trains it."""
        head, wanted = head_of(self.model), self.recipe.objective.head
        if head != wanted and (wanted is not None or head in _TRAINED):
            needed = f"needs model.head={wanted}" if wanted else f"cannot train {_TRAINED[head]}"
            raise ConfigError(
                f"recipe {self.recipe.name}: loss {self.recipe.loss.name} {needed}, and the head is {head}",
                hint=f"set model.head={wanted or LINEAR}",
            )
        _, height, width = self.data.shape
        if head == ROTATION and height != width:
            raise ConfigError(f"model.head={head} turns images by 90 degrees: {height}x{width} images are not square")

    @property
    def learned(self) -> int:
        """Number of ID training images of the classes that are learned."""
        if self.known is None or self.data.labels is None:
            return len(self.data)
        return int(np.isin(self.data.labels, self.known).sum())

    @functools.cached_property
    def measured(self) -> ImageSet:
        """The test images of the classes that are learned, labelled as outputs."""
        return of_known_classes(self.test, self.known)

    def network(self) -> dict[str, Any]:
        """JSON-able description of the network and its input, as a classifier's card has it."""
        model = without_default_head(self.model)
        return {
            "model": model,
            **own_source(classes_in(model)),
            "shape": list(self.data.shape),
            "classes": self.classes,
            "normalisation": {key: [float(v) for v in values] for key, values in self.normalisation.items()},
        }

    def identity(self) -> dict[str, Any]:
        """JSON-able description of all that determines the weights; the key is its hash."""
        choice = None
        if self.validation is not None:  # what the choice of the epoch looks at, and the revision of its rule
            choice = {"id": self.test.fingerprint, "ood": self.validation.fingerprint, "rule": REVISION}
        return {
            **self.network(),
            "trainer": TRAINER_VERSION,
            "recipe": self.recipe.identity(),
            **{f"loss_{key}": value for key, value in own_source([type(self.recipe.objective)]).items()},
            "data": self.data.fingerprint,
            "outliers": None if self.outliers is None else self.outliers.fingerprint,
            "seed": self.seed,
            "initial": None if self.initial is None else self.initial.key,
            **({} if self.known is None else {"known": list(self.known)}),
            **({} if choice is None else {"validation": choice}),
            **({} if self.checkpoint is None else self._published()),
        }

    @functools.cached_property
    def checkpoint_sha256(self) -> str | None:
        """SHA-256 of the published checkpoint at the first use of the specification, or none."""
        return None if self.checkpoint is None else sha256_file(self.checkpoint)

    def _published(self) -> dict[str, Any]:
        chosen = {f"checkpoint_{key}": value for key, value in self.choice.identity().items()}
        return {"checkpoint": self.checkpoint_sha256, **chosen}

    @functools.cached_property
    def key(self) -> str:
        """16 hex digits that name the classifier's artifact."""
        return content_key(self.identity())

    @property
    def title(self) -> str:
        """Name of the artifact's folder: readable, and unique through the key."""
        return f"{self.model['name']}-{self.data.name}-{self.recipe.name}-seed{self.seed}-{self.key}"
