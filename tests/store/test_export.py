import pandas as pd
import pytest
from msgspec.structs import replace

from ood_bench.errors import ConfigError
from ood_bench.results import RecordStore, frame
from ood_bench.results.frame import export
from ood_bench.store.__main__ import main


@pytest.fixture
def records(full):
    return RecordStore(full.results).load()


def test_files_do_not_depend_on_the_order_of_records(records, tmp_path):
    other = replace(records[0], seed=5, cell_key="0" * 16)
    paths = tmp_path / "one.csv", tmp_path / "other.csv"
    assert [export([*records, other], paths[0]), export([other, *records], paths[1])] == [2, 2]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert pd.read_csv(paths[0])["seed"].tolist() == [0, 5]


@pytest.mark.parametrize("name", ["records.csv", "records.parquet"])
def test_both_formats_hold_the_same(records, full, tmp_path, name):
    path = tmp_path / name
    assert main(["export", "--results", str(full.results), str(path)]) == 0
    read = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    expected = frame(records)
    assert list(read.columns) == list(expected.columns)
    assert read.loc[0, "auroc"] == expected.loc[0, "auroc"]


def test_another_ending_is_refused(records, tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.parquet"):
        export(records, tmp_path / "records.xlsx")


def test_without_pyarrow_the_extra_is_named(records, tmp_path, monkeypatch):
    def refuse(*_args, **_options):
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", refuse)
    with pytest.raises(ConfigError, match=r"Parquet needs pyarrow: pip install '\.\[parquet\]'"):
        export(records, tmp_path / "records.parquet")
    assert list(tmp_path.glob("*.parquet")) == []
