"""Methods beside networks, from records of which every number is known."""

import csv

from ood_bench.metrics.ranks import ranked
from ood_bench.papers.costs import costs
from ood_bench.report.by_network import by_network
from ood_bench.report.means import Mean
from ood_bench.report.sections import sections
from ood_bench.report.tables import render
from ood_bench.results import Record, RecordStore

SETS, NETWORKS = ("mnist", "noise"), ("a_net", "b_net")


def on(weights, record, recipe="imported"):
    """The record as scored on a network of these weights."""
    fields = record.content()
    fields["checkpoint"]["networks"][0] |= {"recipe": recipe, "weights_sha256": weights.encode().hex().ljust(64, "0")}
    fields["checkpoint"]["sha256"] = fields["checkpoint"]["networks"][0]["weights_sha256"]
    return Record.of({key: value for key, value in fields.items() if key != "schema"})


def short(weights):
    return weights.encode().hex().ljust(8, "0")[:8]


def tables(make, methods, networks=NETWORKS, without=(), tested=None):
    """AUROC of method i on set j by network k is 70 + i + 2 j + 4 k; its interval is 0.75 wide."""
    records = []
    for i in range(methods):
        for j, ood in enumerate(SETS):
            for k, model in enumerate(networks):
                if (i, model) not in without:
                    key = f"{i:08x}{j:04x}{k:04x}"
                    auroc = 70.0 + i + 2 * j + 4 * k
                    changes = {"ood": ood, "model": model, "protocol": "plain", "cell_key": key}
                    records.append(on(model, make(f"m{i}", auroc=auroc, **changes)))
    files = by_network(sections(records, []), tested or {})
    assert {name.rpartition(".")[0] for name in files if name.endswith(".csv")} == {
        name.rpartition(".")[0] for name in files if name.endswith(".md")
    }
    return {name: text for name, text in files.items() if name.endswith(".md")}


def test_methods_stand_by_their_mean_over_sets_and_networks(make):
    found = tables(make, 8)
    assert list(found) == ["methods-plain-fashionmnist.md"]
    lines = [line for line in found["methods-plain-fashionmnist.md"].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["Method", "mean", "rank", *NETWORKS]
    assert cells[2] == ["m7", "80.00", "**1.00**", "78.00 ± 0.38", "82.00 ± 0.38"]
    assert [line[0] for line in cells[2:]] == [f"m{i}" for i in range(7, -1, -1)]


def test_a_method_that_a_network_lacks_comes_last_and_has_no_mean(make):
    (text,) = tables(make, 9, without={(8, "b_net")}).values()
    last = [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]
    assert last == ["m8", "–", "–", "79.00 ± 0.38", "–"]


def test_a_set_of_more_seeds_weighs_no_more_than_another(make):
    cells = (("mnist", 0, 90.0), ("mnist", 1, 92.0), ("noise", 0, 61.0))
    records = [
        on("a_net", make(f"m{i}", seed, value, ood=ood, protocol="plain", cell_key=f"{i:08x}{place:08x}"))
        for i in range(8)
        for place, (ood, seed, value) in enumerate(cells)
    ]
    text = by_network(sections(records, []), {})["methods-plain-fashionmnist.md"]
    assert "| m3 " in text
    assert text.count("76.00 ± 0.38") == 8  # of 91 and 61; of all three records 81


def test_few_methods_make_no_table(make):
    assert tables(make, 7) == {}


def cells_of(text):
    lines = [line for line in text.splitlines() if line.startswith("| m")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_tests_of_the_means_give_their_half_widths_and_say_which_are_level(make):
    images = "fashionmnist"

    def mean(i, k, **changes):
        return Mean(71 + i + 4 * k, 0.5, 2, level=i == 6)._replace(**changes)

    tested = {
        (images, "plain", short(network), f"m{i}"): mean(i, k) for k, network in enumerate(NETWORKS) for i in range(8)
    }
    (text,) = tables(make, 8, tested=tested).values()
    assert "by DeLong's test" in " ".join(text.split())
    assert cells_of(text)[:3] == [
        ["m7", "80.00", "**1.00**", "**78.00 ± 0.50**", "**82.00 ± 0.50**"],
        ["m6", "79.00", "2.00 =", "77.00 ± 0.50 =", "81.00 ± 0.50 ="],
        ["m5", "78.00", "3.00 =", "76.00 ± 0.50", "80.00 ± 0.50"],
    ]
    stale = tested | {(images, "plain", short("a_net"), "m0"): mean(0, 0, auroc=70.0)}
    for other in (stale, tested | {(images, "plain", short("a_net"), "m0"): mean(0, 0, sets=1)}):
        (text,) = tables(make, 8, tested=other).values()
        assert "by DeLong's test" not in " ".join(text.split())
        assert cells_of(text)[0][3] == "78.00 ± 0.38"


def test_it_is_written_with_the_tables(make, results, fill):
    fill(
        *(
            make(f"m{i}", ood=ood, model=model, protocol="plain", cell_key=f"{i:08x}{j:04x}{k:04x}")
            for i in range(8)
            for j, ood in enumerate(SETS)
            for k, model in enumerate(NETWORKS)
        )
    )
    assert len(RecordStore(results).load()) == 32
    assert "tables/methods-plain-fashionmnist.md" in render(results).files


def test_its_cells_are_a_csv_file(make):
    records = [
        make(f"m{i}", auroc=80.0 + i, ood="mnist", model="net", protocol="plain", cell_key=f"{i:016x}", n_ood=7)
        for i in range(8)
    ]
    text = by_network(sections(records, []), {})["methods-plain-fashionmnist.csv"]
    lines = list(csv.DictReader(text.splitlines()))
    assert len(lines) == 8
    (line,) = (line for line in lines if line["method"] == "m3")
    assert {name: line[name] for name in ("model", "ood", "n_ood", "auroc", "cell")} == {
        "model": "net", "ood": "mnist", "n_ood": "7", "auroc": "83.0000", "cell": f"{3:016x}"
    }  # fmt: skip
    assert float(line["low"]) < 83 < float(line["high"])


def test_two_networks_of_one_model_are_two_columns(make):
    records = [
        on(weights, make(f"m{i}", auroc=70.0 + i + 4 * k, ood="mnist", model="net", cell_key=f"{i:08x}{k:08x}"))
        for i in range(8)
        for k, weights in enumerate(("one", "two"))
    ]
    (text,) = (text for name, text in by_network(sections(records, []), {}).items() if name.endswith(".md"))
    head = next(line for line in text.splitlines() if line.startswith("| Method"))
    columns = [cell.strip() for cell in head.strip("|").split("|")]
    assert columns[3:] == [f"net, {short('one')}", f"net, {short('two')}"]
    assert cells_of(text)[0] == ["m7", "79.00", "**1.00**", "77.00 ± 0.38", "81.00 ± 0.38"]


def test_methods_with_the_mark_are_within_the_critical_difference_of_the_first(make):
    (text,) = tables(make, 12).values()
    difference = ranked([list(range(12))] * 2).difference
    assert f"critical difference of average ranks is {difference:.2f} (12 methods, 2 networks, 5 %)" in " ".join(
        text.split()
    )
    marks = [line[2] for line in cells_of(text)]
    assert marks[1:] == [f"{rank}.00{' =' if rank - 1 <= difference else ''}" for rank in range(2, 13)]
    assert sum(mark.endswith("=") for mark in marks) > 0


def test_what_a_method_costs_stands_beside_it_where_it_was_measured(make):
    records = [
        make(name, auroc=80.0 + number, ood=ood, model="net_a", protocol="plain", cell_key=f"{number:08x}{j:08x}")
        for number, name in enumerate(["unknown", *sorted(costs())[:7]])
        for j, ood in enumerate(SETS)
    ]
    text = by_network(sections(records, []), {})["methods-plain-fashionmnist.md"]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert lines[0] == ["Method", "mean", "passes", "net_a"]
    found = {line[0]: line[2] for line in lines[2:]}
    assert found.pop("unknown") == "–"
    assert found == {name: f"{costs()[name].passes:.2f}" for name in found}
    assert "python -m benchmarks.costs" in " ".join(text.split())
