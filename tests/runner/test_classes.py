import logging
import shutil

import numpy as np
import pytest

import ood_bench
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.runner.classes import check_classes
from ood_bench.runner.sets import RunSets

FOUR = ("cat", "dog", "eel", "fox")


def images(names, labels=None):
    labels = range(len(names)) if labels is None else labels
    return ImageSet.of("mine", np.zeros((len(labels), 1, 2, 2), np.uint8), list(labels), class_names=names)


def check(train, test, classes=4, kinds=("folder", "folder"), **options):
    node = {
        "classes": classes,
        **dict(zip(("train", "test"), ({"kind": k, "path": "mine/x"} for k in kinds), strict=True)),
    }
    check_classes(node, RunSets(train, test, {}, {}), **{"published": False, **options})


@pytest.mark.parametrize(
    ("train", "test", "classes", "message"),
    [
        (FOUR, FOUR[1:], 4, "class folders dog, eel, fox; id.train has cat, dog, eel, fox: labels would differ"),
        (FOUR, FOUR[1:], 4, "id.test has no images of cat"),
        (FOUR[1:], FOUR, 3, "id.train has no images of cat"),
        (FOUR, (*FOUR, "gnu"), 4, "id.train has no images of gnu"),
        (FOUR, (*FOUR[:3], "Fox"), 4, "id.test has no images of fox; id.train has no images of Fox"),
        (FOUR, FOUR[::-1], 4, "set class_order alike in both"),
        (FOUR, ("x",), 4, "if the class folders lie one level deeper, set id.test.path=mine/x/x"),
        (FOUR, FOUR, 10, "id.classes is 10, the training folder has 4 classes: set id.classes=4"),
        (("x",), ("x",), 4, "has 1 class: if the class folders lie one level deeper, set id.train.path=mine/x/x"),
        (FOUR, FOUR, 3, "mine: labels go from 0 to 3, id.classes=3 needs 0 to 2"),
        ([f"c{i:03d}" for i in range(118)], FOUR, 118, "c008, c009 and 108 more: labels would differ"),
    ],
)  # fmt: skip
def test_classes_are_compared_by_name(train, test, classes, message):
    with pytest.raises(ConfigError) as caught:
        check(images(train), images(test), classes)
    assert message in str(caught.value)


@pytest.mark.parametrize(("labels", "range_"), [([0, 4], "0 to 4"), ([-1, 3], "-1 to 3")])
def test_labels_of_sources_without_names_are_held_to_the_outputs(labels, range_):
    for train, test in ((images((), [0, 3]), images((), labels)), (images((), labels), images((), [0, 3]))):
        with pytest.raises(ConfigError, match=f"labels go from {range_}, id.classes=4 needs 0 to 3"):
            check(train, test, kinds=("idx", "idx"))


def test_what_is_right_passes():
    check(images(FOUR), images(FOUR))
    check(images(FOUR), images(FOUR, [1, 1, 3]))  # a test set of few rows need not have every class
    check(images(FOUR), images((), [0, 3]), kinds=("folder", "idx"))
    check(images(FOUR), images(("0", "1", "2", "3")), kinds=("mnist", "folder"))
    with pytest.raises(ConfigError, match="labels would differ"):
        check(images(FOUR), images(("0", "1", "2", "3")))


def test_numbers_in_the_order_of_text_are_mentioned_for_published_networks(caplog):
    text, numbers = (images(sorted(map(str, range(11)), key=key)) for key in (str, int))
    with caplog.at_level(logging.WARNING):
        check(text, text, 11)
        check(numbers, numbers, 11, published=True)
        assert caplog.text == ""
        check(text, text, 11, published=True)
    assert "labelled in the order of text (0, 1, 10, 2" in caplog.text
    assert "+id.train.class_order=natural" in caplog.text


def test_a_run_refuses_a_class_folder_without_images(toy_root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(toy_root / "cifar10-png-subset", tmp_path / "cifar10-png-subset")
    for path in (tmp_path / "cifar10-png-subset/test/0").iterdir():
        path.unlink()
    words = ["id=cifar10_png_subset", "id.train.count=null", "id.test.count=null", "data.root=.", "model=lenet"]
    words += ["ood=uniform", "method=msp", "train=quickstart", "results.root=results", "store.root=store"]
    with pytest.raises(
        ConfigError, match=r"class folders 1, 2, .* 9; id\.train has 0, 1, .* id\.test has no images of 0"
    ):
        ood_bench.run(words)
    assert not (tmp_path / "store/classifiers").exists()
