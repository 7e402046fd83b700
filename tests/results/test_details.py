import json

import pytest

from ood_bench.errors import RecordError
from ood_bench.results.details import Details, DetailStore, Histogram, Line

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def details():
    line = Line(x=[0.0, 1.0], y=[0.5, 1.0])
    bins = Histogram(low=0.0, high=1.0, id=[1, 2], ood=[3, 0])
    return Details(cell_key=KEY, histogram=bins, roc=line, pr_in=line, pr_out=line)


@pytest.fixture
def store(tmp_path):
    return DetailStore(tmp_path)


def test_what_is_written_is_read_and_may_be_replaced(store, details):
    assert store.read(KEY) is None
    path = store.write(details)
    assert path == store.folder / f"{KEY}.json"
    assert store.read(KEY) == details
    changed = details.model_copy(update={"roc": details.pr_in.model_copy(update={"y": [0.0, 1.0]})})
    store.write(changed)
    assert store.read(KEY) == changed
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema"),
        ({"more": 1}, "more"),
        ({"roc": {"x": [0.0], "y": []}}, "equally many points"),
        ({"roc": {"x": [0.0], "y": [1.5]}}, "less than or equal to 1"),
        ({"histogram": {"low": 1.0, "high": 0.0, "id": [1], "ood": [1]}}, "low must be below high"),
        ({"cell_key": OTHER}, f"details of cell {OTHER}"),
    ],
)
def test_damage_is_refused_and_named(store, details, change, words):
    path = store.write(details)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(RecordError, match=words) as caught:
        store.read(KEY)
    assert "scoring.details=all" in str(caught.value)


def test_one_damaged_file_does_not_hide_the_others(store, details):
    store.write(details)
    store.path(OTHER).write_text("{")
    found, problems = store.load([KEY, OTHER, "0" * 16])
    assert found == {KEY: details}
    assert len(problems) == 1
    assert str(store.path(OTHER)) in problems[0]
