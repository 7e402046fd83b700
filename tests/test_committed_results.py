"""The committed tables are what the committed records give."""

from pathlib import Path

from ood_bench.report import site
from ood_bench.report.tables import check
from ood_bench.results import RecordStore

ROOT = Path(__file__).parents[1]


def test_the_committed_tables_come_from_the_committed_records():
    assert check(ROOT / "results", ROOT / "README.md") == []


def test_the_committed_page_and_plots_come_from_the_committed_records():
    assert site.check(ROOT / "results") == []


def test_every_committed_record_is_valid():
    store = RecordStore(ROOT / "results")
    records = store.load()
    assert store.problems == []
    assert len(records) > 0


def test_the_fssd_block_is_complete_with_three_seeds():
    records = RecordStore(ROOT / "results").load()
    block = {(one.method, one.seed) for one in records if one.protocol == "fssd" and one.ood == "mnist"}
    methods = ("msp", "odin", "mahalanobis", "deep_ensemble", "mc_dropout", "outlier_exposure", "fssd")
    assert {(method, seed) for method in methods for seed in (0, 1, 2)} <= block
