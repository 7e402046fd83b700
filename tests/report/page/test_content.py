import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.page.content import CONCLUSIONS, overview
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.page.shared import Shared
from ood_bench.report.sections import sections


@pytest.fixture
def page(conf):
    """The overview of some records, and the values that its rows share."""

    def made(records, **settings):
        shared = Shared()
        return overview(sections(records, load_blocks(conf)), shared, PageSettings(**settings)), shared.values

    return made


def test_a_cell_by_hand(make, page):
    content, shared = page([make("msp", seed, auroc) for seed, auroc in enumerate((77.0, 77.4, 77.9))])
    row = content["rows"][0]
    assert (row["label"], row["ood"], row["n"], row["seeds"]) == ("msp", "mnist", 3, 3)
    cell = row["cells"]["auroc"]
    assert shared[cell.pop("why")] == "0.13 apart; by chance up to 2.29 with 3 networks; margin 1"
    assert cell == {"p": "77.3", "x": 0, "t": 2.2903, "c": 0.8218, "v": "77.43", "n": 3, "s": "0.45", "d": "+0.13"}
    assert content["rows"][1]["cells"]["auroc"] == {"p": "87.9", "x": CONCLUSIONS.index("not run")}
    assert content["margins"] == "1 point, 2 for false positive rates"
    assert content["counts"] == {
        "reproduced": 2, "not reproduced": 0, "undecided": 0, "not comparable": 0, "not run": 6,
    }  # fmt: skip


def test_a_network_under_three_seeds_counts_once(make, page):
    checkpoint = make().content()["checkpoint"]
    row = page([make(seed=seed, checkpoint=checkpoint) for seed in range(3)])[0]["rows"][0]
    assert (row["n"], row["seeds"], row["cells"]["auroc"]["n"]) == (1, 3, 1)


def test_mean_deviation_and_interval_have_equally_many_decimals(make, page):
    metrics = {"auroc": {"value": 77.124996, "low": 76.5, "high": 78.25}, "fpr80": {"value": 1.0}}
    cell = page([make("msp", metrics=metrics)])[0]["rows"][0]["cells"]["auroc"]
    assert (cell["v"], cell["lo"], cell["hi"], cell["d"]) == ("77.12", "76.50", "78.25", "-0.18")


def test_better_than_published_is_not_reproduced_and_says_so(make, page):
    records = [make("msp", seed, 84.0 + seed / 100) for seed in range(3)]
    cell = page(records)[0]["rows"][0]["cells"]["auroc"]
    assert (CONCLUSIONS[cell["x"]], cell["better"]) == ("not reproduced", 1)


def test_own_results_come_first_and_foreign_papers_only_if_asked(make, page):
    records = [make("msp"), make("msp", model="vgg", cell_key="b" * 16)]
    content, _ = page(records, title="Mine", own="My networks")
    assert [section["kind"] for section in content["sections"]] == ["other", "paper"]
    assert [row["s"] for row in content["rows"]] == [0, 1, 1, 1, 1]
    assert (content["title"], content["own"]) == ("Mine", "My networks")
    alone, _ = page([make("msp", model="vgg")])
    assert (alone["idle"], sum(alone["counts"].values())) == ([], 0)
    asked, _ = page([make("msp", model="vgg")], papers="all")
    assert [one["key"] for one in asked["idle"]] == ["fssd_fashionmnist"]
    assert asked["idle"][0]["printed"]["auroc"] == ["77.3", "87.9", "76.5", "99.6"]
    assert asked["idle"][0]["count"] == asked["counts"]["not run"] > 0


def test_addresses_of_rows_are_stable_words(make, page):
    records = [make("msp"), make("msp", ood="kmnist", cell_key="a" * 16)]
    records += [make("msp", ood="kmnist", cell_key="c" * 16, id_variant="JPEG copy")]
    content, _ = page(records)
    ran = [row["k"] for row in content["rows"] if "n" in row]
    assert ran == [
        "fssd_fashionmnist/msp/mnist",
        "fssd_fashionmnist-beyond/msp/kmnist",
        "fssd_fashionmnist-beyond/msp/kmnist/jpeg-copy",
    ]
    assert [one["id"] for one in content["sections"][1]["matrices"]] == ["fashionmnist", "fashionmnist (JPEG copy)"]


def test_seeds_of_an_average_count_once(make, page, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    records = [make(seed=seed, ood=ood) for seed in range(2) for ood in ("mnist", "kmnist")]
    assert page(records)[0]["rows"][0]["seeds"] == 2


def test_version_and_days_are_those_of_the_records(make, page):
    environment = make().content()["environment"] | {"packages": {"ood-bench": "0.1.0"}}
    days = ("2026-01-05", "2026-01-02")
    records = [
        make(seed=seed, created=f"{day}T00:00:00+00:00", environment=environment) for seed, day in enumerate(days)
    ]
    assert page(records)[0]["made"] == "2 records, made 2026-01-02 to 2026-01-05 by ood-bench 0.1.0"


def test_links_lead_into_the_repository_that_the_settings_name(make, page):
    assert ["rule", "../docs/verdicts.md"] in map(list, page([make()], repository="../")[0]["sections"][0]["links"])
    assert page([make()])[0]["sections"][0]["files"][1] == ("LaTeX", "latex/fssd_fashionmnist.tex")
    assert [words for words, _ in page([make()])[0]["sections"][0]["links"]] == ["arXiv 2011.14654"]
