import pytest

from ood_bench.data.folder import FolderSource
from ood_bench.data.noise import Noise
from ood_bench.data.sources import build_source, source_of
from ood_bench.errors import ConfigError


def test_lists_and_names_are_taken_over():
    config = {"kind": "folder", "path": "p", "layout": "flat", "resize": "squash", "size": [3, 4], "rows": [0, 2]}
    source = build_source(config, name="x", variant="v")
    assert source == FolderSource(
        name="x", variant="v", path="p", layout="flat", resize="squash", size=(3, 4), rows=(0, 2)
    )
    assert build_source({**config, "variant": "own", "name": "other"}, name="x", variant="v").full_variant.startswith(
        "own; "
    )


def test_the_shape_of_the_id_set_is_the_default():
    config = {"kind": "noise", "recipe": "uniform"}
    assert build_source(config, name="u", shape=[1, 8, 8]) == Noise(name="u", recipe="uniform", shape=(1, 8, 8))
    own = build_source({**config, "shape": [3, 4, 4]}, name="u", shape=[1, 8, 8])
    assert own == Noise(name="u", recipe="uniform", shape=(3, 4, 4))
    build_source({"kind": "digits"}, name="d", shape=[1, 8, 8])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "kind is None: known are archive"),
        ({"kind": "digit"}, "did you mean digits"),
        ({"kind": "digits", "clases": [1]}, r"\(kind digits\): clases: unknown key \(did you mean classes\?\)"),
        ({"kind": "digits", "classes": [10]}, r"classes\.0: .*less than or equal to 9"),
        ({"kind": "digits", "split": "val"}, "split: .*'train', 'test' or 'all'"),
        ({"kind": "noise", "recipe": "uniform"}, "shape: field required"),
        ({"kind": "noise", "recipe": "uniform", "shape": [1, 2]}, "shape"),
        ({"kind": "noise", "recipe": "uniform", "shape": [1, 2, 2], "count": 0}, "count: .*greater than 0"),
        ({"kind": "photo_patches", "shape": [2, 8, 8]}, "shape.0"),
        ({"kind": "folder", "path": "p", "layout": "flat", "size": "big", "resize": "squash"}, "size"),
        ({"kind": "folder", "path": "p", "layout": "flat", "size": 3}, "set both, or neither"),
    ],
)
def test_wrong_configs_are_refused_with_the_mend(config, message):
    with pytest.raises(ConfigError, match=message):
        build_source(config, name="x")


def test_a_set_needs_a_name():
    with pytest.raises(ConfigError, match="no name"):
        build_source({"kind": "digits"})


def test_parts_of_a_node():
    node = {"name": "d", "variant": None, "train": {"kind": "digits", "split": "train"}, "test": "digits"}
    assert source_of(node, "train").name == "d"
    with pytest.raises(ConfigError, match="config of d: no mapping under 'test'"):
        source_of(node, "test")
    with pytest.raises(ConfigError, match="no mapping under 'source'"):
        source_of(node)
