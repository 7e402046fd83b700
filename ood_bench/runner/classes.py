"""Whether labels mean the same in training, in the test and in ``id.classes``: classes are compared by name."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.runner.sets import RunSets
from ood_bench.training.spec import check_labels
from ood_bench.utils.printable import listed

_log = logging.getLogger(__name__)
_FOLDERS = ("folder", "archive")


def check_classes(node: Mapping[str, Any], sets: RunSets, *, published: bool) -> None:
    """Compares the classes of an ``id`` node's images; where a source does not name them, their labels alone.

    Args:
        node: the ``id`` node.
        sets: the run's sets, of which ``train`` and ``test`` are looked at.
        published: whether the network was trained elsewhere, so that its outputs may follow another order.

    Raises:
        ConfigError: if a class is missing or extra in one of the two, a label is no output of the network, or
            ``classes`` is another number than that of the classes.
    """
    train, test = sets.train.class_names, sets.test.class_names
    if train and test and train != test and not _are_numbers_of_others(node, train, test):
        what = "class folders" if node["test"]["kind"] in _FOLDERS else "classes"
        raise ConfigError(
            f"id.test: {what} {listed(test)}; id.train has {listed(train)}: labels would differ",
            _remedy(node, train, test),
        )
    for images in (sets.train, sets.test):
        check_labels(images, node["classes"])
    if train and len(train) != node["classes"]:
        what = "folder" if node["train"]["kind"] in _FOLDERS else "set"
        count = "1 class" if len(train) == 1 else f"{len(train)} classes"
        raise ConfigError(
            f"id.classes is {node['classes']}, the training {what} has {count}",
            _one_level_deeper(node, "train", train) or f"set id.classes={len(train)}, or complete the {what}",
        )
    if published and all(map(str.isdecimal, train)) and list(train) != sorted(train, key=int):
        both = " and ".join(f"+id.{part}.class_order=natural" for part in ("train", "test"))
        text = "class folders are numbers, labelled in the order of text (%s); if outputs follow the numbers, add %s"
        _log.warning(text, listed(train), both)


def _are_numbers_of_others(node: Mapping[str, Any], train: Sequence[str], test: Sequence[str]) -> bool:
    """Whether the sources are of two kinds and one names its classes by their labels, so that any names fit."""
    numbers = [str(label) for label in range(len(train))]
    return (
        node["train"]["kind"] != node["test"]["kind"]
        and len(train) == len(test)
        and numbers in ([name.lstrip("0") or "0" for name in names] for names in (train, test))
    )


def _remedy(node: Mapping[str, Any], train: Sequence[str], test: Sequence[str]) -> str:
    lacking = {"id.test": [name for name in train if name not in test]}
    lacking["id.train"] = [name for name in test if name not in train]
    if not any(lacking.values()):
        return "set class_order alike in both"
    deeper = _one_level_deeper(node, "train", train) or _one_level_deeper(node, "test", test)
    return deeper or "; ".join(f"{part} has no images of {listed(names)}" for part, names in lacking.items() if names)


def _one_level_deeper(node: Mapping[str, Any], part: str, names: Sequence[str]) -> str:
    if len(names) > 1 or node[part]["kind"] not in _FOLDERS:
        return ""
    path = f"{node[part]['path']}/{names[0]}"
    return f"if the class folders lie one level deeper, set id.{part}.path={path}"
