import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.page.matrix import Place, best_cells, group_of, known_groups, matrices
from ood_bench.report.page.shared import Shared
from ood_bench.report.sections import sections

AUROC = {
    "msp": (80.0, 90.0, 70.0),
    "odin": (85.0, 80.0, 75.0),
    "fssd": (99.0, 99.0, None),
    "energy": (81.0, 90.0, 69.0),
}
SETS = ("kmnist", "mnist", "uniform")


@pytest.fixture
def table(make, conf):
    records = [
        make(method, auroc=value, fpr80=100 - value, ood=ood, model="vgg", cell_key=f"{place:08x}{place2:08x}")
        for place, (method, values) in enumerate(AUROC.items())
        for place2, (ood, value) in enumerate(zip(SETS, values, strict=True))
        if value is not None
    ]
    (section,) = (one for one in sections(records, load_blocks(conf)) if one.kind == "other")
    places = [Place(row, 10 + index) for index, row in enumerate(section.rows)]
    return section, places


def test_means_and_ranks_are_of_methods_with_all_sets(table):
    section, places = table
    (found,) = matrices(section, places, {}, Shared())
    lines = {line["label"]: line for line in found["lines"]}
    assert [name for name, _, _ in found["sets"]] == list(SETS)
    assert {label: line["means"].get("auroc") for label, line in lines.items()} == {
        "msp": ["80.00", 1, []], "odin": ["80.00", 1, []], "energy": ["80.00", 1, []], "fssd": None,
    }  # fmt: skip
    assert lines["fssd"]["rows"][2] == -1
    assert lines["msp"]["passes"] == "1.00"


def test_sets_stand_by_group_with_a_mean_of_each(table):
    section, places = table
    groups = {"fashionmnist": {"mnist": "near", "kmnist": "near", "uniform": "far"}}
    (found,) = matrices(section, places, groups, Shared())
    assert [(name, group) for name, _, group in found["sets"]] == [
        ("kmnist", "near"), ("mnist", "near"), ("uniform", "far"),
    ]  # fmt: skip
    assert found["groups"] == ["near"]
    assert next(line["means"]["auroc"] for line in found["lines"] if line["label"] == "odin") == ["80.00", 1, ["82.50"]]


@pytest.mark.parametrize(
    ("name", "group"),
    [("mnist_subset", "near"), ("mnist_2_half", "far"), ("mnist_2", "far"), ("mnist_2x", "near"), ("mnists", "")],
)
def test_a_part_of_a_set_stands_in_the_sets_group(name, group):
    assert group_of(name, {"mnist": "near", "mnist_2": "far"}) == group


def test_the_best_of_a_column_is_the_lowest_of_false_positive_rates(table):
    section, places = table
    best = best_cells(section, places)
    names = {(places[index - 10].row.label, places[index - 10].row.ood, metric) for index, metric in best}
    assert {name for name in names if name[2] == "auroc"} == {
        ("fssd", "kmnist", "auroc"), ("fssd", "mnist", "auroc"), ("odin", "uniform", "auroc"),
    }  # fmt: skip


def test_groups_come_from_the_papers_blocks():
    groups = known_groups(sections([], load_blocks()))
    assert (groups["cifar10"]["cifar100"], groups["cifar10"]["svhn"], groups["cifar10"]["far"]) == (
        "near",
        "far",
        "far",
    )
