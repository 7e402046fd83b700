import re

import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report import own
from ood_bench.report.sections import sections
from ood_bench.report.tables import write

AUROC = {"msp": (80.0, 91.0), "odin": (85.0, 80.0), "fssd": (97.0, None)}


@pytest.fixture
def records(make):
    return [
        make(method, seed, value + seed, ood=ood, model="vgg", cell_key=f"{place:08x}{column:04x}{seed:04x}")
        for place, (method, values) in enumerate(AUROC.items())
        for column, (ood, value) in enumerate(zip(("kmnist", "uni_form"), values, strict=True))
        if value is not None
        for seed in range(2)
    ]


def test_latex_has_sets_beside_methods_with_the_best_in_bold(records, conf):
    (section,) = (one for one in sections(records, load_blocks(conf)) if one.kind == "other")
    text = own.tables(section)
    lines = [line.strip() for line in text.splitlines() if "&" in line]
    assert lines == [
        r"Method & kmnist & uni\_form & mean \\",
        r"fssd & $\mathbf{97.50} \pm 0.71$ & -- & -- \\",
        r"msp & $80.50 \pm 0.71$ & $\mathbf{91.50} \pm 0.71$ & $\mathbf{86.00}$ \\",
        r"odin & $85.50 \pm 0.71$ & $80.50 \pm 0.71$ & $83.00$ \\",
    ]
    assert len(re.findall(r"\\begin\{tabular\}\{lrrr\}", text)) == 1


def test_a_results_folder_gets_and_loses_the_files(records, fill, results, conf):
    fill(*records)
    write(results)
    name = "own-fashionmnist-vgg-fssd"
    paths = [results / f"latex/{name}.tex", results / f"plots/{name}-means.svg", results / f"plots/{name}-means.png"]
    assert all(path.is_file() for path in paths)
    for path in (results / "records").rglob("*.json"):
        path.unlink()
    write(results)
    assert not any(path.exists() for path in paths)
