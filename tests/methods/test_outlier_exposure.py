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


def test_changes_are_laid_over_the_runs_recipe_key_by_key(toys):
    networks = networks_with(
        toys,
        epochs=9,
        optimizer={"name": "sgd", "lr": 0.3, "momentum": 0.8, "weight_decay": 0.01},
        schedule={"name": "multistep", "milestones": [2, 4], "gamma": 0.2},
    )
    before = networks.base.key
    train = {**OUTLIERS, "name": "mine", "optimizer": {"lr": 0.05}, "schedule": {"milestones": [3]}}
    (spec,) = toys.detector("outlier_exposure", train=train).networks(networks)
    recipe = spec.recipe
    assert (recipe.name, recipe.epochs) == ("mine", 9)
    assert (recipe.optimizer.lr, recipe.optimizer.momentum, recipe.optimizer.weight_decay) == (0.05, 0.8, 0.01)
    assert (recipe.schedule.name, recipe.schedule.milestones, recipe.schedule.gamma) == (
        "multistep",
        [3],
        0.2,
    )
    assert networks.base.key == before
    assert networks.base.recipe.optimizer.lr == 0.3


def test_training_from_scratch_starts_from_no_classifier(toys):
    (spec,) = toys.detector("outlier_exposure", train={**OUTLIERS, "start": "scratch"}).networks(toys.networks())
    assert spec.initial is None
    assert spec.recipe.start == "scratch"


def test_what_the_method_trains_is_another_classifier_for_every_change(toys):
    changes = [
        {},
        {"epochs": 2},
        {"start": "classifier"},
        {"loss": {"name": "outlier_exposure", "outlier_weight": 1.0}},
    ]
    specs = [
        toys.detector("outlier_exposure", train={**OUTLIERS, **change}).networks(toys.networks())[0]
        for change in changes
    ]
    other = replace(toys.networks(), outliers=toys.image_set("static", 21))
    specs += toys.detector("outlier_exposure", train=OUTLIERS).networks(other)
    keys = {spec.key for spec in specs} | {toys.base_spec().key}
    assert len(keys) == 6


def test_without_outliers_it_says_how_to_name_some(toys):
    networks = replace(toys.networks(), outliers=None)
    with pytest.raises(ConfigError, match=r"name the outliers, as in ood@method\.outlier_exposure\.outliers="):
        toys.detector("outlier_exposure").networks(networks)


def test_unknown_keys_of_the_recipe_are_refused(toys):
    with pytest.raises(ConfigError, match=r"train: epoch: unknown key"):
        toys.detector("outlier_exposure", train={**OUTLIERS, "epoch": 3}).networks(toys.networks())
