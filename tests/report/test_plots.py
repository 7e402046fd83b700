import io
import shutil
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from msgspec.structs import replace
from PIL import Image

from ood_bench.papers.block import load_blocks
from ood_bench.report import plots, tables
from ood_bench.report.rows import gather
from ood_bench.report.sections import sections
from ood_bench.results.details import Details, Histogram, Line


@pytest.fixture
def section(make, conf):
    def made(**changes):
        (found,) = sections([make("msp", **changes), make("odin", **changes)], load_blocks(conf))
        return found

    return made


def details(row):
    line, key = Line(x=[0.0, 0.3, 1.0], y=[0.0, 0.8, 1.0]), row.records[0].cell_key
    bins = Histogram(low=0.0, high=1.0, id=[1], ood=[1])
    return {key: Details(cell_key=key, histogram=bins, roc=line, pr_in=line, pr_out=line)}


def test_files_are_whole_and_equal_every_time(section, monkeypatch):
    one = section()
    first = plots.of(one, details(one.rows[0]))
    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 9.0)  # as a user's matplotlibrc might
    assert plots.of(one, details(one.rows[0])) == first
    assert mpl.rcParams["lines.linewidth"] == 9.0
    assert set(first) == {f"{name}.{kind}" for name in ("comparison", "roc-mnist") for kind in ("svg", "png")}
    for name, content in first.items():
        if name.endswith(".svg"):
            assert ET.fromstring(content).tag.endswith("svg")  # noqa: S314 - our own file
        else:
            assert Image.open(io.BytesIO(content)).size[0] > 400


def test_without_details_only_the_comparison_is_drawn(section):
    assert set(plots.of(section(), {})) == {"comparison.svg", "comparison.png"}


def test_what_lies_beyond_a_bar_is_not_reproduced(make, conf):
    (found,) = sections([make("msp", seed, 77.0 + seed / 10) for seed in range(3)], load_blocks(conf))
    auroc, fpr = plots.comparison(found).axes
    (dot,) = [line for line in auroc.lines if line.get_marker() == "o"]
    assert dot.get_color() == plots.COLOURS["reproduced"]
    for panel, ends in ((auroc, (76.1, 78.1)), (fpr, (40.0, 44.0))):  # the margins, which are more than chance
        assert panel.collections[0].get_segments()[0][:, 0] == pytest.approx(ends)


def test_the_comparison_shows_each_number_once(section):
    figure = plots.comparison(section())
    auroc, fpr = figure.axes
    ticks = [line for line in auroc.lines if line.get_color() == "#14171f"]
    dots = [line for line in auroc.lines if line.get_marker() == "o"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ticks] == [
        (77.3, 0),
        (87.9, 1),
        (76.5, 2),
        (99.6, 3),
    ]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in dots] == [(77.0, 0), (77.0, 1)]
    assert dots[0].get_color() == plots.COLOURS["undecided"]
    assert dots[1].get_color() == plots.COLOURS["undecided"]
    assert not auroc.collections  # the bars of what one network tells
    assert [label.get_text() for label in auroc.get_yticklabels()] == ["msp", "odin", "mc_dropout", "fssd"]
    assert fpr.get_xlabel() == "FPR80, percent"


BLOCKS = {"block1.1": 1.2, "block2.10": 0.9, "block2.2": 1.7}


@pytest.fixture
def swept(make):
    """Two OOD sets and two seeds of three blocks, and one record of another method."""
    records = [
        make(
            "feature_norm_blocks",
            seed,
            auroc=50.0 + 10 * place + seed,
            ood=ood,
            variant=block,
            hyperparameters={"tap": block, "norm_ratio": {block: ratio + seed / 10}},
        )
        for seed in (0, 1)
        for ood in ("mnist", "kmnist")
        for place, (block, ratio) in enumerate(BLOCKS.items())
    ]
    return [*records, make("msp")]


def test_blocks_come_in_the_networks_order_with_the_mean_of_their_ratios(swept):
    rows = gather(record for record in swept if record.variant)
    blocks = plots.by_block(rows)
    assert list(blocks) == ["block1.1", "block2.2", "block2.10"]
    assert [len(mine) for mine in blocks.values()] == [2, 2, 2]
    means = {name: ratio + 0.05 for name, ratio in BLOCKS.items()}
    assert {name: plots.ratio(mine) for name, mine in blocks.items()} == pytest.approx(means)


def test_one_network_under_two_seeds_counts_once(swept):
    """Of seeds 0 and 1 on one network and seed 2 on another, the ratios are 1.2, 1.3 and 2.25."""
    first = next(record for record in swept if record.variant == "block1.1")
    update = {"seed": 1, "hyperparameters": {"norm_ratio": {"block1.1": 1.3}}}
    other = replace(first.checkpoint, sha256="f" * 64)
    third = {"seed": 2, "hyperparameters": {"norm_ratio": {"block1.1": 2.25}}, "checkpoint": other}
    rows = gather([first, *(replace(first, **one) for one in (update, third))])
    assert plots.ratio(rows) == pytest.approx((1.25 + 2.25) / 2)


def test_a_chart_for_each_network_and_id_set_the_same_each_time(swept, make):
    jpeg = make(
        "feature_norm_blocks",
        variant="block1.1",
        id_variant="JPEG copy",
        hyperparameters={"tap": "block1.1", "norm_ratio": {"block1.1": 1.0}},
    )
    made = plots.per_block([*swept, jpeg])
    one = swept[0]
    stems = [f"{one.protocol}-{one.model}-{one.id}{images}-blocks" for images in ("", "-jpeg-copy")]
    assert sorted(made) == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))
    assert made == plots.per_block([jpeg, *reversed(swept)])
    assert all(made[name].startswith(b"\x89PNG") for name in made if name.endswith("png"))
    bars = [ET.fromstring(made[name]).findall(".//*[@id]") for name in (f"{stem}.svg" for stem in stems)]  # noqa: S314
    assert len(bars[0]) > len(bars[1])


def test_the_report_writes_them_and_removes_them(swept, fill, results, conf):
    fill(*swept)
    charts = [path for path in tables.write(results) if "-blocks" in path.name]
    assert {path.suffix for path in charts} == {".svg", ".png"}
    shutil.rmtree(results / "records")
    assert set(charts) < set(tables.write(results))


def test_without_such_records_there_is_no_chart(make):
    assert plots.per_block([make("msp"), make("feature_norm")]) == {}
