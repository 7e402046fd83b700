"""Every kind of stored file, damaged in every way: it is noticed, and no record ever holds another number.

In the suite each kind is damaged once, in ways that take turns; ``make crash`` tries every way on every kind.
"""

import itertools
import logging
import os
import shutil

import numpy as np
import pytest

import ood_bench
from ood_bench.errors import OodBenchError
from ood_bench.results import RecordStore
from ood_bench.store import checking
from ood_bench.store.inventory import entries
from ood_bench.training.state import TrainingState

KINDS = {
    "weights": "store/classifiers/*seed*/weights.safetensors",
    "card": "store/classifiers/*seed*/classifier.json",
    "training": "store/classifiers/*.training/last.ckpt",
    "pixels": "store/images/digits-*/images.npy",
    "labels": "store/images/digits-*/labels.npy",
    "meta": "store/images/*/meta.json",
    "bank": "store/banks/*/output-flat.npy",
    "derived": "store/banks/derived/*.npy",
    "record": "results/records/**/*.json",
}


def flip(whole, draw):
    place = int(draw.integers(len(whole)))
    return whole[:place] + bytes([whole[place] ^ 1 << int(draw.integers(8))]) + whole[place + 1 :]


def zero(whole, draw):
    start, end = sorted(draw.choice(len(whole) + 1, 2, replace=False).tolist())
    return whole[:start] + bytes(end - start) + whole[end:]


DAMAGES = {
    "truncate": lambda whole, draw: whole[: int(draw.integers(1, len(whole)))],
    "empty": lambda whole, draw: b"",
    "zero": zero,
    "flip": flip,
    "swap": None,
}
FOR_REPORTS = {"details": "results/details/*.json", "scores": "store/scores/*.safetensors"}
"""What no run reads again; reports and paired tests do."""


def cases(kinds, *more):
    if os.environ.get("OOD_BENCH_CRASH") == "full":
        return [(kind, damage) for kind in kinds for damage in DAMAGES]
    return [*zip(kinds, itertools.cycle(DAMAGES)), *more]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("base")


class Stopped(BaseException):
    """Like a kill."""


@pytest.fixture
def words(quick, base, monkeypatch):
    """The run; at its first use it is made in ``base`` for two seeds, with trainings of two others that broke off."""
    words = [*quick, "method=[msp,odin,mahalanobis]", f"data.root={base}", "train.epochs=2"]
    if not (base / "results").exists():
        ood_bench.run([*words, "seed=[0,1]", *places(base)])
        save = TrainingState.save

        def stop(self, *given):
            save(self, *given)
            raise Stopped

        for seed in (2, 3):
            with monkeypatch.context() as patch:
                patch.setattr(TrainingState, "save", stop)
                with pytest.raises(Stopped):
                    ood_bench.run([*words, f"seed={seed}", *places(base)])
        shutil.copytree(base / "store", base / "whole/store")
        ood_bench.run([*words, "seed=[0,1,2,3]", *places(base / "whole")])
    return words


def places(root):
    return [f"store.root={root}/store", f"results.root={root}/results"]


def substances(root):
    return {record.address: record.substance() for record in RecordStore(root / "results").load()}


def damaged(base, target, pattern, case):
    """Copies all of ``base`` and damages one file of a kind; gives its path."""
    for name in ("store", "results"):
        shutil.copytree(base / name, target / name)
    files, draw = sorted(target.glob(pattern)), np.random.default_rng(list("-".join(case).encode()))
    victim, other = draw.permutation(files)[:2]
    whole = victim.read_bytes()
    changed = other.read_bytes() if case[1] == "swap" else DAMAGES[case[1]](whole, draw)
    assert changed != whole
    victim.write_bytes(changed)
    return victim


@pytest.mark.parametrize("case", cases(KINDS, ("record", "swap")), ids="-".join)
def test_damage_is_noticed_and_never_a_record_with_another_number(case, words, base, tmp_path, caplog):
    kind = case[0]
    damaged(base, tmp_path, KINDS[kind], case)
    if kind != "record":
        shutil.rmtree(tmp_path / "results")
    caplog.set_level(logging.WARNING)
    refused = ""
    try:
        ood_bench.run([*words, "seed=[0,1,2,3]", *places(tmp_path)])
    except OodBenchError as error:
        refused = str(error)
    words_of_notice = ("damaged", "not whole", "made again", "starts again")
    assert refused or any(one in caplog.text for one in words_of_notice), "nothing was noticed"
    found, expected = substances(tmp_path), substances(base / "whole")
    assert found.items() <= expected.items()
    if not refused:
        assert found == expected


@pytest.mark.parametrize("case", cases(FOR_REPORTS, ("scores", "swap")), ids="-".join)
def test_damage_that_no_run_meets_is_found_by_store_check(case, words, base, tmp_path):
    victim = damaged(base, tmp_path, FOR_REPORTS[case[0]], case)
    valid, _, problems, torn = checking.record_problems(tmp_path / "results")
    faults = {entry.path: checking.faults(entry, deep=False) for entry in entries(tmp_path / "store")}
    found = [path for path, said in faults.items() if said]
    assert (valid, problems) == (len(substances(base)), [])
    if case[0] == "details":
        assert found == []
        assert all(str(tmp_path / "results/details") in line for line in torn)
        assert len(torn) == 1
    else:
        assert found == [victim]
        assert torn == []
