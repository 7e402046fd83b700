import os
from dataclasses import replace
from types import SimpleNamespace

import ood_bench
from ood_bench.config import compose_settings
from ood_bench.results import record_store
from ood_bench.sweep import manifest
from ood_bench.sweep.plan import Recorded, exists, in_order, job_key, job_of, shared


def places(jobs, ordered):
    return [jobs.index(job) for job in ordered]


def test_a_job_knows_what_it_needs(job, toy):
    found = job("method=[msp,outlier_exposure]", "seed=[3,4]")
    assert [cell.title for cell in found.cells] == [
        f"{method} on uniform, seed {seed}" for seed in (3, 4) for method in ("msp", "outlier_exposure")
    ]
    assert found.done == frozenset()
    recipes = [(spec.recipe.name, spec.seed) for spec in found.classifiers]
    assert len(recipes) == 4  # for each seed the plain classifier, and the one that starts from it
    assert [seed for _, seed in recipes] == [3, 3, 4, 4]
    assert found.classifiers[1].initial is not None
    assert found.classifiers[1].initial.key == found.classifiers[0].key
    assert found.command.startswith("ood-bench experiment=quickstart ")
    assert "'method=[msp,outlier_exposure]'" in found.command


def test_planning_trains_nothing(job, store):
    job("method=msp")
    assert {path.name for path in store.iterdir()} == {"images"}


def test_cells_with_a_record_are_done(job, toy):
    ood_bench.run([*toy, "method=msp"])
    found = job("method=[msp,energy]")
    assert [cell.method for cell in found.missing] == ["energy"]
    assert found.untrained() == []
    assert len(found.classifiers) == 1
    assert in_order([job("method=msp"), found], 1) == [found]


def test_an_imported_classifier_is_not_trained(tmp_path):
    weights = tmp_path / "weights.pth"
    assert [exists(tmp_path, SimpleNamespace(checkpoint=one, title="x")) for one in (weights, None)] == [True, False]


def test_jobs_that_need_the_same_classifier_come_in_waves(job):
    jobs = [job(f"method={method}", f"seed={seed}") for seed in (0, 1) for method in ("msp", "energy", "odin")]
    assert places(jobs, in_order(jobs, 2)) == [0, 3, 1, 2, 4, 5]
    assert places(jobs, in_order(jobs, 1)) == [0, 1, 2, 3, 4, 5]
    counts = {spec.seed: count for spec, count in shared(jobs).values()}
    assert counts == {0: 3, 1: 3}


def test_each_store_has_the_plan_of_its_jobs_and_trains_for_itself(job, tmp_path):
    jobs = [job("method=msp", f"store.root={tmp_path / name}") for name in "ab"]
    assert [spec.seed for spec, _ in shared(jobs).values()] == [0, 0]
    assert places(jobs, in_order(jobs[::-1], 2)) == [1, 0]
    assert [path.parents[1] for path in manifest.save(jobs, jobs)] == [tmp_path / "a", tmp_path / "b"]
    for store, mine in zip("ab", jobs, strict=True):
        ((_, plan),) = manifest.load_all(tmp_path / store)
        assert [one.key for one in plan.jobs] == [mine.key]


def test_a_job_on_a_path_that_is_not_utf_8_can_be_planned(job, tmp_path):
    one = replace(job("method=msp"), store=tmp_path, words=(os.fsdecode(b"data.root=/data/\xe4"),))
    manifest.save([one], [one])
    ((_, plan),) = manifest.load_all(tmp_path)
    assert [(planned.key, planned.words) for planned in plan.jobs] == [(one.key, ["data.root=/data/\\xe4"])]


def test_the_most_to_train_comes_first(job):
    jobs = [job("method=msp", "seed=9"), job("method=deep_ensemble", "seed=0", "method.deep_ensemble.members=3")]
    assert places(jobs, in_order(jobs, 2)) == [1, 0]


def test_the_key_says_what_is_computed():
    assert job_key(["seed=1", "dry_run=true", "time_limit=9"]) == job_key(["seed=1"])
    assert job_key(["seed=1"]) != job_key(["seed=2"])


def test_each_results_folder_is_looked_at_once_for_all_jobs(job, toy, monkeypatch):
    ood_bench.run([*toy, "method=msp"])
    looked, look = [], record_store._record_files
    monkeypatch.setattr(record_store, "_record_files", lambda folder: looked.append(folder) or look(folder))
    recorded, words = Recorded(), ["method=[msp,energy]", "results.root=elsewhere"]
    found = [
        job_of([*toy, *one], compose_settings([*toy, *one]), (), recorded) for one in (words[:1], words[:1], words)
    ]
    assert [len(one.done) for one in found] == [1, 1, 0]
    assert [len(recorded.renewed(one).done) for one in found] == [1, 1, 0]
    assert [folder.parent.name for folder in looked] == ["results", "elsewhere"]
