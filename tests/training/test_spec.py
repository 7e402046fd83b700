import dataclasses

import numpy as np
import pytest

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks, build_detector
from ood_bench.training.recipe import recipe_from


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
        "recipe": make_spec(epochs=3),
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
        "left-out classes": make_spec({"known": (2, 0), "classes": 2}),
        "other order of the outputs": make_spec({"known": (0, 2), "classes": 2}),
        "chosen epoch": make_spec({"validation": images(5)}, selection="msp_auroc"),
        "chosen on others": make_spec({"validation": images(6)}, selection="msp_auroc"),
        "chosen with others": make_spec({"validation": images(5), "test": images(9)}, selection="msp_auroc"),
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
    with pytest.raises(ConfigError, match="outliers are needed for losses of two streams, and only for them"):
        make_spec(**exposure)
    with pytest.raises(ConfigError, match="outliers are needed for losses of two streams, and only for them"):
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


def test_outliers_have_the_shape_of_the_images(make_spec):
    large = ImageSet.of("large", np.zeros((2, 1, 9, 8), dtype=np.uint8))
    with pytest.raises(ConfigError, match=r"outliers large are 1x9x8 images, those of toy 1x8x8: set source\.resize"):
        make_spec({"outliers": large}, loss={"name": "outlier_exposure"}, outlier_batch_size=2)


@pytest.mark.parametrize(("known", "classes"), [((0, 1), 3), ((0, 0), 2), ((0, -1), 2)])
def test_known_classes_must_fit(make_spec, known, classes):
    with pytest.raises(ConfigError, match=rf"are not {classes} classes, each once"):
        make_spec({"known": known, "classes": classes})


def test_validation_images_come_with_a_selection_only(make_spec, images):
    with pytest.raises(ConfigError, match="validation images are needed for selection=msp_auroc, and only for it"):
        make_spec(selection="msp_auroc")
    with pytest.raises(ConfigError, match="validation images are needed for selection=msp_auroc, and only for it"):
        make_spec({"validation": images(5)})


def test_the_test_images_of_known_classes_are_relabelled_as_outputs(make_spec):
    spec = make_spec({"known": (2, 0), "classes": 2})
    rows = [row for row, label in enumerate(spec.test.labels) if label != 1]
    np.testing.assert_array_equal(spec.measured.images, spec.test.images[rows])
    assert spec.measured.labels.tolist() == [0 if spec.test.labels[row] == 2 else 1 for row in rows]
    whole = make_spec()
    assert whole.measured is whole.test


# Keys of the shipped recipes, computed before objectives could be named: trained classifiers are found by them.
PINNED = {
    "featurenorm_resnet18": "bf1a0403527ebaad",
    "featurenorm_vgg11": "8ac5f17bbdc664ab",
    "featurenorm_wrn": "65f4ce7362183acf",
    "fssd_lenet": "20e6284ae2252acf",
    "fssd_resnet34": "fd152e281f76a0a7",
    "odin_densenet": "517c89b8e43df0be",
    "odin_wrn": "04683ce6ab6498fb",
    "quickstart": "e057cd3248ab2f8b",
    "resnet20": "ee9e99ef0fdc5158",
}


def striped(name, count):
    values = np.arange(count * 64, dtype=np.uint32).astype(np.uint8)
    return ImageSet.of(name, values.reshape(count, 1, 8, 8), np.arange(count) % 10)


def pinned_spec(make_spec, settings):
    whole = {"data": striped("toy", 20), "test": striped("toy", 10), "classes": 10}
    return dataclasses.replace(make_spec(whole), recipe=recipe_from(settings.train))


@pytest.mark.parametrize("name", sorted(PINNED))
def test_the_keys_of_shipped_recipes_stay(make_spec, name):
    assert pinned_spec(make_spec, compose_settings([f"train={name}"])).key == PINNED[name]


def test_the_key_of_fine_tuning_with_outliers_stays(make_spec):
    settings = compose_settings(["train=fssd_lenet", "method=outlier_exposure", "model=lenet"])
    networks = Networks(pinned_spec(make_spec, settings), {}, striped("out", 7))
    method = build_detector("outlier_exposure", settings.method["outlier_exposure"])
    assert [spec.key for spec in method.networks(networks)] == ["693bff6850fb54d2"]


def test_the_keys_of_leave_out_classifiers_stay(make_spec):
    settings = compose_settings(["experiment=eloc_fashionmnist"])
    networks = Networks(pinned_spec(make_spec, settings), {})
    keys = [spec.key for spec in build_detector("eloc", settings.method["eloc"]).networks(networks)]
    assert keys == ["4e20f752d8a64445", "af37e7a98275d40c", "06cdc84cb34758b6", "7b56b252c943fd72", "b201c4682246f8cb"]
