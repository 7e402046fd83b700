import io

from rich.console import Console

from ood_bench.report.terminal import show


def shown(records, conf, width=120):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(records, console, conf)
    return [" ".join(line.split()) for line in console.file.getvalue().split("\n")]


def test_the_papers_numbers_stand_below_ours(make, conf):
    lines = shown([make("odin", seed=seed, auroc=88.0, fpr80=20.5) for seed in range(2)], conf)
    assert lines[0] == "fashionmnist, lenet, protocol fssd, percent"
    assert "Method OOD set seed AUROC FPR80" in lines
    start = lines.index("odin mnist 0 88.00 [87.5, 88.2] 20.50")
    assert lines[start + 1 : start + 3] == ["odin mnist 1 88.00 [87.5, 88.2] 20.50", "paper 87.9 20.0"]


def test_one_seed_stands_in_the_title_and_exact_metrics_are_marked(make, conf):
    exact = {"fpr95": {"value": 51.5}, "auroc": {"value": 70.0, "low": 60.0, "high": 80.0}}
    records = [make("energy", ood="kmnist", variant="[x]", exact=exact), make("energy", metrics={})]
    lines = shown(records, conf)
    assert lines[0] == "fashionmnist, lenet, protocol fssd, seed 0, percent"
    assert "Method OOD set AUROC FPR80 FPR95*" in lines
    assert "energy ([x]) kmnist 77.00 42.00 51.50" in lines  # its exact AUROC is another, so no interval
    assert "energy mnist – – –" in lines


def test_models_have_tables_of_their_own_and_nothing_shows_nothing(make, conf):
    lines = shown([make(model="vgg"), make()], conf)
    assert len([line for line in lines if "percent" in line]) == 2
    assert shown([], conf) == [""]


def test_numbers_are_not_cut_in_a_narrow_terminal(make, conf):
    lines = shown([make("mc_dropout", variant="train mode", ood="emnist_letters")], conf, width=50)
    assert any("77.00 [76.5, 77.2] 42.00" in line for line in lines)
    assert not any("…" in line for line in lines)
