import pytest

from ood_bench.errors import ConfigError
from ood_bench.report.explanations import NONE
from ood_bench.report.page.bare import cells_of, sections
from ood_bench.report.page.shared import Shared

HEAD = "method,variant,model,weights,ood,ood_images,low,high,cell,auroc,fpr95\n"
LINES = (
    ("msp", "", "near", 80.0, 50.0), ("msp", "", "far", 90.0, 40.0),
    ("knn", "a", "near", 84.004, 60.0), ("knn", "a", "far", 90.0, 30.0),
    ("odin", "", "far", 99.0, 10.0),
)  # fmt: skip
GROUPS = {"cifar10": {"near": "near", "far": "far"}}


@pytest.fixture
def folder(tmp_path):
    tables = tmp_path / "kept" / "tables"
    tables.mkdir(parents=True)
    text = HEAD
    for place, (method, variant, ood, auroc, fpr) in enumerate(LINES):
        text += f'{method},{variant},resnet,aaaa,{ood},"{ood} (x, y)",{auroc - 1},{auroc + 1},c{place},{auroc},{fpr}\n'
    (tables / "methods-plain-cifar10.csv").write_text(text)
    (tables / "methods-plain-cifar10.md").write_text("# cifar10 (first 1,017 rows), protocol plain\n\nmore")
    return tmp_path


def test_a_table_becomes_a_matrix_with_means_ranks_and_the_best_marked(folder):
    (found,) = sections(folder, ["kept"], GROUPS, Shared(), NONE)
    assert (found["key"], found["id"], found["protocol"]) == ("kept-cifar10-resnet", "cifar10", "plain")
    (matrix,) = found["matrices"]
    assert matrix["id"] == "cifar10 (first 1,017 rows)"
    assert [(name, group) for name, _, group in matrix["sets"]] == [("near", "near"), ("far", "far")]
    assert [(line["label"], line["means"].get("auroc")) for line in matrix["lines"]] == [
        ("knn (a)", ["87.00", 1, []]), ("msp", ["85.00", 2, []]), ("odin", None),
    ]  # fmt: skip
    assert found["bare"]["auroc"] == [
        ["84.00 83.00 85.00*", "90.00 89.00 91.00"], ["80.00 79.00 81.00", "90.00 89.00 91.00"],
        ["", "99.00 98.00 100.00*"],
    ]  # fmt: skip
    assert found["bare"]["fpr95"] == [["60.00", "30.00"], ["50.00*", "40.00"], ["", "10.00*"]]
    assert found["files"][0] == ("table", "kept/tables/methods-plain-cifar10.md")
    assert cells_of(folder, ["kept"]) == {f"c{place}" for place in range(5)}


def test_a_folder_without_such_tables_is_refused(folder):
    with pytest.raises(ConfigError, match="has no tables/methods"):
        sections(folder, ["other"], GROUPS, Shared(), NONE)
    (folder / "kept/tables/methods-plain-cifar10.csv").write_text("method,x\n1,2\n")
    with pytest.raises(ConfigError, match=r"lacks auroc, cell"):
        sections(folder, ["kept"], GROUPS, Shared(), NONE)


def test_notes_of_the_folder_stand_with_the_cells_that_they_are_about(folder):
    path, shared = folder / "kept/notes.yaml", Shared()
    path.write_text("- {method: knn, ood: near, text: Of near ones.}\n- {id: cifar10, metric: fpr95, text: Of all.}\n")
    (found,) = sections(folder, ["kept"], GROUPS, shared, NONE)
    said = {name: [shared.values[place] for place in places] for name, places in found["remarks"].items()}
    assert said["knn (a)/near"] == ["Of near ones.", "FPR95: Of all."]
    assert said["odin/far"] == ["FPR95: Of all."]
    path.write_text("- {method: kn, text: Of none.}\n")
    with pytest.raises(ConfigError, match=r"kept/notes.yaml, note 1: there is no such cell"):
        sections(folder, ["kept"], GROUPS, shared, NONE)
