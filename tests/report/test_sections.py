from ood_bench.papers.block import load_blocks
from ood_bench.report.sections import sections
from ood_bench.report.verdicts import Verdict, judge


def found(conf, *records):
    return sections(records, load_blocks(conf))


def judgements(section, row):
    return [judge(row, metric, section.printed(row, metric)) for metric in section.metrics]


def test_a_paper_that_was_not_run_is_shown_with_its_numbers(conf):
    (section,) = found(conf)
    assert (section.kind, len(section.rows)) == ("paper", 4)
    assert section.printed(section.rows[0], "auroc") == "77.3"
    verdicts = {one.verdict for row in section.rows for one in judgements(section, row)}
    assert verdicts == {Verdict.NOT_RUN}


def test_every_record_stands_in_one_section(conf, make):
    records = [make("msp"), make("energy"), make("msp", ood="kmnist"), make("msp", model="vgg"), make(protocol="plain")]
    parts = found(conf, *records)
    assert [(one.kind, one.model, one.protocol) for one in parts] == [
        ("paper", "lenet", "fssd"),
        ("beyond", "lenet", "fssd"),
        ("other", "lenet", "plain"),
        ("other", "vgg", "fssd"),
    ]
    assert sorted(one.cell_key for part in parts for row in part.rows for one in row.records) == sorted(
        record.cell_key for record in records
    )
    assert [row.label for row in parts[1].rows] == ["energy", "msp"]


def test_only_a_papers_own_cells_have_published_values(conf, make):
    paper, beyond = found(conf, make("msp"), make("msp", ood="kmnist"))
    assert paper.printed(paper.rows[0], "auroc") == "77.3"
    assert beyond.printed(beyond.rows[0], "auroc") is None
    assert {one.verdict for one in judgements(beyond, beyond.rows[0])} == {Verdict.INCOMPARABLE}


def test_results_of_no_paper_show_the_usual_metrics(conf, make):
    names = ("detection_error", "fpr80", "fpr95", "aupr_out", "aupr_in", "auroc")
    other, _ = found(conf, make(protocol="plain", metrics={name: {"value": 50.0} for name in names}))
    assert other.metrics == ("auroc", "aupr_in", "aupr_out", "fpr95")


def test_results_come_before_papers_that_were_not_run(conf, make):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    text = path.read_text().replace("fssd_fashionmnist", "zebra").replace("ood: [mnist]", "ood: [kmnist]")
    path.with_name("zebra.yaml").write_text(text)
    parts = found(conf, make("msp", ood="kmnist"))
    assert [(one.kind, bool(one.rows[0].records)) for one in parts] == [("paper", True), ("paper", False)]
    assert parts[0].block.name == "zebra"
