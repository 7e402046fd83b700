import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ood_bench.errors import ArtifactError, RecordError
from ood_bench.results import Record, RecordStore
from ood_bench.results.record_store import slug

Make = Callable[..., Record]


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "results")


def test_a_record_lies_under_its_names(store, make):
    path = store.write(make(method="mc_dropout", variant="Train mode!", seed=3))
    inside = "records/fashionmnist/lenet/fssd/mc_dropout-train-mode/mnist/seed3-0123456789abcdef.json"
    assert path == store.root / inside
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert slug("BatchNorm, train  mode") == "batchnorm-train-mode"


def test_load_gives_records_sorted_by_path(store, make):
    written = [make(seed=seed, ood=ood) for seed in (2, 0, 1) for ood in ("mnist", "kmnist")]
    for record in written:
        store.write(record)
    loaded = store.load()
    assert loaded == sorted(written, key=lambda record: (record.ood, record.seed))
    assert store.problems == []


def test_an_empty_store_loads(store):
    assert store.load() == []
    assert store.find_all(["0" * 16]) == {}


def test_writing_an_equal_record_again_keeps_the_first(store, make, fields):
    first = store.write(make())
    before = first.read_bytes()
    again = make(seconds=1.0, environment=fields["environment"] | {"device": "another"})
    assert store.write(again) == first
    assert first.read_bytes() == before


def test_another_result_for_the_same_cell_is_refused(store, make):
    path = store.write(make())
    with pytest.raises(RecordError, match=r"differs in metrics, n_id: .*delete the file") as caught:
        store.write(make(metrics={"auroc": {"value": 1.0}}, n_id=5))
    assert str(path) in str(caught.value)
    assert Record.from_json(path.read_text(), path) == make()


def test_a_record_spoilt_after_validation_is_not_written(store, make):
    record = make()
    record.hyperparameters["T"] = float("nan")
    with pytest.raises(RecordError, match="not a valid record"):
        store.write(record)
    record.hyperparameters["T"] = 1
    record.notes.append(" ")
    with pytest.raises(RecordError, match=r"notes\.0: must not be empty"):
        store.write(record)
    assert store.load() == []


def test_a_torn_file_is_reported_and_the_rest_loads(store, make, caplog):
    whole, torn = store.write(make(seed=0)), store.write(make(seed=1))
    torn.write_text(torn.read_text()[:500])
    with caplog.at_level(logging.WARNING):
        records = store.load()
    assert [record.seed for record in records] == [0]
    assert [problem.path for problem in store.problems] == [torn]
    assert "not whole JSON" in store.problems[0].reason
    assert f"--set-aside {torn}`" in store.problems[0].reason
    assert str(torn) in caplog.text
    assert torn.exists()

    moved = store.set_aside(torn)
    assert moved == store.root / "set-aside" / torn.relative_to(store.folder)
    assert moved.exists()
    assert len(store.load()) == 1
    assert store.problems == []
    assert whole.exists()


def test_a_copied_record_is_not_counted_twice(store, make):
    path = store.write(make())
    path.with_name("seed9-0123456789abcdef.json").write_bytes(path.read_bytes())
    assert len(store.load()) == 1
    assert "lies in the wrong place" in store.problems[0].reason


def test_swapped_records_are_not_taken_for_each_other(store, make):
    first, second = (make(seed=seed, cell_key=f"{seed:016x}") for seed in (1, 2))
    one, other = store.write(first), store.write(second)
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    for look in (lambda: store.find_all([first.address]), lambda: store.write(first)):
        with pytest.raises(RecordError, match=f"{one}: lies in the wrong place: its content belongs at {other}"):
            look()


def test_half_written_files_are_ignored(store, make):
    path = store.write(make())
    path.with_name(f".{path.name}.x1.json").write_text("{")
    assert len(store.load()) == 1
    assert store.problems == []


def test_records_are_found_by_address(store, make):
    """The same cell on a set with two names has two records; a key alone finds neither."""
    wanted = [make(cell_key="a" * 16), make(cell_key="b" * 16), make(cell_key="b" * 16, ood="kmnist")]
    for record in (*wanted, make()):
        store.write(record)
    addresses = [record.address for record in wanted]
    assert len(set(addresses)) == 3
    assert store.find_all([*addresses, "b" * 16]) == dict(zip(addresses, wanted, strict=True))
    path = store.path(wanted[1])
    assert store.find_paths(addresses[1:2]) == {addresses[1]: path}
    path.write_text("{")
    with pytest.raises(RecordError, match="not whole JSON"):
        store.find_all(addresses[1:2])
    store.write(make(cell_key="b" * 16, seed=7))
    with pytest.raises(RecordError, match="more than one record"):
        store.find_all(addresses[1:2])


def test_set_aside_takes_only_records(store, make, tmp_path):
    outside = tmp_path / "other.json"
    outside.write_text("{}")
    with pytest.raises(RecordError, match="not below"):
        store.set_aside(outside)
    with pytest.raises(RecordError, match="no such file"):
        store.set_aside(store.folder / "missing.json")
    path = store.write(make())
    store.set_aside(path)
    store.write(make())
    with pytest.raises(RecordError, match="exists"):
        store.set_aside(path)


def test_without_hard_links_nothing_is_overwritten_either(store, make, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    path = store.write(make())
    assert store.write(make()) == path
    with pytest.raises(RecordError, match="differs in n_id"):
        store.write(make(n_id=5))
    assert store.load() == [make()]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, make):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match="cannot write a record at"):
        RecordStore(tmp_path / "results").write(make())


def test_a_number_that_was_changed_is_noticed(store, make):
    path = store.write(make())
    text = path.read_text()
    assert '"value": 87.5' in text
    path.write_text(text.replace('"value": 87.5', '"value": 97.5'))
    assert store.load() == []
    assert "was changed after it was written" in store.problems[0].reason
    with pytest.raises(RecordError, match="does not match its seal"):
        store.find_all([make().address])
