"""The reproducibility report: every part of it from records, configs and notes; LaTeX that is well-formed."""

import json
import re

import pytest

from ood_bench.report import document
from ood_bench.report.__main__ import main
from ood_bench.report.mlrc import report
from ood_bench.report.notes import FILE

BLOCK = "fssd_fashionmnist"
TUNING = {
    "seen": {"fashionmnist": 500, "mnist": 500},
    "candidates": [{"epsilon": one} for one in (0.0, 0.1, 0.2)],
    "objective": "TNR",
    "curve": [[1.0], [2.0], [3.0]],
}


@pytest.fixture
def filled(make, fill, results, conf):
    """MSP reproduced, ODIN searched and not reproduced, the other two of the block not run."""
    fill(*(make("msp", seed, 77.3 + seed / 10, 42.5, tuning=None) for seed in range(3)))
    changes = {"tuning": TUNING, "deviations": ["Ours is 50 % & more."]}
    for seed, epsilon in enumerate((0.1, 0.2, 0.2)):
        chosen = {"hyperparameters": {"epsilon": epsilon}, "cell_key": f"{9:015}{seed}"}
        fill(make("odin", seed, 92.0, 20.0, **changes, **chosen))
    (results / FILE).write_text("- {method: odin, text: 'Found {out}: `a_b` costs 5 %.'}\n")
    return results


def lines_of(text, heading):
    part = text.partition(f"{heading}\n")[2].partition("\n#")[0]
    found = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[2:]]


def test_claims_verdicts_searches_and_what_was_left_out(filled):
    text = report(BLOCK, filled)[f"{BLOCK}.md"]
    claims = lines_of(text, "## Claims tested")
    assert ["msp", "mnist", "AUROC", "77.3", "77.40 ± 0.10 (3)", "+0.10", "reproduced"] in claims
    assert ["odin", "mnist", "AUROC", "87.9", "92.00 ± 0.00 (3)", "+4.10", "not reproduced"] in claims
    assert ["fssd", "mnist", "AUROC", "99.6", "–", "–", "not run"] in claims
    (differing,) = lines_of(text, "## Results that differ or are undecided")
    assert differing[:4] == ["odin", "mnist", "AUROC", "not reproduced"]
    assert differing[4].startswith("4.10 apart")
    assert lines_of(text, "## Searches") == [
        ["odin", "mnist", "epsilon", "0", "0.2", "3", "3", "1,000", "0.1 (1), 0.2 (2)", "2 of 3"]
    ]
    assert "- Found {out}: `a_b` costs 5 % (odin)." in text
    assert "- Ours is 50 % & more (odin)." in text
    assert "- not run: there is no record of this cell (mc_dropout on mnist; fssd on mnist)." in text


def test_data_networks_and_compute_come_from_the_records(filled, make):
    text, one = report(BLOCK, filled)[f"{BLOCK}.md"], make(seed=0)
    sets = {line[0]: line for line in lines_of(text, "### Data")}
    assert sets["ID test set"][1:] == [
        "fashionmnist",
        f"{one.data.id_test.n:,}",
        "MIT",
        one.data.id_test.fingerprint[:16],
    ]
    networks = lines_of(text, "### Networks and seeds")
    assert [(line[2], line[4]) for line in networks] == [("0", "92.00"), ("1", "93.00"), ("2", "94.00")]
    assert networks[0][6] == one.checkpoint.networks[0].weights_sha256[:16]
    (machine,) = lines_of(text, "### Compute")
    assert machine[0] == one.environment.device
    assert machine[4] == "6"


def well_formed(text):
    """Environments nest, braces pair, tables have equally many cells a line, and no letter that is special is bare."""
    open_ones = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            open_ones.append(name)
        else:
            assert open_ones.pop() == name
    assert not open_ones
    body = text.partition(r"\begin{document}")[2]
    bare = re.sub(r"\\[\\&%$#_{}]", "", body)
    depth = 0
    for letter in bare:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[%#_^~\"]", bare)
    for table in re.findall(r"\\begin\{longtable\}.*?\\end\{longtable\}", text, re.DOTALL):
        columns = re.sub(r">\{.*?arraybackslash\}p\{[^}]*\}", "p", table.splitlines()[0]).rpartition("{")[2].rstrip("}")
        cells = {len(re.sub(r"\\&", "", line).split("&")) for line in table.splitlines() if line.endswith("newline")}
        assert cells == {len(columns)}


def test_the_latex_is_well_formed_and_says_the_same(filled):
    files = report(BLOCK, filled)
    text = files[f"{BLOCK}.tex"]
    well_formed(text)
    assert r"Found \{out\}: \texttt{a\_b} costs 5 \% (odin)" in text
    assert r"Ours is 50 \% \& more (odin)" in text
    headings = re.findall(r"^##+ (.*)$", files[f"{BLOCK}.md"], re.MULTILINE)
    assert re.findall(r"\\(?:sub)?section\{(.*?)\}\n", text) == headings


def test_special_letters_of_any_text_are_escaped():
    cell = r"a_b & 50 % {x} \ ~^#$ ≥ 1 − ε"
    text = document.latex(
        cell, [document.Table(["x", cell], [["y", cell], ["[1]", "-2"]], [1]), document.Items([cell])]
    )
    well_formed(text)
    assert r"[1] & $-$2 \tabularnewline" in text
    assert r"$\geq$ 1 $-$ $\varepsilon$" in text


def test_a_ladder_of_a_cell_is_listed(filled):
    folder = filled / "explain"
    folder.mkdir()
    choice = {"name": "ranked numbers", "before": "float64", "after": "float32"}
    rungs = [{"choice": choice, "value": 91.5, "step": -0.5}, {"choice": choice, "value": 91.5, "step": 0.0}]
    one = {"title": "t", "metric": "auroc", "start": "plain", "end": "fssd", "ladder": {"rungs": rungs}}
    both = [one | {"cell_key": f"{9:015}0"}, one | {"cell_key": "f" * 16}]
    (folder / "one.json").write_text(json.dumps(both))
    text = report(BLOCK, filled)[f"{BLOCK}.md"]
    expected = [["ranked numbers", "float64", "float32", "91.50", "-0.50"]]
    assert lines_of(text, "### Ladders from our number to theirs") == expected
    (folder / "one.json").write_text("{")
    assert main(["--results", str(filled), "--form", "mlrc", f"paper={BLOCK}"]) == 2


def test_the_command_writes_both_and_refuses_what_it_cannot(filled, capsys):
    words = ["--results", str(filled), "--form", "mlrc"]
    assert main([*words, f"paper={BLOCK}"]) == 0
    assert {path.name for path in (filled / "mlrc").iterdir()} == {f"{BLOCK}.md", f"{BLOCK}.tex"}
    assert main([*words, "paper=fssd_fashionmnst"]) == 2
    assert f"did you mean {BLOCK}?" in capsys.readouterr().err
    for wrong in (words, [*words, "fssd"], ["--results", str(filled), f"paper={BLOCK}"]):
        with pytest.raises(SystemExit):
            main(wrong)
        assert "--form mlrc paper=NAME" in capsys.readouterr().err


def test_a_block_that_was_not_run_has_no_report(results, conf, capsys):
    results.mkdir()
    assert main(["--results", str(results), "--form", "mlrc", f"paper={BLOCK}"]) == 2
    assert f"run ood-bench paper={BLOCK}" in capsys.readouterr().err
