"""Notes of people on single cells: where they stand, and which are refused."""

import json
import re

import pytest

from ood_bench.errors import ConfigError
from ood_bench.papers.block import load_blocks
from ood_bench.report.notes import FILE, attached, load
from ood_bench.report.sections import sections
from ood_bench.report.tables import render

BLOCK = "fssd_fashionmnist"


def shown(results, make, fill, text):
    fill(make("msp"), make("odin"), make("energy"), make("msp", protocol="plain"))
    (results / FILE).write_text(text)
    return {name: content.decode(errors="replace") for name, content in render(results).files.items()}


@pytest.fixture(autouse=True)
def _shipped(conf):
    pass


def footnotes(page):
    return page.partition("## What was found out")[2].partition("\n## ")[0].strip()


def test_a_note_stands_under_the_table_and_in_the_drill_down(results, make, fill):
    note = f"- {{block: {BLOCK}, method: msp, metric: 'a*', text: 'Seeds differ, <b>much</b>.'}}\n"
    files = shown(results, make, fill, note)
    page = files[f"tables/{BLOCK}.md"]
    number = re.fullmatch(r"(\d+)\. AUROC: Seeds differ, &lt;b>much&lt;/b>\. \*\(msp\)\*", footnotes(page))[1]
    first = {name: next(line for line in page.splitlines() if line.startswith(f"| {name}")) for name in ("msp", "odin")}
    assert f"| msp [{number}] " in first["msp"]
    assert "[" not in first["odin"]
    pieces = re.findall(r'id="row-\d+">(.*?)</script>', files["index.html"])
    assert sorted(len(json.loads(piece).get("remarks", [])) for piece in pieces) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("names", "methods"),
    [
        (f"block: {BLOCK}", ["msp", "odin", "mc_dropout", "fssd", "energy"]),
        ("protocol: plain", ["msp"]),
        ("model: lenet, id: fashion*, method: msp", ["msp", "msp"]),
        ("ood: mnist, metric: fpr80", ["msp", "odin", "mc_dropout", "fssd", "energy"]),
    ],
)
def test_patterns_choose_rows(results, make, conf, names, methods):
    results.mkdir()
    (results / FILE).write_text(f"- {{{names}, text: A.}}\n")
    records = [
        make("msp"),
        make("odin"),
        make("energy"),
        make("msp", protocol="plain", metrics={"auroc": {"value": 70.0}}),
    ]
    found = attached(sections(records, load_blocks(conf)), load(results))
    assert [row.method for section in found for row in section.rows if row.remarks] == methods


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {block: fssd_fashionmnst, text: A.}", "note 1: no cell has block 'fssd_fashionmnst' (did you mean fssd_fa"),
        (
            "- {method: msp, text: A.}\n- {ood: mnits, text: A.}",
            "note 2: no cell has ood 'mnits' (did you mean mnist?)",
        ),
        (f"- {{block: {BLOCK}, protocol: plain, text: A.}}", f"no cell has block {BLOCK}, protocol plain together"),
        ("- {methd: msp, text: A.}", "methd"),
        ("- {method: msp}", "text"),
        ("method: msp", "list"),
        ("- {", "cannot be read"),
    ],
)
def test_a_note_on_no_cell_or_of_another_form_is_refused(results, make, fill, text, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as refused:
        shown(results, make, fill, text)
    assert FILE in str(refused.value)
    assert refused.value.hint


def test_without_the_file_there_are_none(tmp_path):
    assert load(tmp_path) == []
