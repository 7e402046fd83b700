import json

import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.page.detail import Beside, detail, packed
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.rows import gather
from ood_bench.report.sections import sections


def shown(row, shared=None, beside=None, **settings):
    return detail(row, shared or Shared(), beside or Beside(), PageSettings(**settings))


def test_numbers_are_the_texts_of_the_tables(make):
    """77.125 and 77.124996 both round to 77.12."""
    exact = {"auroc": {"value": 77.125, "low": 77.124996, "high": 80.0}, "fpr80": {"value": 42.0}}
    found = shown(*gather([make(exact=exact)]))
    assert found["exact"] == {"auroc": ["77.12 77.12 80.00"], "fpr80": 0}  # 0: as by the paper's convention
    assert found["metrics"] == {"auroc": ["77.00"], "fpr80": ["42.00"]}


def test_an_average_has_a_line_for_each_set_and_no_details_or_tests(make, drawn, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    records = [make(ood=ood, cell_key=key * 16) for ood, key in (("mnist", "a"), ("kmnist", "b"))]
    row = sections(records, load_blocks(conf))[0].rows[0]
    kept = {record.cell_key: drawn(record.cell_key) for record in records}
    shared = Shared()
    found = shown(row, shared, Beside(kept, {key * 16: [{"seed": 0, "other": "odin"}] for key in "ab"}))
    assert [one["name"] for one in found["seeds"]] == ["seed 0, mnist", "seed 0, kmnist"]
    assert [shared.values[one][1] for one in found["images"]] == ["fashionmnist", "fashionmnist", "mnist", "kmnist"]
    assert "tests" not in found
    assert not any("details" in one for one in found["seeds"])


def test_what_rows_repeat_is_kept_once(make):
    shared = Shared()
    rows = gather([make("msp", seed, deviations=["One.", f"Seed {seed}."]) for seed in range(2)])
    found = shown(rows[0], shared)
    assert [shared.values[number] for number in found["deviations"]] == ["One.", "Seed 0.", "Seed 1."]
    before = len(shared.values)
    shown(rows[0], shared)
    assert len(shared.values) == before


def test_a_search_becomes_columns(make):
    tuning = {
        "seen": {"mnist": 5},
        "candidates": [{"epsilon": 0.0, "T": 1.0}, {"epsilon": 0.1, "T": 1.0}],
        "objective": "TNR",
        "curve": [[1.004], [None]],
    }
    shared = Shared()
    found = shown(*gather([make(tuning=tuning)]), shared)["seeds"][0]["tuning"]
    assert shared.values[found["columns"]] == {"T": [1.0, 1.0], "epsilon": [0.0, 0.1]}
    assert (shared.values[found["objective"]], found["curve"]) == ("TNR", [1.0, None])
    assert json.dumps(found)


def test_curves_are_steps_that_add_up_to_them(drawn):
    one = drawn("a" * 16)
    one.roc.x[:], one.roc.y[:] = [0.0, 0.12345], [0.5, 0.25]
    found = packed(one, images=False)
    assert found["roc"] == [[0, 1234], [5000, -2500]]
    assert "images" not in found


def test_selective_metrics_and_sources_are_there(make):
    shared = Shared()
    record = make(selective={"aurc": {"value": 3.456}})
    found = shown(*gather([record]), shared, repository="..")
    assert found["selective"] == {"aurc": ["3.46"]}
    words = dict(shared.values[found["links"]])
    assert words["config"] == "../conf/method/msp.yaml"
    assert "https://arxiv.org/abs/1610.02136" in words.values()
    assert shared.values[found["seeds"][0]["folder"]] == "records/fashionmnist/lenet/fssd/msp/mnist"


@pytest.mark.parametrize("records", [1, 3])
def test_nothing_empty_is_written(make, records):
    found = shown(*gather([make(seed=seed) for seed in range(records)]))
    assert not {"remarks", "ladders", "tests", "selective"} & set(found)
