import json

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.metrics import precision_recall_curve, roc_curve

from ood_bench.errors import RecordError
from ood_bench.metrics.curve import Curve
from ood_bench.results.details import (
    BINS,
    Details,
    DetailStore,
    Histogram,
    Line,
    details_of,
    histogram,
    precision_recall,
    roc,
)

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
    changed = replace(details, roc=replace(details.pr_in, y=[0.0, 1.0]))
    store.write(changed)
    assert store.read(KEY) == changed
    assert json.loads(path.read_text())["schema"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema"),
        ({"more": 1}, "more"),
        ({"roc": {"x": [0.0], "y": []}}, "equally many points"),
        ({"roc": {"x": [0.0], "y": [1.5]}}, "must be a number <= 1.0, is 1.5"),
        ({"histogram": {"low": 1.0, "high": 0.0, "id": [1], "ood": [1]}}, "low must be below high"),
        ({"cell_key": OTHER}, f"details of cell {OTHER}"),
    ],
)
def test_damage_is_refused_and_named(store, details, change, words):
    path = store.write(details)
    content = {key: value for key, value in json.loads(path.read_text()).items() if key != "seal"}
    path.write_text(json.dumps(content | change))
    with pytest.raises(RecordError, match=words) as caught:
        store.read(KEY)
    assert "scoring.details=all" in str(caught.value)


def test_one_changed_number_does_not_match_the_seal(store, details):
    path = store.write(details)
    path.write_text(path.read_text().replace('"id":[1,2]', '"id":[1,3]'))
    with pytest.raises(RecordError, match="does not match its seal"):
        store.read(KEY)


def test_one_damaged_file_does_not_hide_the_others(store, details):
    store.write(details)
    store.path(OTHER).write_text("{")
    found, problems = store.load([KEY, OTHER, "0" * 16])
    assert found == {KEY: details}
    assert len(problems) == 1
    assert str(store.path(OTHER)) in problems[0]


@pytest.fixture
def scores():
    random = np.random.default_rng(0)
    return random.normal(1, 1, 700).round(2), random.normal(0, 1, 500).round(2)


def truth(scores):
    return np.repeat([1, 0], [len(side) for side in scores]), np.concatenate(scores)


def test_every_roc_point_lies_on_the_exact_curve_and_few_are_left(scores):
    line = roc(Curve.of(*scores))
    fpr, tpr, _ = roc_curve(*truth(scores), drop_intermediate=False)
    exact = {(round(x, 4), round(y, 4)) for x, y in zip(fpr, tpr, strict=True)}
    assert set(zip(line.x, line.y, strict=True)) <= exact
    assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0, 0, 1, 1)
    assert 50 < len(line.x) <= 101
    assert np.trapezoid(line.y, line.x) == pytest.approx(np.trapezoid(tpr, fpr), abs=2e-3)


def test_precision_over_recall_is_scikit_learns(scores):
    for curve, labels, values in (
        (Curve.of(*scores), *truth(scores)),
        (Curve.of(*scores).flipped(), 1 - truth(scores)[0], -truth(scores)[1]),
    ):
        precision, recall, _ = precision_recall_curve(labels, values)
        exact = {(round(x, 4), round(y, 4)) for x, y in zip(recall, precision, strict=True)}
        line = precision_recall(curve)
        assert set(zip(line.x, line.y, strict=True)) <= exact
        assert line.x[-1] == 1


def test_each_curve_stands_in_its_place(scores):
    made, curve = details_of(KEY, scores, (None, None), (None, None)), Curve.of(*scores)
    assert (made.roc, made.pr_in, made.pr_out) == (
        roc(curve), precision_recall(curve), precision_recall(curve.flipped()),
    )  # fmt: skip


def test_the_histogram_counts_every_row_and_no_outlier_flattens_it(scores):
    found = histogram(np.append(scores[0], [np.inf, 1e9]), np.append(scores[1], -np.inf))
    assert len(found.id) == len(found.ood) == BINS
    assert (sum(found.id), sum(found.ood)) == (702, 501)
    assert -5 < found.low < found.high < 6
    assert found.id[-1] >= 2


def test_scores_from_end_to_end_of_float64_have_a_histogram():
    end = np.finfo(float).max
    found = histogram(np.array([end, 0.0]), np.array([-end, 1.0]))
    assert (found.id[-1], found.ood[0], sum(found.id), sum(found.ood)) == (1, 1, 2, 2)


@pytest.mark.parametrize("value", [0.0, 3.5, -1e300, np.inf])
def test_equal_scores_still_have_a_histogram(value):
    found = histogram(np.full(3, value), np.full(2, value))
    assert found.low < found.high
    assert (sum(found.id), sum(found.ood)) == (3, 2)
