import pandas as pd
import pytest
import torch

from ood_bench import papers
from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.papers import published

BAD_LINE = "p,t,m3,lenet,cifar10,,auroc,x,paper\n"


def with_runs(text, runs):
    """A table with the column ``runs``, unsaid for the first number."""
    header, first, second = text.splitlines()
    return f"{header},runs\n{first},\n{second},{runs}\n"


@pytest.mark.parametrize("name", papers.available())
def test_every_table_loads_with_the_right_types(name):
    rows = papers.load(name)
    assert tuple(rows.columns) == (*published.COLUMNS, "runs", "printed")
    assert rows["value"].dtype == "float64"
    assert rows["value"][rows["table"] != "selected_block"].between(0, 100).all()
    assert not rows.isna().any(axis=None)
    assert [float(text) for text in rows["printed"]] == rows["value"].tolist()


def test_the_seven_tables_are_there():
    assert papers.available() == ["eloc", "energy_ood", "featurenorm", "fssd", "godin", "odin", "openood_v15"]


def test_a_block_holds_the_numbers_as_printed():
    rows = papers.select("fssd", "readme_results", "lenet", "fashionmnist")
    assert len(rows) == 21
    odin = rows[(rows["method"] == "odin") & (rows["metric"] == "fpr80")]
    assert odin["printed"].tolist() == ["20.0"]
    assert set(rows["ood_dataset"]) == {"mnist"}


@pytest.mark.parametrize(
    ("theirs", "ours", "tap"),
    [("ResNet18", "resnet18", "block4.1"), ("WRN28", "wrn_28_10", "block3.3"), ("VGG11", "vgg11", "conv6")],
)
def test_the_selected_blocks_of_featurenorm_are_where_the_poster_has_them(theirs, ours, tap):
    rows = papers.select("featurenorm", "selected_block", theirs, "cifar10").set_index("metric")["value"]
    network = build_network(compose_settings([f"model={ours}"]).model, (3, 32, 32), 10)
    shapes = []
    network.get_submodule(network.taps[tap]).register_forward_hook(lambda *call: shapes.append(call[-1].shape[1:]))
    network.eval()(torch.zeros(1, 3, 32, 32))
    assert shapes == [torch.Size(int(rows[name]) for name in ("channels", "map_height", "map_width"))]
    assert len(network.block_taps) - 1 - network.block_taps.index(tap) == rows["blocks_after"]
    assert tap.endswith(str(rows["selected_block"])) or theirs == "VGG11"  # "Layer 7", which counts otherwise


def test_the_means_of_three_networks_say_so():
    """OpenOOD's numbers are such means where a deviation stands beside them; elsewhere nothing is said."""
    rows = papers.load("openood_v15")
    board = rows[(rows["table"] == "leaderboard_posthoc") & (rows["metric"] == "auroc")].set_index(["method", "model"])
    assert set(board.loc[("MSP", "ResNet18_32x32"), "runs"]) == {3}
    assert set(board.loc[("MSP", "ResNet50"), "runs"]) == {1}
    assert set(board.loc[("fDBD", "ResNet18_32x32"), "runs"]) == {1}  # "± 0.00": one network
    assert set(papers.load("odin")["runs"]) == {1}


def test_a_changed_copy_does_not_change_the_next_load():
    rows = papers.load("fssd")
    rows["value"] = 0.0
    assert papers.load("fssd")["value"].max() > 90


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"no published numbers named 'fsd'; there is eloc, .*fssd"):
        papers.load("fsd")
    with pytest.raises(ConfigError, match=r"no table 'table9' here; there is .*readme_results"):
        papers.select("fssd", "table9", "lenet", "fashionmnist")
    with pytest.raises(ConfigError, match=r"no model 'lenet5' here; there is lenet, resnet34"):
        papers.select("fssd", "readme_results", "lenet5", "fashionmnist")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("metric,", "score,"), "columns are"),
        (lambda text: text.replace("50.5", "about 50"), "value is not a plain decimal number in line 3"),
        (lambda text: text.replace("50.5", "nan"), "value is not a plain decimal number in line 3"),
        (lambda text: text.replace("cifar10", " cifar10"), "id_dataset is empty or has spaces around it in line 2, 3"),
        (lambda text: text.replace("m2", "m1"), "the same number is given twice, in lines 2, 3"),
        (lambda text: text.replace("lenet", ""), "model is empty"),
        (lambda text: text + 5 * BAD_LINE, "plain decimal number in line 4, 5, 6, 7, 8$"),
        (lambda text: text + 6 * BAD_LINE, "plain decimal number in line 4, 5, 6, 7, 8 and more$"),
        (lambda text: "a,b\n1\n1,2,3,4\n", "not a CSV file"),
        (lambda text: with_runs(text, "three"), "runs is not a whole number above 0 in line 3"),
        (lambda text: with_runs(text, "0"), "runs is not a whole number above 0 in line 3"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, monkeypatch, change, message):
    good = pd.DataFrame(
        [
            ["p", "t", "m1", "lenet", "cifar10", "", "auroc", "99.10", "paper"],
            ["p", "t", "m2", "lenet", "cifar10", "", "auroc", "50.5", "paper"],
        ],
        columns=list(published.COLUMNS),
    )
    monkeypatch.setattr(published, "_FOLDER", tmp_path)
    text = good.to_csv(index=False)
    (tmp_path / "good.csv").write_text(text)
    assert published.load("good")["printed"].tolist() == ["99.10", "50.5"]
    (tmp_path / "runs.csv").write_text(with_runs(text, "3"))
    assert published.load("runs")["runs"].tolist() == [1, 3]
    (tmp_path / "bad.csv").write_text(change(text))
    with pytest.raises(ConfigError, match=message):
        published.load("bad")
