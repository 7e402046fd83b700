import json

import numpy as np
import pytest

from ood_bench.store import checking
from ood_bench.store.inventory import entries


def said(shelves, deep=False):
    found = {entry.path: checking.faults(entry, deep=deep) for entry in entries(shelves.store)}
    return {path: text for path, text in found.items() if text}


def test_a_whole_store(full):
    assert said(full, deep=True) == {}


def torn(path):
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("base", "weights.safetensors", "the weights are not those that the card speaks of"),
        ("base", "classifier.json", "cannot be read: "),
        ("images", "images.npy", "its files hold"),
        ("bank", "output-flat.npy", "output-flat.npy is damaged"),
        ("derived", "", "odin-0123.npy is damaged"),
        ("scores", "", "no usable scores"),
    ],
)
def test_torn_artifacts_are_found(full, name, file, words):
    torn(full.kept[name] / file if file else full.kept[name])
    ((path, text),) = said(full).items()
    assert path == full.kept[name]
    assert words in text


@pytest.mark.parametrize("name", ["bank/output-flat.npy", "derived", "scores"])
def test_one_flipped_bit_is_found(full, name):
    entry, _, file = name.partition("/")
    path = full.kept[entry] / file if file else full.kept[entry]
    whole = path.read_bytes()
    path.write_bytes(whole[:140] + bytes([whole[140] ^ 1]) + whole[141:])
    assert list(said(full)) == [full.kept[entry]]


def test_damaged_shards_are_found(full):
    torn(full.loose["shards"] / "0-4-by-4-output-flat.npy")
    assert list(said(full)) == [full.loose["shards"]]


def test_changed_pixels_are_found_by_a_deep_look(full):
    np.save(full.kept["images"] / "images.npy", np.full((4, 1, 2, 2), 7, dtype=np.uint8))
    assert said(full) == {}
    assert said(full, deep=True) == {full.kept["images"]: "the pixels or labels have changed"}


def test_changed_labels_are_found_by_a_deep_look(shelves):
    path = shelves.images("digits", 1, np.arange(4))
    assert said(shelves, deep=True) == {}
    np.save(path / "labels.npy", np.arange(4)[::-1])
    assert said(shelves, deep=True) == {path: "the pixels or labels have changed"}


def test_records_are_counted_with_and_without_seal(full):
    assert checking.record_problems(full.results) == (1, 0, [], [])
    (path,) = full.results.rglob("*.json")
    content = json.loads(path.read_text())
    del content["seal"]
    path.write_text(json.dumps(content))
    assert checking.record_problems(full.results) == (1, 1, [], [])


def test_damaged_things_are_moved_not_deleted(full):
    (record,) = full.results.rglob("*.json")
    torn(record)
    torn(full.kept["base"] / "weights.safetensors")
    _, _, problems, _ = checking.record_problems(full.results)
    broken = [entry for entry in entries(full.store) if checking.faults(entry, deep=False)]
    lines = list(checking.set_aside(full.results, problems, broken))
    assert len(lines) == 2
    assert (full.results / "set-aside" / record.relative_to(full.results / "records")).exists()
    assert full.kept["base"].with_name("lenet-digits-base.torn").is_dir()
    assert checking.record_problems(full.results) == (0, 0, [], [])
    assert said(full) == {}


def test_nothing_is_overwritten_by_setting_aside(full):
    full.kept["base"].with_name("lenet-digits-base.torn").mkdir()
    torn(full.kept["base"] / "weights.safetensors")
    broken = [entry for entry in entries(full.store) if checking.faults(entry, deep=False)]
    (line,) = checking.set_aside(full.results, [], broken)
    assert line.endswith("lenet-digits-base.torn exists")
    assert full.kept["base"].exists()
