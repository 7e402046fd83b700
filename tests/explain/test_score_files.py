"""Ladders of scores that somebody else computed: two networks of a block, with the published number at the end."""

import json

import numpy as np
import pytest

from ood_bench.evidence.__main__ import main as scores
from ood_bench.explain.__main__ import main
from ood_bench.results import RecordStore

ROWS = 9000  # of OpenOOD's lists for CIFAR-10 and CIFAR-100


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    (folder / "store").mkdir()
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        sides = {"id_test/confidence": random.normal(2, 1, ROWS), "near/cifar100/confidence": random.normal(0, 1, ROWS)}
        np.savez(folder / f"s{seed}.npz", **sides)
        words = ["import", str(folder / f"s{seed}.npz"), "--method", "scale", "--id", "cifar10", "--seed", str(seed)]
        roots = ["--results", str(folder / "results"), "--store", str(folder / "store"), "--resamples", "0"]
        assert scores([*words, *roots]) == 0
    return folder


def _explained(folder, *words):
    file = folder / "out.json"
    roots = ["--results", str(folder / "results"), "--store", str(folder / "store"), "--no-charts"]
    assert main([*words, *roots, "--json", str(file)]) == 0
    return json.loads(file.read_text())


def test_what_is_left_to_the_published_number_is_named(imported):
    first, second = sorted(RecordStore(imported / "results").load(), key=lambda record: record.seed)
    found = _explained(imported, first.cell_key)
    ladder = found["ladder"]
    ours = [record.metrics["fpr95_ood_positive"].value for record in (first, second)]
    assert [rung["choice"]["name"] for rung in ladder["rungs"]] == ["positive class", "cut at the level", "networks"]
    assert ladder["start"] == first.exact["fpr95"].value
    assert ladder["rungs"][0]["value"] == first.exact["fpr95_ood_positive"].value
    assert ladder["rungs"][1]["value"] == ours[0]
    assert ladder["end"] == pytest.approx(np.mean(ours))
    left = found["unexplained"]
    assert (left["printed"], left["networks"]) == ("81.78", 2)
    assert left["difference"] == pytest.approx(81.78 - np.mean(ours))
    assert left["std"] == pytest.approx(np.std(ours, ddof=1))
    half = 12.7062 * left["std"] * np.sqrt(1 / 3 + 1 / 2) + 0.005  # Student's t of one degree of freedom, three runs
    assert left["chance"] == pytest.approx(half, rel=1e-4)
    assert found["missing"] == []


def test_a_block_is_one_line_a_cell(imported, capsys):
    (found,) = _explained(imported, "paper=openood_cifar10", "--metric", "auroc")
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("scale on cifar100")
    assert said[1].split()[-2:] == ["81.27", f"{found['unexplained']['difference']:+.2f}"]


def test_all_conventions_of_a_block(imported, capsys):
    found = _explained(imported, "paper=openood_cifar10", "--all", "--metric", "fpr95")
    assert len(found["values"]["scale"]) == len(found["conventions"]) > 50
    assert "cells of each method: 2" in capsys.readouterr().out
