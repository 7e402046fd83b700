"""Rankings over networks, from records of which every number is known."""

import csv
import io
import re
from pathlib import Path

import pytest
from PIL import Image

from ood_bench.metrics.ranks import least_p, networks_needed
from ood_bench.report import compare, rank_plot, ranks
from ood_bench.report.networks import by_network, titles

METHODS = ("a", "b", "c", "d")
DOCS = Path(__file__).parents[2] / "docs" / "verdicts.md"


def records(make, seeds=3, without=(), first=0, **changes):
    """Method i on set j with seed k has an AUROC of 90 - 3 i + j + k; b and c change places at the last seed."""
    swap = {"b": 2, "c": 1}
    found = []
    for k in range(first, first + seeds):
        for i, method in enumerate(METHODS):
            for j, ood in enumerate(("mnist", "kmnist")):
                if (method, ood, k) not in without:
                    place = swap.get(method, i) if k == first + seeds - 1 else i
                    key = f"{i:08x}{j:04x}{k:04x}"
                    found.append(make(method, seed=k, auroc=90.0 - 3 * place + j + k, ood=ood, cell_key=key, **changes))
    return found


def only(found):
    (ranking,) = found.values()
    return ranking


def test_methods_are_ranked_on_every_network(make):
    found = only(ranks.rankings(records(make)))
    assert found.networks == [f"{make().model}, seed {k}" for k in range(3)]
    assert found.methods == list(METHODS)
    assert found.ranks == [[1, 1, 1], [2, 2, 3], [3, 3, 2], [4, 4, 4]]
    assert found.average == pytest.approx([1, 7 / 3, 8 / 3, 4])
    assert found.values[0] == pytest.approx([90.5, 91.5, 92.5])
    assert found.p == pytest.approx([0.25] * 3)
    assert found.holm == pytest.approx([0.75] * 3)


def test_what_so_few_networks_cannot_say_is_computed(make):
    few, many = (only(ranks.rankings(records(make, seeds))) for seeds in (3, 7))
    assert few.limits.startswith("3 networks cannot give p below 0.25 in a two-sided paired permutation test")
    assert few.limits.endswith(f"takes {networks_needed(3)} networks (Holm over 3 methods).")
    assert many.limits == (
        "7 networks cannot give p below 0.01562 in a two-sided paired permutation test, "
        "or below 0.04688 by Holm over 3 methods."
    )


def test_the_docs_have_the_least_p_of_each_number_of_networks():
    lines = DOCS.read_text(encoding="utf-8").splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("| networks |"))
    n, p = (re.findall(r"\d[\d.]*", lines[head + step]) for step in (0, 2))
    assert p == [f"{least_p(int(one)):.4g}" for one in n]
    assert f"43 of them take {networks_needed(43)} networks" in DOCS.read_text(encoding="utf-8")


def test_methods_that_lack_a_set_and_networks_that_lack_most_methods_are_left_out(make):
    lacking = {("d", "kmnist", 1)} | {(method, ood, 2) for method in "abc" for ood in ("mnist", "kmnist")}
    found = only(ranks.rankings(records(make, without=lacking)))
    assert found.methods == ["a", "b", "c"]
    assert len(found.networks) == 2
    assert found.left_out == ["d", f"{make().model}, seed 2"]


@pytest.mark.parametrize("seeds", [1, 0])
def test_one_network_ranks_nothing(make, seeds):
    assert ranks.rankings(records(make, seeds)) == {}


def test_one_checkpoint_under_two_seeds_is_one_network(make):
    one = make(seed=0).content()["checkpoint"]
    every = [make(seed=seed, checkpoint=one) for seed in (0, 1)] + [make(seed=2)]
    found = by_network(every)
    assert [len(mine) for mine in found.values()] == [2, 1]
    assert list(titles(found).values()) == [f"{make().model}, seed {seed}" for seed in (0, 2)]


def test_several_id_sets_have_a_ranking_together(make):
    other = records(make, first=3, id_variant="jpeg")
    found = ranks.rankings([*records(make), *other])
    assert [(images, len(one.networks)) for (_, images), one in found.items()] == [
        ("fashionmnist", 3), ("fashionmnist (jpeg)", 3), ("", 6)
    ]  # fmt: skip


def test_the_command_writes_table_and_plot_and_says_its_limits(make, results, fill, caplog):
    fill(*records(make))
    caplog.set_level("INFO")
    assert compare.main(["--ranks", "--results", str(results)]) == 0
    (table,) = (results / "paired" / "ranks").glob("*.csv")
    lines = list(csv.DictReader(table.read_text().splitlines()))
    assert [line["method"] for line in lines] == list(METHODS)
    assert [line["p"] for line in lines] == ["", "0.25", "0.25", "0.25"]
    assert {line["least_p"] for line in lines} == {"0.25"}
    assert {path.suffix for path in (results / "plots").glob("ranks-*")} == {".svg", ".png"}
    assert "3 networks cannot give p below 0.25" in caplog.text


def test_without_networks_the_command_says_what_is_missing(make, results, fill, capsys):
    fill(*records(make, 1))
    assert compare.main(["--ranks", "--results", str(results)]) == 2
    assert "run more seeds" in capsys.readouterr().err


def test_the_plot_of_many_methods_is_tall_enough_for_their_names_and_the_same_each_time():
    values = {f"n{k}": {f"m{i:02}": float(i + (7 * i + 5 * k) % 9) for i in range(44)} for k in range(4)}
    ranking = ranks.rank(values)
    found = {("plain", "cifar10"): ranking}
    (svg, png) = rank_plot.of(found).items()
    assert rank_plot.of(found) == dict([svg, png])
    assert Image.open(io.BytesIO(png[1])).height > 44 * 0.15 * 160
    assert len(rank_plot.diagram("plain", "", ranking).axes[1].lines) == len(ranking.groups) > 1
