"""Classifiers that train in milliseconds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec

LENET = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet", "channel_dropout": 0.25, "dropout": 0.5}
RECIPE = {
    "name": "toy",
    "epochs": 2,
    "batch_size": 8,
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "augment": ["crop4", "flip"],
}


def toy_images(count: int, seed: int = 0, classes: int = 3) -> ImageSet:
    """Noise with a bright row that tells the class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    images = generator.integers(0, 120, (count, 1, 8, 8), dtype=np.uint8)
    images[np.arange(count), 0, 2 * labels] += 100
    return ImageSet.of("toy", images, labels)


@pytest.fixture(scope="session")
def images() -> Callable[..., ImageSet]:
    return toy_images


@pytest.fixture(scope="session")
def make_spec() -> Callable[..., TrainingSpec]:
    """Makes a small specification; keyword arguments change its recipe, ``changes`` the specification itself."""

    def make(changes: dict[str, Any] | None = None, **recipe: Any) -> TrainingSpec:
        plain = {
            "model": LENET,
            "recipe": recipe_from({**RECIPE, **recipe}),
            "data": toy_images(24),
            "test": toy_images(12, seed=1),
            "classes": 3,
            "normalisation": {"mean": [0.3], "std": [0.25]},
            "seed": 0,
        }
        return TrainingSpec(**{**plain, **(changes or {})})

    return make


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[Any]]:
    """Every batch of raw images that goes through a trainer's network, both streams together, as the list grows."""

    def record(made: Any) -> list[Any]:
        seen: list[Any] = []
        normalise = made._normalise

        def look(images: Any) -> Any:
            seen.append(images.clone())
            return normalise(images)

        monkeypatch.setattr(made, "_normalise", look)
        return seen

    return record
