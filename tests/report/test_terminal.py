import io

import pytest
from rich.console import Console

from ood_bench.report.terminal import show

pytestmark = pytest.mark.usefixtures("conf")


def shown(records, width=120, **options):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(records, console, **options)
    return [" ".join(line.split()) for line in console.file.getvalue().split("\n")]


def test_the_papers_numbers_stand_below_ours(make):
    lines = shown([make("odin", seed=seed, auroc=88.0 + seed, fpr80=20.5) for seed in range(2)])
    assert " ".join(lines).startswith("fashionmnist, lenet, protocol fssd, percent")
    assert "OOD set, method seed AUROC FPR80" in lines
    start = lines.index("mnist")
    assert lines[start + 1] == "odin 0 88.00 20.50"
    assert lines[start + 2 : start + 5] == [
        "odin 1 89.00 20.50", "mean ± std of 2 88.50 ± 0.71 20.50 ± 0.00", "paper 87.9 20.0",
    ]  # fmt: skip


def test_a_joint_table_has_the_means_alone(make):
    lines = shown([make("odin", seed=seed, auroc=88.0 + seed) for seed in range(2)] + [make("msp")], every_seed=False)
    start = lines.index("mnist")
    assert [line for line in lines[start + 1 :] if "paper" not in line and line] == [
        "msp 0 77.00 42.00", "odin mean of 2 88.50 ± 0.71 42.00 ± 0.00",
    ]  # fmt: skip


def test_the_seeds_of_a_method_stand_together(make):
    records = [make(method, seed=seed) for seed in (1, 0) for method in ("odin", "msp")]
    lines = shown(records)
    start = lines.index("mnist") + 1
    assert [line.split()[:2] for line in lines[start : start + 8]] == [
        ["msp", "0"], ["msp", "1"], ["mean", "±"], ["paper", "77.3"],
        ["odin", "0"], ["odin", "1"], ["mean", "±"], ["paper", "87.9"],
    ]  # fmt: skip


def test_one_seed_stands_in_the_title_and_every_set_has_its_rows(make):
    records = [make("energy", ood="kmnist", variant="[x]"), make("energy", metrics={})]
    lines = shown(records)
    assert " ".join(lines).startswith("fashionmnist, lenet, protocol fssd, seed 0, percent")
    assert "OOD set, method AUROC FPR80" in lines
    assert lines[lines.index("kmnist") + 1] == "energy ([x]) 77.00 42.00"
    assert lines[lines.index("mnist") + 1] == "energy – –"


def test_records_of_no_block_show_the_main_metrics(make):
    exact = {name: {"value": 50.0} for name in ("auroc", "aupr_in", "aupr_out", "fpr95", "detection_error")}
    lines = shown([make("msp", protocol="plain", metrics=exact)])
    assert "OOD set, method AUROC AUPR-In AUPR-Out FPR95" in lines
    assert "msp 50.00 50.00 50.00 50.00" in lines


def test_models_have_tables_of_their_own_and_nothing_shows_nothing(make):
    lines = shown([make(model="vgg"), make()])
    assert len([line for line in lines if "percent" in line]) == 2
    assert shown([]) == [""]


def test_numbers_are_not_cut_in_a_narrow_terminal(make):
    metrics = {"auroc": {"value": 77.0, "low": 76.5, "high": 77.2}, "fpr80": {"value": 42.0}}
    lines = shown([make("mc_dropout", variant="train mode", ood="emnist_letters", metrics=metrics)], width=50)
    assert any("77.00 [76.50, 77.20] 42.00" in line for line in lines)
    assert not any("…" in line for line in lines)
