import re

import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.latex import _ours, escaped, own_table, table
from ood_bench.report.rows import gather
from ood_bench.report.sections import sections


@pytest.fixture
def text(make, conf):
    records = [make("msp", seed, auroc, 42.0) for seed, auroc in enumerate((77.0, 77.4, 77.9))]
    records += [make("mc_dropout", auroc=76.5)]
    records += [make("odin", seed, auroc, 20.0) for seed, auroc in enumerate((89.4, 89.5, 89.6))]
    (section,) = sections(records, load_blocks(conf))
    return table(section)


def test_each_cell_by_hand(text):
    lines = [line.strip() for line in text.split("\n")]
    assert r"msp & 77.3 & $77.43 \pm 0.45$ & 42.5 & $42.00 \pm 0.00$ \\" in lines
    assert r"odin & 87.9 & $89.50 \pm 0.10^{\dagger}$ & 20.0 & $20.00 \pm 0.00$ \\" in lines
    assert r"mc\_dropout & 76.5 & $76.50^{?}$ & 42.3 & $42.00^{?}$ \\" in lines
    assert "undecided (margin 1 point, 2 for false positive rates). Verdicts: 3 reproduced, 2 undecided, " in text
    assert "1 not reproduced, 2 not run.}" in text


def test_it_is_balanced_and_its_lines_have_equally_many_cells(text):
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    assert text.count("{") == text.count("}")
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().split("\n")
    assert len(body) == 4
    assert {line.count("&") for line in body} == {4}
    assert r"\begin{tabular}{lrrrr}" in text


def test_several_ood_sets_have_a_column(make, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [mnist, kmnist]"))
    text = table(sections([make()], load_blocks(conf))[0])
    assert r"\begin{tabular}{llrrrr}" in text
    assert "msp & mnist & 77.3 &" in text
    assert "msp & kmnist & -- &" in text


def test_ours_has_the_decimals_of_the_paper(make):
    (row,) = gather([make(auroc=77.25)])
    assert _ours(row, "auroc", "77.312", "reproduced") == "$77.250$"


def test_special_letters_are_escaped():
    assert escaped("a_b & 50 % {x} \\ ~^#$") == (
        r"a\_b \& 50 \% \{x\} \textbackslash{} \textasciitilde{}\textasciicircum{}\#\$"
    )


def test_results_of_no_paper_have_a_column_a_metric_with_deviation_and_interval(make, conf):
    measured = [{"auroc": {"value": value, "low": value - 0.5, "high": value + 0.5}} for value in (77.0, 78.0)]
    records = [make("k_nn", seed, id="flowers", metrics=metrics) for seed, metrics in enumerate(measured)]
    (section,) = [one for one in sections(records, load_blocks(conf)) if one.kind == "other"]
    lines = [line.strip() for line in own_table(section).split("\n")]
    assert rf"\caption{{{escaped(section.title)}; in percent, " in "".join(lines)
    assert r"k\_nn & $77.50 \pm 0.71$ [77.00, 78.00] \\" in lines
