"""A paper on images that are on hand: every row says what they are, and rebuilt sets stay out of the paper's block."""

import pytest

from ood_bench.config import compose_settings
from ood_bench.report import tables
from ood_bench.runner.execute import execute


@pytest.fixture(scope="module")
def subset(toy_root, toys_on_disk, tmp_path_factory):
    """ODIN's paper on a part of CIFAR-10, against a rebuilt set and noise: its records by method and set, its page."""
    folder = tmp_path_factory.mktemp("subset")
    settings = compose_settings(
        [
            "paper=odin_densenet_cifar10",
            "id=cifar10_png_subset",
            "ood=[tin_resize_rebuilt,uniform]",
            *toys_on_disk.words("tin_resize_rebuilt", "uniform"),
            *(f"id.{part}.count={toys_on_disk.COUNT}" for part in ("train", "test")),
            *("protocol.skip=0", "model.depth=10", "train.epochs=1", "train.batch_size=10"),
            *("scoring.resamples=0", "device=cpu", f"data.root={toy_root}"),
            *(f"store.root={folder}/store", f"results.root={folder}/results"),
        ]
    )
    records = {(record.method, record.ood): record for record in execute(settings).records}
    return records, tables.render(folder / "results").files["tables/odin_densenet_cifar10.md"].decode()


def test_records_name_part_rows_and_whose_magnitude_it_is(subset):
    records, _ = subset
    assert len(records) == 4
    for record in records.values():
        assert record.data.id_test.variant == "first 1,017 test rows, exact pixels"
        assert record.n_id == 60
        assert "Rows 0 to 9999 are scored, not 1000 to 9999 as in the paper." in record.deviations
    rebuilt = records["odin", "tin_resize_rebuilt"]
    assert rebuilt.hyperparameters["epsilon"] == 0.0014
    assert rebuilt.evaluation.tuned_on.endswith("published for this set, for which tin_resize_rebuilt stands in")


def test_tables_name_the_part_in_every_row_and_keep_rebuilt_sets_out_of_the_block(subset):
    _, page = subset
    block, beyond = page.split("## Beyond the paper")
    assert "tin_resize_rebuilt" not in block
    assert "tin_resize_rebuilt" in beyond
    ours = [line for line in block.split("## Exact")[0].split("\n") if line.startswith("| ") and "(1)" in line]
    assert len(ours) == 4  # two methods, metrics in two tables
    assert all("cifar10 (first 1,017 test rows, exact pixels)" in line and "| uniform" in line for line in ours)
    assert "**Not the official images: " in block
