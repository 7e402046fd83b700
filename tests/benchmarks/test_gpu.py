import csv
import json
from argparse import Namespace

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import Bench, Row, main
from benchmarks.gpu_work import forward_flops, fresh_classifier, logit_difference, synthetic

TINY = ["--device", "cpu", "--networks", "lenet", "--images", "16", "--batch", "8", "--scored", "8", "--rounds", "1"]


def test_rows_of_training_and_scoring(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "_CONSTANT", 1e6)  # compiling takes a minute on a CPU
    assert main([*TINY, "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    scored, trained, compiled = rows[:3], rows[3:6], rows[6:]
    assert [(row["mode"], row["precision"]) for row in trained] == [
        ("eager", "bfloat16"),
        ("eager", "float32"),
        ("CUDA graphs", "bfloat16"),
    ]
    assert [row["mode"] for row in scored] == ["bare pass", "engine", "odin"]
    assert [row["mode"] for row in compiled] == ["compiled", "compiled+graphs"]
    for row in (*trained, *scored):
        assert row["images_per_second"] > 0
        assert row["ratio"] > 0
        assert row["share_of_peak"] is row["memory"] is None
        assert row["note"] == ""
    assert scored[0]["difference"] == 0
    for row in compiled:
        assert row["note"].startswith("skipped: needs about")
        assert row["images_per_second"] is None
    with (tmp_path / "gpu.csv").open(newline="") as file:
        assert [row["mode"] for row in csv.DictReader(file)] == [row["mode"] for row in rows]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-8:]] == ["lenet"] * 8


def test_a_network_without_time_left_is_named(tmp_path):
    """The first of two networks has used up everything before it begins."""
    tiny = [word.replace("lenet", "lenet,densenet_bc_100_12") for word in TINY]
    assert main([*tiny, "--seconds", "0", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row["network"] for row in rows].count("densenet_bc_100_12") == len(rows) / 2 == 8
    notes = [row["note"] for row in rows]
    assert notes[:12] == ["skipped: its share of the time, 0 s, is used up"] * 12
    assert all(note.startswith("skipped: needs about") for note in notes[12:])


def test_what_fails_leaves_its_reason_in_one_line(tmp_path):
    def refuse():
        raise RuntimeError("no compiler\nat all")

    bench = Bench(Namespace(out=tmp_path, images=1, batch=1, rounds=1, scored=1), torch.device("cpu"))
    row = bench.add(Row("lenet", "train", "eager", "bfloat16"), refuse)
    assert (row.note, row.images_per_second) == ("failed: RuntimeError: no compiler", None)
    assert bench.table().splitlines()[-1].endswith(row.note)


def test_difference_of_logits_is_by_the_largest_of_the_first():
    one, two = fresh_classifier("lenet"), fresh_classifier("lenet")
    images = synthetic((1, 28, 28), 4)
    last = [module for module in two.network.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        largest = float(one.network(one.normalise(torch.from_numpy(images.images))).abs().max())
        last.bias[3] += 0.5
    two.card["weights_sha256"] = "another"
    assert logit_difference(one, one, images) == 0
    assert logit_difference(one, two, images) == pytest.approx(0.5 / largest, rel=1e-4)


def test_operations_of_a_forward_pass_by_hand():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(288, 5))
    assert forward_flops(network, (3, 6, 6)) == 2 * 3 * 8 * 9 * 36 + 2 * 288 * 5


def test_a_device_that_is_not_there_is_named(tmp_path, capsys):
    assert main([*TINY, "--device", "cuda:99", "--out", str(tmp_path)]) == 1
    assert "cuda:99" in capsys.readouterr().err
