"""The committed tables are what the committed records give."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

import ood_bench
from ood_bench.papers.block import load_blocks
from ood_bench.report.rows import gather
from ood_bench.report.sections import sections
from ood_bench.report.tables import check
from ood_bench.results import RecordStore

ROOT = Path(__file__).parents[1]


def test_the_committed_files_come_from_the_committed_records():
    assert check(ROOT / "results", ROOT / "README.md") == []


def test_every_committed_record_is_valid():
    store = RecordStore(ROOT / "results")
    records = store.load()
    assert store.problems == []
    assert len(records) > 0


def test_scoring_again_meets_the_committed_records(real, real_data, tmp_path):
    """Published weights on real images, as results/README.md says; another CPU's rounding may move a few ranks."""
    table = ood_bench.run(
        [
            "model=resnet20",
            f"checkpoint={real('checkpoints/resnet20_cifar10_akamaster.th')}",
            "id=cifar10_png_subset",
            "id.normalisation={mean:[0.485,0.456,0.406],std:[0.229,0.224,0.225]}",
            "ood=[svhn_train_subset]",
            "method=[msp,energy]",
            f"data.root={real_data('cifar10-png-subset', 'svhn-png-subset')}",
            f"store.root={tmp_path / 'store'}",
            f"results.root={tmp_path / 'results'}",
            "device=cpu",
        ]
    )
    committed = {record.cell_key: record for record in RecordStore(ROOT / "results").load()}
    assert set(table["cell_key"]) <= committed.keys()
    assert len(table) == 2
    for key, auroc in zip(table["cell_key"], table["auroc"], strict=True):
        assert auroc == pytest.approx(committed[key].metrics["auroc"].value, abs=0.05)


def test_the_fssd_block_is_complete_with_five_seeds():
    records = RecordStore(ROOT / "results").load()
    block = {(one.method, one.seed) for one in records if one.protocol == "fssd" and one.ood == "mnist"}
    methods = ("msp", "odin", "mahalanobis", "deep_ensemble", "mc_dropout", "outlier_exposure", "fssd")
    assert {(method, seed) for method in methods for seed in range(5)} <= block


def test_the_page_counts_the_verdicts_of_the_records():
    """The page's cells of papers' tables that have a published number, against the rule on the records."""
    page = (ROOT / "results/index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="overview">(.*?)</script>', page)[1])
    cells = [cell for row in data["rows"] for cell in row["cells"].values() if "p" in cell]
    every = [one for one in sections(RecordStore(ROOT / "results").load(), load_blocks()) if one.kind == "paper"]
    assert {one.block.name: one.verdicts for one in every if one.ran} == {
        "fssd_fashionmnist": "9 reproduced, 12 undecided",
        "odin_densenet_cifar10": "20 not comparable, 50 not run",
        "odin_densenet_cifar100": "20 not comparable, 50 not run",
    }
    counts = Counter(data["verdicts"][cell["x"]] for cell in cells)
    assert counts == {"reproduced": 9, "undecided": 12, "not comparable": 40, "not run": 100}
    idle = sum(one["count"] for one in data["idle"])
    published = [(section, row, metric) for section in every for row in section.rows for metric in section.metrics]
    whole = sum(section.printed(row, metric) is not None for section, row, metric in published)
    assert data["counts"] == {**counts, "not reproduced": 0, "not run": 100 + idle}
    assert sum(data["counts"].values()) == whole > 3000


GODIN = {
    "linear, MSP": "msp",
    "inner product, max h": "godin_inner",
    "Euclidean, max h": "godin_euclidean",
    "cosine, max h": "godin_cosine",
}
ELOC = {"MSP of one plain classifier, 14 epochs": "msp", "ODIN on the same": "odin", "ELOC": "eloc"}


@pytest.mark.parametrize(
    ("heading", "protocol", "methods"), [("head", "godin_paper", GODIN), ("method", "plain", ELOC)]
)
def test_the_tables_that_the_reading_quotes_are_the_records(heading, protocol, methods):
    """The text beside the results is written by hand: its means and deviations must be those of the seeds."""
    lines = (ROOT / "results/README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(f"| {heading} | seeds | MNIST | KMNIST | EMNIST letters |")
    rows = gather(
        record
        for record in RecordStore(ROOT / "results").load()
        if (record.id, record.protocol, record.model) == ("fashionmnist", protocol, "lenet")
    )
    stats = {(row.method, row.ood): row.stat("auroc", "exact") for row in rows if not row.variant}
    for line, (title, method) in zip(lines[start + 2 :], methods.items(), strict=False):
        found = [stats[method, ood] for ood in ("mnist", "kmnist", "emnist_letters")]
        cells = " | ".join(f"{one.mean:.1f} ± {one.std:.1f}" for one in found)
        assert line == f"| {title} | {found[0].n} | {cells} |"
