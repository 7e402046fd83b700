import json

import pandas as pd
import pytest

from ood_bench.errors import ConfigError
from ood_bench.results import RecordStore
from ood_bench.store.export import export, table


@pytest.fixture
def records(full):
    return RecordStore(full.results).load()


def test_a_row_a_record(records):
    (row,) = table(records).to_dict("records")
    (record,) = records
    assert row["method"] == record.method
    assert row["metrics.auroc"] == record.metrics["auroc"].value
    assert row["exact.auroc.low"] == record.exact["auroc"].low
    assert json.loads(row["hyperparameters"]) == record.hyperparameters
    assert json.loads(row["deviations"]) == record.deviations
    assert row["data.ood.fingerprint"] == record.data.ood.fingerprint


def test_rows_do_not_depend_on_the_order_of_records(records):
    other = records[0].model_copy(update={"seed": 5, "cell_key": "f" * 16})
    assert table([*records, other]).equals(table([other, *records]))


@pytest.mark.parametrize("name", ["records.csv", "records.parquet"])
def test_both_formats_hold_the_same(records, tmp_path, name):
    path = tmp_path / name
    assert export(records, path) == 1
    read = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    expected = table(records)
    assert list(read.columns) == list(expected.columns)
    assert read.loc[0, "metrics.auroc"] == expected.loc[0, "metrics.auroc"]


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
