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
EVERY = [(kind, damage) for kind in KINDS for damage in DAMAGES]
CASES = (
    EVERY
    if os.environ.get("OOD_BENCH_CRASH") == "full"
    else [*zip(KINDS, itertools.cycle(DAMAGES)), ("record", "swap")]
)


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


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_damage_is_noticed_and_never_a_record_with_another_number(case, words, base, tmp_path, caplog):
    kind, damage = case
    for name in ("store", "results"):
        shutil.copytree(base / name, tmp_path / name)
    files, draw = sorted(tmp_path.glob(KINDS[kind])), np.random.default_rng(list(f"{kind} {damage}".encode()))
    victim, other = draw.permutation(files)[:2]
    whole = victim.read_bytes()
    changed = other.read_bytes() if damage == "swap" else DAMAGES[damage](whole, draw)
    assert changed != whole
    victim.write_bytes(changed)
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
