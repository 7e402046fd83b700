import csv
import io
import re
import shutil

import pytest
from msgspec.structs import replace

from ood_bench.papers.block import load_blocks
from ood_bench.report import tables
from ood_bench.report.sections import sections
from ood_bench.results import RecordStore
from ood_bench.results.details import Details, DetailStore, Histogram, Line

MAIN_TABLE = [
    ["Method", "AUROC paper", "ours", "diff.", "FPR80 paper", "ours", "diff."],
    ["msp [1, 3]", "77.3", "77.43 ± 0.45 (3)", "+0.13", "42.5", "41.00 ± 1.00 (3)", "-1.50 ?"],
    ["odin [1, 2]", "87.9", "89.50 ± 0.10 (3)", "+1.60 †", "20.0", "20.00 ± 0.00 (3)", "0.00"],
    ["mc_dropout", "76.5", "not run", "–", "42.3", "not run", "–"],
    ["mc_dropout (train mode)", "76.5", "76.50 (1)", "0.00 ?", "42.3", "42.00 (1)", "-0.30 ?"],
    ["fssd", "99.6", "not run", "–", "0.0", "not run", "–"],
]
PAGE, SHEET = "fssd_fashionmnist.md", "fssd_fashionmnist.csv"


def table_files(results, conf):
    return tables.table_files(sections(RecordStore(results).load(), load_blocks(conf)), {})


def seeds(make, method, aurocs, fprs, **changes):
    pairs = enumerate(zip(aurocs, fprs, strict=True))
    return [make(method, seed, auroc, fpr, **changes) for seed, (auroc, fpr) in pairs]


@pytest.fixture
def filled(make, fill, results):
    """Three seeds of MSP near the paper, three of ODIN far from it, one of MC dropout in train mode, no FSSD."""
    shuffled = "Training is shuffled on every device."
    fill(
        *seeds(make, "msp", (77.0, 77.4, 77.9), (40.0, 41.0, 42.0), deviations=[shuffled], notes=["Ties are many."]),
        *seeds(make, "odin", (89.4, 89.5, 89.6), (20.0, 20.0, 20.0), deviations=[shuffled, "T is one of four."]),
        *seeds(make, "mc_dropout", (76.5,), (42.0,), variant="train mode", evaluation={"tuned_on": "nothing"}),
    )
    return results


@pytest.fixture
def one_cell(make, fill, results):
    """One record with details."""
    record = make()
    fill(record)
    line = Line(x=[0.0, 1.0], y=[0.0, 1.0])
    bins = Histogram(low=0.0, high=1.0, id=[1], ood=[1])
    DetailStore(results).write(Details(cell_key=record.cell_key, histogram=bins, roc=line, pr_in=line, pr_out=line))
    return results


def test_the_main_table_by_hand(filled, conf):
    page = table_files(filled, conf)[PAGE]
    header, _, *lines = page.split("\n\n")[2].split("\n")
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in (header, *lines)] == MAIN_TABLE


def test_what_stands_under_the_table(filled, conf):
    page = table_files(filled, conf)[PAGE]
    lines = [re.sub(" +", " ", line) if line.startswith("|") else line for line in page.split("\n")]
    for line in (
        "# FSSD, LeNet on FashionMNIST",
        "Published: arXiv 2011.14654. Numbers from `readme_results` in `ood_bench/papers/fssd.csv` (source: README).",
        "Classifier lenet, ID set fashionmnist, OOD set mnist, protocol fssd; all numbers in percent.",
        "- The paper gives no standard deviations.",
        "- **Scored rows:** 9,000 of 10,000 test rows a side, those left over by tuning.",
        "- **Row counts:** 9,000 ID and 9,000 OOD.",
        "  - nothing *(mc_dropout (train mode))*",
        "1. Training is shuffled on every device. *(msp, odin)*",
        "2. T is one of four. *(odin)*",
        "3. Ties are many. *(msp)*",
        "| lenet | fssd_lenet | 14 | 1 | 92.00 | mc_dropout (train mode) |",
        "| lenet | fssd_lenet | 14 | 3 | 93.00 ± 1.00 | msp, odin |",
        "| odin | 89.50 ± 0.10 (3) | [89.00, 89.75] |",
        "- all methods: T = 10, epsilon = 0.002, rate = null.",
    ):
        assert line in lines
    assert "`fssd`, ID is the positive class." in page


def test_the_sheet_holds_the_same_numbers(filled, conf):
    rows = list(csv.DictReader(io.StringIO(table_files(filled, conf)[SHEET])))
    by_cell = {(row["kind"], row["method"], row["variant"], row["metric"]): row for row in rows}
    msp = by_cell["convention", "msp", "", "auroc"]
    assert (msp["paper"], msp["ours"], msp["std"], msp["n"], msp["difference"], msp["verdict"]) == (
        "77.3", "77.4333", "0.4509", "3", "0.1333", "reproduced",
    )  # fmt: skip
    odin = by_cell["convention", "odin", "", "auroc"]
    assert (odin["runs"], odin["verdict"]) == ("1", "better")
    assert by_cell["convention", "odin", "", "fpr80"]["verdict"] == "reproduced"
    assert by_cell["exact", "odin", "", "auroc"]["verdict"] == ""
    assert by_cell["convention", "mc_dropout", "train mode", "fpr80"]["std"] == ""
    missing = by_cell["convention", "fssd", "", "fpr80"]
    assert (missing["paper"], missing["ours"], missing["n"]) == ("0.0", "", "0")
    assert by_cell["exact", "odin", "", "auroc"]["low"] == "89.0000"


def test_tables_do_not_depend_on_the_order_and_circumstances_of_records(filled, conf, tmp_path):
    first = table_files(filled, conf)
    elsewhere = RecordStore(tmp_path / "elsewhere")
    for record in reversed(RecordStore(filled).load()):
        elsewhere.write(replace(record, created="2031-01-01T00:00:00+00:00", seconds=1.0))
    assert table_files(elsewhere.root, conf) == first


def test_cells_that_the_paper_lacks_come_below(filled, conf, make, fill):
    fill(make("msp", ood="kmnist", auroc=60.0, deviations=["Another set."]), make("energy", auroc=70.0))
    files = table_files(filled, conf)
    page = files[PAGE]
    main, beyond = page.split("## Beyond the paper")
    assert "kmnist" not in main
    assert "| msp [3]" in beyond
    assert "| energy" in beyond
    assert "60.00 (1)" in beyond
    assert "Another set. *(msp on kmnist)*" in beyond.replace("\n   ", " ")
    assert "other.md" not in files
    assert "beyond,convention,msp,,lenet,fashionmnist,fashionmnist,kmnist" in files[SHEET]


def test_records_of_no_block_have_a_page_of_their_own(filled, conf, make, fill):
    fill(make("msp", model="vgg", auroc=61.0), make("msp", protocol="plain", auroc=62.0))
    files = table_files(filled, conf)
    assert "61.00" not in files[PAGE]
    other = files["other.md"]
    assert other.index("## fashionmnist, lenet, protocol plain") < other.index("## fashionmnist, vgg, protocol fssd")
    assert "\n### Exact metrics\n" in other
    assert files["other.csv"].count("\n") == 1 + 2 * 3


def test_without_paper_configs_everything_is_other(filled, tmp_path):
    assert sorted(table_files(filled, tmp_path / "none")) == ["other.csv", "other.md"]


def test_images_that_are_not_official_are_named_in_heading_and_row(conf, make, fill, results):
    fill(make("msp", ood_variant="JPEG copy"), make("odin", id_variant="JPEG copy"))
    rendered = tables.render(results)
    for text in (rendered.files[f"tables/{PAGE}"].decode(), rendered.inserts["fssd_fashionmnist"]):
        assert "**Not the official images: fashionmnist (JPEG copy), mnist (JPEG copy).**" in text
        assert "ID set fashionmnist, fashionmnist (JPEG copy), OOD set mnist (JPEG copy), mnist," in text
        lines = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.split("\n")]
        assert ["msp", "fashionmnist", "mnist (JPEG copy)"] in lines
        assert ["odin", "fashionmnist (JPEG copy)", "mnist"] in lines


def test_seeds_on_other_images_of_the_same_name_are_told_apart(conf, make, fill, results):
    data = make().content()["data"]
    data["ood"]["fingerprint"] = "f" * 64
    fill(make("msp"), make("odin", data=data))
    page = table_files(results, conf)[PAGE]
    assert "fingerprint `6d6e69737400` *(msp)*" in page
    assert "fingerprint `ffffffffffff` *(odin)*" in page


def test_many_metrics_are_spread_over_several_tables(conf, make, fill, results):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("[auroc, fpr80]", "[auroc, auprc, fpr80, tnr95]"))
    fill(make())
    page = table_files(results, conf)[PAGE]
    page = re.sub(" +", " ", page)
    assert "| TNR95 paper | ours | diff. |" in page
    assert "| not measured | – |" in page


def test_hyperparameters_that_differ_between_seeds_are_listed_by_seed(conf, make, fill, results):
    fill(*(make(seed=seed, hyperparameters={"T": 10**seed, "taps": ["a"]}) for seed in range(2)))
    assert "- all methods: T = 1 (seed 0); T = 10 (seed 1)." in table_files(results, conf)[PAGE]
    fill(make("odin", hyperparameters={}))
    assert "- msp: T = 1 (seed 0); T = 10 (seed 1)." in table_files(results, conf)[PAGE]


def test_write_then_check_then_change(filled, conf, make, fill, tmp_path):
    page, sheet = filled / "tables" / PAGE, filled / "tables" / SHEET
    readme = tmp_path / "README.md"
    readme.write_text("# Hi\n\n<!-- table:fssd_fashionmnist -->\n<!-- /table -->\n")
    missing = tables.check(filled, readme)
    assert f"{filled / 'index.html'}: is missing, though there are records for it" in missing
    written = tables.write(filled, readme)
    assert {readme, page, sheet, filled / "index.html", filled / "latex" / "fssd_fashionmnist.tex"} < set(written)
    assert len(missing) == len(written)
    assert tables.check(filled, readme) == []
    assert tables.write(filled, readme) == []
    assert "(results/tables/fssd_fashionmnist.md)" in readme.read_text()

    fill(make("fssd"))
    changed = tables.check(filled, readme)
    for path in (readme, page, sheet, filled / "index.html"):
        assert f"{path}: differs from what the records give" in changed
    page.unlink()
    assert f"{page}: is missing, though there are records for it" in tables.check(filled)


def test_files_without_records_go_away_and_those_of_others_stay(one_cell, conf):
    written = tables.write(one_cell)
    theirs = [one_cell / "plots" / "fssd_fashionmnist-norm_ratio.png", one_cell / "tables" / "mine.md"]
    for path in (*theirs, one_cell / "tables" / "other.md"):
        path.write_bytes(b"another program's")
    shutil.rmtree(one_cell / "records")
    gone = {*written, one_cell / "tables" / "other.md"} - {one_cell / "index.html"}
    assert {f"{path}: there are no records for it" for path in gone} < set(tables.check(one_cell))
    assert set(tables.write(one_cell)) == {*gone, one_cell / "index.html"}
    assert [path.exists() for path in (*theirs, *gone)] == [True] * 2 + [False] * len(gone)
    assert tables.check(one_cell) == [f"{theirs[1]}: there are no records for it"]


def test_torn_records_and_damaged_details_are_differences_and_not_fatal(one_cell, conf, make):
    tables.write(one_cell)
    record = RecordStore(one_cell).path(make("fssd"))
    record.parent.mkdir(parents=True)
    record.write_text("{")
    (details,) = (one_cell / "details").iterdir()
    details.write_text("{")
    lines = tables.check(one_cell)
    assert lines[0].startswith(f"{record}: not a valid record")
    assert lines[1].startswith(f"{details}: not valid details")
    assert any("index.html: differs" in line for line in lines)


def test_a_readme_block_without_records_says_so(results, conf, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table:fssd_fashionmnist -->\n<!-- /table -->\n")
    tables.write(results, readme)
    assert "No results yet: run `ood-bench paper=fssd_fashionmnist`." in readme.read_text()


def test_an_average_is_shown_with_the_sets_that_it_is_taken_over(make, fill, conf, results):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    fill(make("msp", auroc=70.0, ood="mnist"), make("msp", auroc=80.0, ood="kmnist", cell_key="a" * 16))
    page = table_files(results, conf)[PAGE]
    table, _, beyond = page.partition("## Beyond the paper")
    assert "75.00 (1)" in table
    assert "70.00 (1)" in beyond
    assert "80.00 (1)" in beyond


def test_metrics_of_correctness_have_a_page_beside_the_table_and_rows_in_its_csv(make, fill, results, conf):
    plain = make("msp", 0)
    fill(plain, make("odin", 0, ood="svhn"))
    before = table_files(results, conf)
    assert not [name for name in before if "selective" in name]
    metrics = {"autc": {"value": 31.25}, "tpr95_transferred": {"value": 94.0, "low": 93.0, "high": 95.5}}
    fill(*(make("msp", seed, selective=metrics | {"aurc": {"value": 1.0 + seed}}) for seed in (1, 2)))
    files = table_files(results, conf)
    lines = files["fssd_fashionmnist.selective.md"].splitlines()
    (header,) = (line for line in lines if line.startswith("| Method"))
    (row,) = (line for line in lines if line.startswith("| msp"))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (header, row)]
    assert dict(zip(*cells, strict=True)) == {
        "Method": "msp",
        "OOD set": "mnist",
        "AURC": "2.50 ± 0.71 (2)",
        "AUTC": "31.25 ± 0.00 (2)",
        "TPR transferred": "94.00 ± 0.00 (2)",
        "95 % interval": "[93.00, 95.50]",
    }
    assert files[PAGE].endswith("[fssd_fashionmnist.selective.md](fssd_fashionmnist.selective.md).\n")
    rows = [line for line in csv.DictReader(io.StringIO(files[SHEET])) if line["kind"] == "selective"]
    assert [(line["metric"], line["ours"], line["n"], line["low"]) for line in rows] == [
        ("aurc", "2.5000", "2", ""),
        ("autc", "31.2500", "2", ""),
        ("tpr95_transferred", "94.0000", "2", "93.0000"),
    ]
