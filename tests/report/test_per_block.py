import shutil
import xml.etree.ElementTree as ET

import pytest

from ood_bench.report import per_block, site
from ood_bench.report.__main__ import main
from ood_bench.report.rows import gather
from ood_bench.results import RecordStore

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
    blocks = per_block.by_block(rows)
    assert list(blocks) == ["block1.1", "block2.2", "block2.10"]
    assert [len(mine) for mine in blocks.values()] == [2, 2, 2]
    means = {name: ratio + 0.05 for name, ratio in BLOCKS.items()}
    assert {name: per_block.ratio(mine) for name, mine in blocks.items()} == pytest.approx(means)


def test_a_chart_for_each_network_and_id_set_the_same_each_time(swept, make):
    jpeg = make(
        "feature_norm_blocks",
        variant="block1.1",
        id_variant="JPEG copy",
        hyperparameters={"tap": "block1.1", "norm_ratio": {"block1.1": 1.0}},
    )
    made = per_block.charts([*swept, jpeg])
    one = swept[0]
    stems = [f"{one.protocol}-{one.model}-{one.id}{images}-blocks" for images in ("", "-jpeg-copy")]
    assert sorted(made) == sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))
    assert made == per_block.charts([jpeg, *reversed(swept)])
    assert all(made[name].startswith(b"\x89PNG") for name in made if name.endswith("png"))
    bars = [ET.fromstring(made[name]).findall(".//*[@id]") for name in (f"{stem}.svg" for stem in stems)]  # noqa: S314
    assert len(bars[0]) > len(bars[1])


def test_the_report_writes_them_once(swept, fill, results):
    fill(*swept)
    assert main(["--results", str(results)]) == 0
    (svg,) = (results / "plots").glob("*-blocks.svg")
    assert len(RecordStore(results).load()) == len(swept)
    assert site.write(results) == []
    svg.unlink()
    assert site.write(results) == [svg]
    shutil.rmtree(results / "records")
    assert svg in site.write(results)
    assert not svg.exists()


def test_without_such_records_there_is_no_chart(make):
    assert per_block.charts([make("msp"), make("feature_norm")]) == {}
