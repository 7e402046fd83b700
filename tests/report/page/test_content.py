import json

from ood_bench.papers.block import load_blocks
from ood_bench.report.page.content import Beside, detail, overview, rounded
from ood_bench.report.rows import gather
from ood_bench.report.sections import sections


def test_a_cell_by_hand(make, conf):
    records = [make("msp", seed, auroc) for seed, auroc in enumerate((77.0, 77.4, 77.9))]
    content = overview(sections(records, load_blocks(conf)))
    row = content["rows"][0]
    assert (row["label"], row["ood"], row["n"], row["seeds"]) == ("msp", "mnist", 3, 3)
    assert row["cells"][0] == {
        "m": "auroc", "p": "77.3", "v": 77.4333, "s": 0.4509, "n": 3, "t": 2.2903, "x": "reproduced",
        "why": "0.13 apart; by chance up to 2.29 with 3 networks; margin 1",
        "c": 0.8218,
        "said": {"v": "77.43", "s": "0.45", "d": "+0.13"},
    }  # fmt: skip
    assert content["rows"][1]["cells"][0] == {
        "m": "auroc", "p": "87.9", "x": "not run", "why": "there is no record of this cell",
    }  # fmt: skip
    assert content["verdicts"]["better"] == "not reproduced"
    assert content["margins"] == "1 point, 2 for false positive rates"
    assert [one["i"] for one in content["rows"]] == [0, 1, 2, 3]


def test_a_network_under_three_seeds_counts_once(make, conf):
    checkpoint = make().model_dump()["checkpoint"]
    records = [make(seed=seed, checkpoint=checkpoint) for seed in range(3)]
    row = overview(sections(records, load_blocks(conf)))["rows"][0]
    assert (row["n"], row["seeds"], row["cells"][0]["n"]) == (1, 3, 1)


def test_numbers_are_rounded_once_as_in_the_tables(make, conf):
    """77.125 and 77.124996 round to 77.12; at four places first, and then by JavaScript, to 77.13."""
    (section, *_) = sections([make("msp", auroc=77.124996)], load_blocks(conf))
    assert overview([section])["rows"][0]["cells"][0]["said"] == {"v": "77.12", "d": "−0.18"}
    exact = {"auroc": {"value": 77.125, "low": 77.124996, "high": 80.0}}
    (row,) = gather([make(exact=exact)])
    assert detail(row, {}, Beside())["seeds"][0]["exact"] == {
        "auroc": [77.125, 77.125, 80.0, "77.12", "[77.12, 80.00]"]
    }


def test_an_average_has_a_line_for_each_set_and_no_details_or_tests(make, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    records = [make(ood=ood, cell_key=key * 16) for ood, key in (("mnist", "a"), ("kmnist", "b"))]
    row = sections(records, load_blocks(conf))[0].rows[0]
    found = detail(row, {}, Beside(tests={key * 16: [{"seed": 0, "other": "odin"}] for key in "ab"}))
    assert [one["name"] for one in found["seeds"]] == ["seed 0, mnist", "seed 0, kmnist"]
    assert [one["title"] for one in found["images"]] == ["fashionmnist", "fashionmnist", "mnist", "kmnist"]
    assert found["tests"] == []
    assert [one["details"] for one in found["seeds"]] == [None, None]


def test_seeds_of_an_average_count_once(make, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    records = [make(seed=seed, ood=ood) for seed in range(2) for ood in ("mnist", "kmnist")]
    assert overview(sections(records, load_blocks(conf)))["rows"][0]["seeds"] == 2


def test_long_texts_are_kept_once(make):
    texts = {}
    rows = gather([make("msp", seed, deviations=["One.", f"Seed {seed}."]) for seed in range(2)])
    one = detail(rows[0], texts, Beside())
    assert [list(texts)[number] for number in one["deviations"]] == ["One.", "Seed 0.", "Seed 1."]
    before = len(texts)
    detail(rows[0], texts, Beside())
    assert len(texts) == before


def test_a_search_becomes_columns(make):
    tuning = {
        "seen": {"mnist": 5},
        "candidates": [{"epsilon": 0.0, "T": 1.0}, {"epsilon": 0.1, "T": 1.0}],
        "objective": "TNR",
        "curve": [[1.00004], [None]],
    }
    (row,) = gather([make(tuning=tuning)])
    texts = {}
    found = detail(row, texts, Beside())["seeds"][0]["tuning"]
    assert found == {
        "seen": {"mnist": 5},
        "objective": texts["TNR"],
        "columns": {"T": [1.0, 1.0], "epsilon": [0.0, 0.1]},
        "curve": [[1.0], [None]],
    }
    assert json.dumps(found)


def test_rounding_leaves_no_negative_zero():
    assert [rounded(value) for value in (None, 1.23456, -0.00001)] == [None, 1.2346, 0.0]
    assert str(rounded(-0.00001)) == "0.0"
