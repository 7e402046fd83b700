import copy
import functools
import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ood_bench.errors import RecordError
from ood_bench.results.record import Record, is_sealed, sealed, unsealed, utc_now
from ood_bench.results.schema import Metric


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(RecordError) as caught:
        Record.from_json(json.dumps(content), "some/file.json")
    return str(caught.value)


def test_every_key_is_required_and_comes_back_equal(sample_text, fields):
    for key in fields:
        assert f"{key}: field required" in refusal({name: one for name, one in fields.items() if name != key})
    record = Record.from_json(sample_text, "sample")
    assert json.loads(record.to_json()) == fields
    assert Record.from_json(record.to_json(), "again") == record


def test_json_is_the_same_text_for_any_order_of_keys(sample_text, fields):
    backwards = json.dumps(dict(reversed(fields.items())))
    text = Record.from_json(backwards, "backwards").to_json()
    assert text == Record.from_json(sample_text, "sample").to_json()
    assert text.endswith("}\n")
    assert text.startswith('{\n  "cell_key"')


@settings(deadline=None, max_examples=50)
@given(
    value=st.floats(0, 100),
    chosen=st.dictionaries(st.text(), st.none() | st.integers() | st.text() | st.floats(allow_nan=False)),
)
def test_values_survive_the_round_trip_exactly(value, chosen, sample_text):
    finite = {key: one for key, one in chosen.items() if one not in (float("inf"), float("-inf"))}
    content = json.loads(sample_text) | {"hyperparameters": finite, "metrics": {"auroc": {"value": value}}}
    record = Record.from_json(json.dumps(content), "drawn")
    again = Record.from_json(record.to_json(), "again")
    assert again.metrics["auroc"].value == value
    assert again.hyperparameters == finite


def test_of_takes_parts_and_numpy_floats(make):
    record = make(metrics={"auroc": Metric(value=np.float64(1) / 3, low=0, high=1)})
    assert record.metrics["auroc"].high == 1.0
    assert Record.from_json(record.to_json(), "again") == record


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hyperparameters": {"a": [np.int64(1)]}}, "hyperparameters.a: int64 has no place in JSON"),
        ({"hyperparameters": {"a": {1: "b"}}}, "hyperparameters.a: a key must be a text, is 1"),
        ({"hyperparameters": {"a": {1, 2}}}, "hyperparameters.a: set has no place in JSON"),
        ({"metrics": {"auroc": Metric(float("nan"))}}, "metrics.auroc.value: must be a finite number, is nan"),
        ({"seconds": float("inf")}, "seconds: must be a finite number, is inf"),
        ({"n_id": np.int64(3)}, "n_id: must be an integer, is "),
    ],
)
def test_of_takes_nothing_that_json_cannot_hold(make, changes, words):
    with pytest.raises(RecordError, match=r"^new record: not a valid record: ") as caught:
        make(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_refused(sample_text, number):
    with pytest.raises(RecordError, match=r"metrics\.auroc\.value: .*finite number, is (nan|-?inf)"):
        Record.from_json(sample_text.replace("87.5,", f"{number},", 1), "some/file.json")


def test_nan_deep_in_the_hyperparameters_is_refused(fields):
    fields["hyperparameters"] = {"grid": [{"m": [1.0, float("nan")]}]}
    assert "hyperparameters.grid: holds NaN or an infinity" in refusal(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "colour: unknown key"),
        ({"seed": "0"}, "seed: must be an integer, is '0'"),
        ({"seed": True}, "seed: must be an integer, is True"),
        ({"metrics": {"auroc": {"value": 187.5}}}, "metrics.auroc.value: must be a number <= 100.000001, is 187.5"),
        (
            {"metrics": {"au/roc": {"value": 87.5}}},
            "metrics.au/roc: must match [A-Za-z0-9][A-Za-z0-9_.+@=-]*, is 'au/roc'",
        ),
        ({"tuning": {"seen": {"a": -1}}}, "tuning.seen.a: must be an integer >= 0, is -1"),
        ({"notes": ["fine", 3]}, "notes.1: must be a text, is 3"),
        ({"notes": [" \n"]}, "notes.0: must not be empty"),
        (
            {"from_scores": {"files": {"a.npz": "12"}}},
            "from_scores.files.a.npz: must match [0-9a-f]{64}, is '12'",
        ),
        ({"colours": {}, "seed": 1.5}, "seed: must be an integer, is 1.5; colours: unknown key"),
        ({"metrics": {"auroc": {"value": 50.0, "low": 60.0, "high": 40.0}}}, "low 60.0 is above high 40.0"),
        ({"metrics": {"auroc": {"value": 50.0, "low": 60.0}}}, "low and high must both be numbers or both be null"),
        ({"created": "yesterday"}, "created: must be an ISO 8601 time"),
        ({"created": "2025-01-31T12:00:00+02:00"}, "created: must be a time in UTC"),
        ({"method": "../odin"}, "method: must match "),
        ({"ood": "a\nb"}, "ood: must match "),
        ({"protocol": "-a"}, "protocol: must match "),
        ({"cell_key": "xyz"}, "cell_key: must match [0-9a-f]{16}, is 'xyz'"),
        ({"cell_key": "0123456789ABCDEF"}, "cell_key: must match [0-9a-f]{16}, is '0123456789ABCDEF'"),
        ({"checkpoint": {"sha256": "g" * 64}}, "checkpoint.sha256: must match [0-9a-f]{64}, is 'ggg"),
        ({"deviations": [" "]}, "deviations.0: must not be empty"),
        ({"schema": 2}, "a record of another schema needs the version of ood-bench that wrote it"),
        ({"evaluation": 3}, "evaluation: must be an object, is 3"),
    ],
)
def test_wrong_content_is_refused_with_a_short_message(fields, change, message):
    text = refusal(fields | change)
    assert text.startswith("some/file.json: not a valid record: ")
    assert message in text
    assert "msgspec" not in text
    assert "\n" not in text


def places_of_texts(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the texts of a record stand that may be any words but must be some."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    if isinstance(content, str) and place[-1] not in ("variant", "cpu", "created", "positive", "unit"):
        return [place]
    return [one for key, value in inside for one in places_of_texts(value, (*place, key))]


def test_every_text_has_a_visible_character(fields):
    fields["environment"] |= {"blas": "mkl", "backend": "openvino"}
    fields["notes"] = ["a remark"]
    places = [one for one in places_of_texts(fields) if one[0] != "hyperparameters" and one[1:2] != ("packages",)]
    assert len(places) > 25
    for place in places:
        content = copy.deepcopy(fields)
        inner = functools.reduce(lambda part, key: part[key], place[:-1], content)
        inner[place[-1]] = " "
        assert ".".join(map(str, place)) in refusal(content)


def test_many_errors_are_cut_short(fields):
    wrong = dict.fromkeys(("seed", "n_id", "n_ood", "seconds", "metrics", "notes"), "?")
    assert refusal(fields | wrong).endswith("and 2 more")


@pytest.mark.parametrize("text", ["", '{"schema": 1, ', "<<<<<<< HEAD\n{}", '{"a": ' + "[" * 10_000])
def test_text_that_is_not_json_is_refused(text):
    with pytest.raises(RecordError, match=r"^torn\.json: not a valid record: not whole JSON"):
        Record.from_json(text, "torn.json")


def test_what_only_lenient_readers_take_is_refused(sample_text):
    for text in ("\ufeff" + sample_text, sample_text.replace('"notes": [', '"notes": ["\\ud800"')):
        with pytest.raises(RecordError, match=r"^odd\.json: not a valid record: not whole JSON"):
            Record.from_json(text, "odd.json")


def test_substance_leaves_out_times_and_machine(make, fields):
    fields["checkpoint"]["networks"][0]["trained_seconds"] = 1.0
    environment = fields["environment"] | {"device": "another"}
    other = make(seconds=1.0, created=utc_now(), environment=environment, checkpoint=fields["checkpoint"])
    assert other != make()
    assert other.substance() == make().substance()


@pytest.fixture
def text(make) -> str:
    return make().to_json()


def test_the_seal_is_the_hash_of_the_rest(text):
    content = json.loads(sealed(text))
    assert content.pop("seal") == hashlib.sha256(text.encode()).hexdigest()
    assert content == json.loads(text)


def test_a_record_is_read_with_and_without_its_seal(text, make):
    assert unsealed(sealed(text), "here") == text.encode()
    assert Record.from_json(sealed(text), "here") == Record.from_json(text, "here") == make()
    assert [is_sealed(one.encode()) for one in (sealed(text), text)] == [True, False]


@pytest.mark.parametrize("change", [lambda whole: whole.replace("87.5", "88.5"), lambda whole: whole[:-20]])
def test_any_change_breaks_the_seal(text, change):
    with pytest.raises(RecordError, match="here: is torn or was changed after it was written"):
        unsealed(change(sealed(text)), "here")


def test_the_word_inside_a_record_is_no_seal(make):
    record = make(notes=['"seconds": 1, "seal": "x"'], hyperparameters={"seal": "0" * 64, "seconds": 3})
    assert Record.from_json(sealed(record.to_json()), "here") == record


def test_metrics_of_correctness_are_written_short_and_only_if_there_are_any(make, sample_text):
    assert "selective" not in json.loads(Record.from_json(sample_text, "sample").to_json())
    metrics = {"aurc": {"value": 2.5}, "tpr95_transferred": {"value": 94.0, "low": 93.0, "high": 95.0}}
    record = make(selective=metrics)
    assert json.loads(record.to_json())["selective"] == metrics
    assert Record.from_json(sealed(record.to_json()), "again") == record
    assert record.selective["aurc"] == Metric(2.5)
