import json

import pytest

from ood_bench.errors import ArtifactError
from ood_bench.papers.block import load_blocks
from ood_bench.report.explanations import NONE, Explanations, read
from ood_bench.report.page import why
from ood_bench.report.page.content import overview
from ood_bench.report.page.detail import Beside, detail
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.sections import sections

KEY = f"{0:016x}"
RUNG = {"choice": {"name": "cut", "before": "one", "after": "other"}, "value": 51.005, "step": 1.005, "mean": None,
        "low": None, "high": None}  # fmt: skip
LADDER = {
    "cell_key": KEY, "title": "msp on mnist", "metric": "fpr95", "metric_there": "fpr95_ood_positive", "start": "plain",
    "end": "fssd", "ladder": {"start": 50.0, "end": 51.005, "rungs": [RUNG], "orders": 1, "drawn": False},
    "missing": [{"name": "rows", "why": "not kept;", "images": 1000, "seconds": 2.4}],
    "recorded": [{"title": "fssd", "value": 51.005, "agrees": True}],
    "unexplained": {"printed": "50.0", "difference": -1.005, "std": 0.2, "networks": 3, "chance": 0.614},
}  # fmt: skip
MULTIVERSE = {
    "of": "paper=fssd_fashionmnist", "title": "two methods", "cell_key": KEY, "metric": "auroc",
    "values": {"msp": [77.0, 78.0, None, 76.0], "odin": [77.5, 77.5, 77.5, 77.5], "fssd": [None, None, None, None]},
    "pairs": [{"first": "odin", "second": "msp", "ahead": 2, "behind": 1, "level": 0},
              {"first": "fssd", "second": "msp", "ahead": 0, "behind": 0, "level": 0}],
}  # fmt: skip


@pytest.fixture
def found(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([LADDER, {**LADDER, "metric": "auroc"}]))
    (tmp_path / "b.json").write_text(json.dumps(MULTIVERSE))
    return read(tmp_path)


def test_a_folder_gives_ladders_by_cell_and_multiverses(found, tmp_path):
    assert [one.metric for one in found.ladders[KEY]] == ["fpr95", "auroc"]
    assert [one.of for one in found.multiverses] == ["paper=fssd_fashionmnist"]
    assert read(tmp_path / "none") == NONE


def test_another_json_is_refused_by_name(tmp_path):
    (tmp_path / "c.json").write_text('{"cell_key": 1}')
    with pytest.raises(ArtifactError, match=r"c\.json: not a file of ood-bench explain"):
        read(tmp_path)


def test_a_ladder_is_printed_as_the_terminal_has_it(found):
    shown = why.ladder(found.ladders[KEY][0])
    assert shown["rungs"] == [["cut", "one", "other", "51.01", "+1.00", "", "", ""]]
    assert (shown["from"], shown["to"], shown["orders"]) == (["plain", "50.00"], ["fssd", "51.01"], "the only order")
    assert shown["left"] == {
        "printed": "50.0", "difference": "-1.00", "chance": "by chance up to 0.61: 3 networks, std 0.20"
    }  # fmt: skip
    assert shown["missing"] == ["rows: not kept; one pass over 1,000 images, about 2 s at this network's measured rate"]


def test_a_multiverse_has_ranges_and_pairs(found):
    shown = why.multiverse(found.multiverses[0])
    assert shown["methods"] == [
        ["msp", 3, "76.00", "77.00", "78.00"],
        ["odin", 4, "77.50", "77.50", "77.50"],
    ]
    assert shown["pairs"] == [2, 1]
    assert shown["changing"] == [["odin", "msp", 2, 1, 0]]
    assert shown["conventions"] == 4


def test_the_page_has_each_ladder_at_its_cell_and_the_others_alone(found, make, conf):
    every = sections([make()], load_blocks(conf))
    (row,) = every[0].ran
    assert [one["metric"] for one in detail(row, Shared(), Beside(explained=found), PageSettings())["ladders"]] == [
        "FPR95 (there fpr95 ood positive)",
        "AUROC (there fpr95 ood positive)",
    ]
    content = overview(every, Shared(), PageSettings(), found)
    assert content["ladders"] == []
    assert len(content["sections"][0]["multiverses"]) == 1
    lone = overview(every, Shared(), PageSettings(), Explanations({"f" * 16: found.ladders[KEY]}, []))
    assert [one["title"] for one in lone["ladders"]] == ["msp on mnist"] * 2
