from dataclasses import replace

import pytest

from ood_bench.errors import ConfigError

OUTLIERS = {"loss": {"name": "outlier_exposure", "outlier_weight": 0.5}, "outlier_batch_size": 8}


def networks_with(toys, **recipe):
    networks = toys.networks(seed=4)
    return replace(networks, base=toys.base_spec(4, **recipe))


def test_shipped_recipe_fine_tunes_the_plain_classifier(toys):
    networks = networks_with(toys, batch_size=64, augment=["flip"])
    (spec,) = toys.detector("outlier_exposure").networks(networks)
    assert spec.initial is networks.base
    assert spec.outliers is networks.outliers
    assert (spec.seed, spec.data, spec.model) == (4, networks.base.data, networks.base.model)
    recipe = spec.recipe
    assert (recipe.name, recipe.start, recipe.epochs) == ("oe_mnist_finetune", "classifier", 5)
    assert (recipe.batch_size, recipe.outlier_batch_size) == (50, 100)
    assert (recipe.loss.name, recipe.loss.outlier_weight) == ("outlier_exposure", 0.5)
    assert (recipe.optimizer.name, recipe.optimizer.lr, recipe.optimizer.nesterov) == ("sgd", 0.01, True)
    assert recipe.schedule.name == "cosine"
    assert recipe.augment == ["flip"]  # not named by the method: the run's own


def test_training_from_scratch_starts_from_no_classifier(toys):
    (spec,) = toys.detector("outlier_exposure", train={**OUTLIERS, "start": "scratch"}).networks(toys.networks())
    assert spec.initial is None
    assert spec.recipe.start == "scratch"


def test_without_outliers_it_says_how_to_name_some(toys):
    networks = replace(toys.networks(), outliers=None)
    with pytest.raises(ConfigError, match=r"name the outliers, as in ood@method\.outlier_exposure\.outliers="):
        toys.detector("outlier_exposure").networks(networks)
