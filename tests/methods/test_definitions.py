"""What other definitions of a method change: from records, to a file, to the page."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ood_bench.errors import ArtifactError
from ood_bench.methods import __main__ as command
from ood_bench.methods import catalogue
from ood_bench.methods.definitions import compared, definitions
from ood_bench.metrics.paired import delong_of_means
from ood_bench.papers import definitions as papers
from ood_bench.papers import published
from ood_bench.papers.definitions import Measured, as_csv, measured
from ood_bench.results import Record, RecordStore
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.utils.configs import options

SAMPLE = json.loads((Path(__file__).parents[1] / "results" / "sample_record.json").read_text())
GEN = Measured("gen", "pytorch_ood", "", "lenet", "fashionmnist", 2, 82.0, 79.5, -2.5)
VRA = Measured("vra", "openood", "low=10.0", "lenet", "mnist", 8, 70.0, 75.004, 5.004, 4.5, 5.5)
ROWS = np.arange(50)


def record(number, ood, auroc, definition="paper", **changes):
    """Of GEN, if not said otherwise."""
    fields = copy.deepcopy({name: value for name, value in SAMPLE.items() if name != "schema"})
    fields["data"]["ood"] |= {"name": ood, "variant": ""}
    settings = {"gamma": 0.1, "top": 100, **({"definition": definition} if definition else {})}
    fields |= {"method": "gen", "protocol": "plain", "ood": ood, "cell_key": f"{number:016x}", "seed": 0}
    fields |= {"exact": {"auroc": {"value": auroc}}, "hyperparameters": settings | changes.pop("settings", {})}
    return Record.of(fields | {"variant": "" if definition in ("", "paper") else f"as {definition}"} | changes)


PAIRS = [
    record(1, "mnist", 80.0),
    record(2, "svhn", 84.0),
    record(3, "mnist", 78.0, "pytorch_ood"),
    record(4, "svhn", 81.0, "pytorch_ood"),
]
OTHERS = [
    record(5, "isun", 20.0),  # the other definition has not scored it
    record(6, "mnist", 30.0, variant="tuned"),
    record(7, "mnist", 30.0, "pytorch_ood", variant="as pytorch_ood, with msp"),
    record(8, "mnist", 30.0, protocol="odin"),
    record(9, "mnist", 30.0, method="energy"),
    record(10, "mnist", 30.0, model="vgg11"),
]


def test_each_definition_is_compared_with_the_shipped_one_on_the_sets_that_both_scored():
    assert compared([*OTHERS, *PAIRS]) == [GEN]
    assert compared([*PAIRS[::-1], *OTHERS[::-1]]) == [GEN]
    assert compared(PAIRS[:2]) == compared(PAIRS[2:]) == []


def test_records_from_before_there_was_a_definition_count_as_the_shipped_one():
    assert compared([record(1, "mnist", 80.0, ""), record(2, "svhn", 84.0, ""), *PAIRS[2:]]) == [GEN]


def test_other_settings_are_named_and_the_nearest_shipped_ones_are_compared():
    far, near = ([record(n, "mnist", auroc, settings={"gamma": gamma})] for n, auroc, gamma in ((1, 50, 9), (2, 60, 2)))
    others = [
        record(n, "mnist", 65.0, "pytorch_ood", settings={"gamma": 2, "top": top}) for n, top in ((3, 100), (4, 5))
    ]
    found = compared([*far, *near, *others])
    assert [(one.settings, one.shipped, one.difference) for one in found] == [("", 60, 5), ("top=5", 60, 5)]
    assert found[1].words.startswith(
        "As pytorch_ood (`top=5`): 65.00 instead of 60.00 (+5.00 points), mean AUROC over 1"
    )


def test_intervals_come_from_scores_of_the_same_rows(tmp_path):
    store, random = ScoreStore(tmp_path), np.random.default_rng(0)
    pairs = [(random.normal(size=50) + 1, random.normal(size=50)) for _ in PAIRS]
    for one, pair in zip(PAIRS, pairs, strict=True):
        store.write(one.cell_key, Scores(*pair, ROWS, ROWS))
    (found,) = compared(PAIRS, store)
    test = delong_of_means(pairs[2:], pairs[:2])
    assert (found.low, found.high) == (test.low, test.high)
    assert replace(found, low=None, high=None) == GEN
    store.write(PAIRS[3].cell_key, Scores(*pairs[3], ROWS[::-1], ROWS))
    assert compared(PAIRS, store) == [GEN]
    store.path(PAIRS[3].cell_key).unlink()
    assert compared(PAIRS, store) == [GEN]


def test_the_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "definitions.csv"
    assert measured(path) == []
    path.write_text(as_csv([VRA, GEN]))
    assert measured(path) == [GEN, VRA]
    for text in (path.read_text().replace("82.0", "much"), path.read_text().replace("sets", "set")):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=r"no table of measured definitions .*python -m ood_bench\.methods"):
            measured(path)


def test_the_page_prints_them_by_size_and_each_with_its_method():
    page = catalogue.as_markdown(catalogue.catalogue(), [GEN, VRA])
    head, table = page.split("## All methods")[0].split("## Other definitions")
    assert "|" not in head
    rows = [line for line in table.splitlines() if line.startswith("| [")]
    assert rows == [
        "| [vra](#vra) | openood (`low=10.0`) | 70.00 | 75.00 | +5.00 [+4.50, +5.50] | lenet on mnist, 8 OOD sets |",
        "| [gen](#gen) | pytorch_ood | 82.00 | 79.50 | −2.50 | lenet on fashionmnist, 2 OOD sets |",
    ]
    section = page.split("\n## gen\n")[1].split("\n## ")[0]
    words = "As pytorch_ood: 79.50 instead of 82.00 (−2.50 points), mean AUROC over 2 OOD sets, lenet on fashionmnist"
    assert f"- {words}\n" in section
    assert page.count(words) == 1
    assert "## Other definitions" not in catalogue.as_markdown(catalogue.catalogue())


def test_the_command_writes_the_file_from_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(papers, "FILE", tmp_path / "definitions.csv")
    monkeypatch.setattr(command, "write", lambda: 0)
    store = RecordStore(tmp_path / "results")
    store.write(PAIRS[0])
    assert command.main(["--measured", str(store.root)]) == 2
    assert "experiment=definitions" in capsys.readouterr().err
    for one in PAIRS[1:]:
        store.write(one)
    assert command.main(["--measured", str(store.root)]) == 0
    assert measured(papers.FILE) == [GEN]


def test_the_committed_file_is_of_methods_that_have_these_definitions():
    for one in measured():
        assert one.definition in definitions(one.method)[1:]
    assert "definitions" not in published.available()


def test_the_shipped_definition_comes_first():
    assert definitions("gen") == ("paper", "pytorch_ood")
    assert definitions("msp") == ()
    assert {"gen", "vra"} <= {name for name in options("method") if definitions(name)}
