import dataclasses

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.training.recipe import LossConfig, OptimizerConfig, Recipe, ScheduleConfig, recipe_from

RECIPE_CHANGES = {
    "epochs": 3,
    "batch_size": 9,
    "outlier_batch_size": 7,
    "optimizer.name": "adadelta",
    "optimizer.lr": 0.051,
    "optimizer.momentum": 0.8,
    "optimizer.nesterov": True,
    "optimizer.weight_decay": 1e-4,
    "optimizer.rho": 0.8,
    "optimizer.eps": 1e-7,
    "optimizer.decay": "kernels",
    "schedule.name": "exponential",
    "schedule.gamma": 0.2,
    "schedule.milestones": [1],
    "schedule.final_lr": 0.01,
    "loss.outlier_weight": 0.6,
    "augment": ["flip", "crop4"],
    "autocast": "bfloat16",
    "compile": True,
    "channels_last": False,
}


def nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize("key", sorted(RECIPE_CHANGES))
def test_every_ingredient_of_the_recipe_changes_the_key(make_spec, key):
    change = nested(key, RECIPE_CHANGES[key])
    if key.startswith("optimizer."):
        change = {"optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9, **change["optimizer"]}}
    assert make_spec(**change).key != make_spec().key


def test_no_ingredient_of_the_recipe_is_forgotten():
    names = {item.name for item in dataclasses.fields(Recipe)} - {"name", "deviations", "start"}
    for part, cls in (("optimizer", OptimizerConfig), ("schedule", ScheduleConfig), ("loss", LossConfig)):
        names.remove(part)
        names |= {f"{part}.{item.name}" for item in dataclasses.fields(cls)}
    assert names - {"compile_mode", "schedule.warmup"} == {*RECIPE_CHANGES, "loss.name"}  # those two: test_recipe.py


def test_names_and_footnotes_do_not_change_the_key(make_spec, images):
    plain = make_spec()
    assert make_spec(name="other", deviations=["a footnote"]).key == plain.key
    assert make_spec({"test": images(30, seed=5)}).key == plain.key
    assert make_spec({"model": {**plain.model, "variants": {"x": {}}}}).key == plain.key
    renamed = ImageSet.of("renamed", plain.data.images, plain.data.labels, variant="a copy")
    assert make_spec({"data": renamed}).key == plain.key
    integers = {"mean": [0], "std": [1]}
    assert make_spec({"normalisation": integers}).key == make_spec({"normalisation": {"mean": [0.0], "std": [1.0]}}).key


def test_options_that_came_later_leave_older_keys_alone(make_spec):
    """Trained classifiers and committed records are found by these keys."""
    plain = make_spec()
    assert plain.key == "1fde0815d3bb6ce8"
    optimizer = {"name": "sgd", "lr": 0.05, "momentum": 0.9, "decay": "standard"}
    assert make_spec({"model": {**plain.model, "head": "linear"}}, optimizer=optimizer).key == plain.key
    assert make_spec({"model": {**plain.model, "head": "godin_inner"}}).key != plain.key


def specification_changes(make_spec, images):
    plain = make_spec()
    pixels = plain.data.images.copy()
    pixels[3, 0, 4, 4] ^= 1
    labels = plain.data.labels.copy()
    labels[0] = 2
    outliers = recipe_from({"name": "oe", "loss": {"name": "outlier_exposure"}, "outlier_batch_size": 2})
    return {
        "seed": make_spec({"seed": 1}),
        "one pixel": make_spec({"data": ImageSet.of("toy", pixels, plain.data.labels)}),
        "one label": make_spec({"data": ImageSet.of("toy", plain.data.images, labels)}),
        "class count": make_spec({"classes": 4}),
        "mean": make_spec({"normalisation": {"mean": [0.31], "std": [0.25]}}),
        "std": make_spec({"normalisation": {"mean": [0.3], "std": [0.26]}}),
        "model option": make_spec({"model": {**plain.model, "dropout": 0.4}}),
        "model class": make_spec({"model": {**plain.model, "_target_": "elsewhere.LeNet"}}),
        "outliers": make_spec({"recipe": outliers, "outliers": images(5)}),
        "other outliers": make_spec({"recipe": outliers, "outliers": images(6)}),
        "fine-tuned": make_spec({"initial": plain}, start="classifier"),
        "fine-tuned from another": make_spec({"initial": make_spec({"seed": 1})}, start="classifier"),
    }


def test_every_other_ingredient_changes_the_key(make_spec, images):
    specs = {"plain": make_spec(), **specification_changes(make_spec, images)}
    keys = {name: spec.key for name, spec in specs.items()}
    assert len(set(keys.values())) == len(keys), keys
    assert all(len(key) == 16 and int(key, 16) >= 0 for key in keys.values())


def test_the_folder_name_is_readable_and_ends_with_the_key(make_spec):
    spec = make_spec({"seed": 7})
    assert spec.title == f"lenet-toy-toy-seed7-{spec.key}"


def test_labels_are_needed(make_spec, images):
    unlabelled = ImageSet.of("toy", images(6).images)
    with pytest.raises(ConfigError, match="toy: a classifier cannot be trained on images without labels"):
        make_spec({"data": unlabelled})


@pytest.mark.parametrize(("labels", "message"), [([0, 3], "0 to 3"), ([-1, 2], "-1 to 2")])
def test_labels_must_fit_the_classes(make_spec, labels, message):
    data = ImageSet.of("toy", np.zeros((2, 1, 8, 8), dtype=np.uint8), labels)
    with pytest.raises(ConfigError, match=f"toy: labels go from {message}, id.classes=3 needs 0 to 2"):
        make_spec({"data": data})


def test_outliers_come_with_outlier_exposure_only(make_spec, images):
    exposure = {"loss": {"name": "outlier_exposure"}, "outlier_batch_size": 2}
    with pytest.raises(ConfigError, match="outliers are needed for outlier exposure, and only for it"):
        make_spec(**exposure)
    with pytest.raises(ConfigError, match="outliers are needed for outlier exposure, and only for it"):
        make_spec({"outliers": images(3)})
    assert make_spec({"outliers": images(3)}, **exposure).outliers is not None


def test_a_last_batch_of_one_image_is_refused_for_heads_with_a_batch_norm(make_spec):
    model = {**make_spec().model, "head": "godin_inner"}
    with pytest.raises(ConfigError, match=r"batch_size=23 leaves a last batch of one of 24 images.*head godin_inner"):
        make_spec({"model": model}, batch_size=23)
    assert make_spec({"model": model}, batch_size=22).key != make_spec(batch_size=23).key


def test_an_initial_classifier_comes_with_fine_tuning_only(make_spec):
    with pytest.raises(ConfigError, match="an initial classifier is needed to fine-tune, and only then"):
        make_spec(start="classifier")
    with pytest.raises(ConfigError, match="an initial classifier is needed to fine-tune, and only then"):
        make_spec({"initial": make_spec()})
