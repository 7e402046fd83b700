import os

import pytest

from ood_bench.errors import RecordError
from ood_bench.store import garbage
from ood_bench.store.garbage import ASKABLE
from ood_bench.store.inventory import entries, leftovers
from ood_bench.store.speeds import trained_cards
from ood_bench.utils.locks import locked


def sort(shelves, **options):
    records = garbage.records_of([shelves.results], without_records=False)
    return garbage.sort([*entries(shelves.store), *leftovers(shelves.results)], records, **options)


def paths(found):
    return {entry.path for entry in found}


def test_what_a_record_refers_to_stays(full):
    found = sort(full)
    assert paths(found.referred) == set(full.kept.values())
    assert paths(found.goes) == set(full.loose.values())
    assert found.young == []


ODD = ["[]", "{", "[" * 100_000, '{"key": "other"}', '{"key": "other", "spec": [], "history": [1]}',
       '{"key": ["other"], "spec": {}, "history": [1], "data": {"n": 1}}']  # fmt: skip


@pytest.mark.parametrize("card", ODD)
def test_an_odd_card_hides_no_other(full, card):
    (full.loose["classifier"] / "classifier.json").write_text(card)
    full.age()
    found = sort(full)
    assert full.kept["tuned"] in paths(found.referred)
    assert full.loose["classifier"] in paths(found.goes)
    assert trained_cards(full.store) == []


def test_the_outliers_of_a_record_stay(shelves):
    scored, outliers, other = (shelves.images(name, value) for value, name in enumerate(("mnist", "letters", "kmnist")))
    shelves.record("tuned", scored, outliers)
    shelves.age()
    found = sort(shelves)
    assert (paths(found.referred), paths(found.goes)) == ({scored, outliers}, {other})


def test_sorting_deletes_nothing_and_deleting_only_what_goes(full):
    found = sort(full)
    assert all(path.exists() for path in (*full.kept.values(), *full.loose.values()))
    assert garbage.delete(found.goes) == sum(entry.size for entry in found.goes) > 0
    assert all(path.exists() for path in full.kept.values())
    assert not any(path.exists() for path in full.loose.values())
    assert not [path for path in full.store.rglob(".*") if path.exists()]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("banks", ["bank"]),
        ("derived", ["derived"]),
        ("scores", ["scores"]),
        ("images", ["images"]),
        ("classifiers", ["base", "tuned"]),
    ],
)
def test_referred_artifacts_go_when_their_kind_is_named(full, kind, names):
    assert kind in ASKABLE
    goes = paths(sort(full, also=[kind]).goes)
    assert goes - set(full.loose.values()) == {full.kept[name] for name in names}


def test_what_is_young_stays(full):
    full.age(days=0.5)
    found = sort(full)
    assert found.goes == []
    assert paths(found.young) == set(full.loose.values())
    assert paths(sort(full, older=3600.0).goes) == set(full.loose.values())


def test_a_folder_is_as_young_as_the_youngest_thing_in_it(full):
    os.utime(full.loose["classifier"])  # as a file that is added does
    assert full.loose["classifier"] in paths(sort(full).young)


def test_what_is_in_use_stays(full):
    with locked(full.loose["classifier"]):
        held = sort(full, older=-1.0)
    assert full.loose["classifier"] in paths(held.young)
    assert full.loose["classifier"] in paths(sort(full, older=-1.0).goes)


def test_a_training_that_goes_on_stays(full):
    lock = full.loose["training"].with_suffix(".lease")
    with locked(lock.with_suffix("")):
        young = paths(sort(full, older=-1.0).young)
    assert {full.loose["training"], lock} <= young


@pytest.mark.parametrize(
    ("entry", "lock"),
    [
        ("derived", "banks/derived/odin-0123"),
        ("part", "banks/derived/odin-0123"),
        ("bank", "{bank}/output-flat"),
        ("shards", "{bank}"),
        ("shards", "{bank}.shards/0-4-by-4"),
    ],
)
def test_arrays_that_a_pass_makes_stay(full, entry, lock):
    path = (full.loose | full.kept)[entry]
    options = {"also": ["banks", "derived"], "older": -1.0}
    with locked(full.store / lock.format(bank=full.kept["bank"].relative_to(full.store))):
        assert path in paths(sort(full, **options).young)
    assert path in paths(sort(full, **options).goes)


def test_a_job_that_waits_in_slurms_queue_keeps_its_folder(full):
    job = full.leftover("slurm/77_1/77_1_submitted.pkl")
    full.leftover("slurm/77_1/77_10_0_result.pkl")
    full.age()
    assert job.parent in paths(sort(full).young)
    full.leftover("slurm/77_1/77_1_0_result.pkl")
    full.age()
    assert job.parent in paths(sort(full).goes)


def test_a_sweep_that_runs_keeps_its_plan_every_classifier_and_shards(full):
    plan = full.leftover("sweeps/0123.json")
    full.age()
    mine = {plan, full.loose["classifier"], full.loose["shards"]}
    assert mine <= paths(sort(full).goes)
    os.utime(full.loose["heartbeat"] / "1.json")
    assert mine <= paths(sort(full).young)
    assert full.loose["bank"] in paths(sort(full).goes)


def test_without_records_nothing_is_decided(full, tmp_path):
    with pytest.raises(RecordError, match="has no records, so that everything would go"):
        garbage.records_of([full.results, tmp_path / "elsewhere"], without_records=False)
    assert len(garbage.records_of([full.results, tmp_path / "elsewhere"], without_records=True)) == 1


def test_a_damaged_record_may_refer_to_anything(full):
    (path,) = full.results.rglob("*.json")
    path.write_text("{")
    with pytest.raises(RecordError, match=r"may refer to anything: run `ood-bench store check .*--set-aside`"):
        garbage.records_of([full.results], without_records=True)


def test_half_written_files_below_results_are_counted_and_go(full):
    half = [full.results / "records/digits/.seed0-0123.json.ab12", full.results / "details/.0123.json.cd34"]
    for path in half:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    assert [entry.path for entry in leftovers(full.results)] == half
    assert not set(half) & paths(sort(full, older=3600.0).goes)
    assert set(half) <= paths(sort(full, older=-1.0).goes)
