"""Whatever text records hold, every file of a report stays what it is: no formula, no tag, no control character."""

import csv
import io
from xml.etree import ElementTree

import pytest

from ood_bench.report import tables

HOSTILE = "$\\foo$ <script>alert(1)</script>\x1b[31m\n# head | _x_ %\x00"
BLOCKS = {"norm_ratio": {"block1": 1.0}}


@pytest.fixture
def files(make, fill, results, monkeypatch):
    """Everything that is made of records of a paper's block and of two blocks of a network."""
    monkeypatch.chdir(results.parent)
    texts = {"deviations": [f"=1+1 {HOSTILE}"], "notes": [f"@SUM(A1) {HOSTILE}"], "variant": f"=cmd {HOSTILE}"}
    blocks = {"method": "feature_norm_blocks", "protocol": "plain", "hyperparameters": BLOCKS, "variant": HOSTILE}
    fill(make("odin", **texts, id_variant=HOSTILE, ood_variant=HOSTILE), make(**blocks, ood_variant=HOSTILE))
    return tables.render(results).files


def kind(files, suffix):
    return {name: content.decode() for name, content in files.items() if name.endswith(suffix)}


def test_plots_are_drawn_and_are_xml(files):
    drawn = kind(files, ".svg")
    assert len(drawn) == 3
    for text in drawn.values():
        ElementTree.fromstring(text)  # noqa: S314 - our own file


def test_markdown_has_no_tag_and_no_heading_of_a_record(files):
    for text in kind(files, ".md").values():
        assert "<" not in text
        assert "&lt;script>" in text
        assert "\x1b" not in text
        assert "\n# head" not in text


def test_latex_is_one_line_a_row(files):
    text = files["latex/fssd_fashionmnist.tex"].decode()
    (row,) = (line for line in text.splitlines() if "cmd" in line)
    assert r"=cmd \$\textbackslash{}foo\$ \textless{}script\textgreater{}" in row
    assert row.endswith(r"\\")


def test_csv_has_no_formula(files):
    for text in kind(files, ".csv").values():
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows
        cells = [cell for row in rows for cell in row.values() if cell.startswith(("=", "@", "+", "-"))]
        assert all(float(cell) < 0 for cell in cells)
    assert ",\"'=cmd $" in files["tables/fssd_fashionmnist.csv"].decode()


def test_the_page_keeps_records_inside_its_data(files):
    assert "<script>alert" not in files["index.html"].decode()
