"""What makes two cells the same."""

from dataclasses import replace

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.msp import Msp
from ood_bench.methods.odin import Odin
from ood_bench.protocols.plain import Plain
from ood_bench.runner.cell import Cell
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec


@pytest.fixture
def cell():
    def images(name, seed, labelled):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
        return ImageSet.of(name, pixels, [0, 1] * 3 if labelled else None)

    data = images("digits", 0, labelled=True)
    spec = TrainingSpec(
        model={"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet"},
        recipe=recipe_from({"name": "toy"}),
        data=data,
        test=data,
        classes=2,
        normalisation={"mean": [0.5], "std": [0.2]},
        seed=0,
    )
    ood, test = images("noise", 2, labelled=False), images("digits", 1, labelled=True)
    return Cell("msp", "lenet", Msp(), [spec], "noise", ood, test, 0, Plain("plain"), 10)


def test_the_key_is_computed_once(cell, monkeypatch):
    key = cell.key
    monkeypatch.setattr("ood_bench.runner.cell.content_key", None)
    assert cell.address == f"digits/noise/{key}"


def test_the_key_of_a_cell_is_that_of_its_ingredients(cell):
    spec, pixels = cell.specs[0], cell.ood.images.copy()
    pixels[0, 0, 0, 0] ^= 1
    changed = {
        "nothing": cell,
        "method": replace(cell, method="other"),
        "model": replace(cell, model="other"),
        "detector": replace(cell, detector=Odin()),
        "revision": replace(cell, detector=type("Msp", (Msp,), {"revision": 2})()),
        "epsilon": replace(cell, detector=Odin(magnitudes=[0.0])),
        "network": replace(cell, specs=[replace(spec, seed=1)]),
        "two networks": replace(cell, specs=[spec, spec]),
        "test set": replace(cell, test=cell.specs[0].data),
        "one pixel": replace(cell, ood=ImageSet.of("noise", pixels)),
        "seed": replace(cell, seed=1),
        "resamples": replace(cell, resamples=11),
        "convention": replace(cell, protocol=Plain("plain", convention="fssd")),
        "protocol": replace(cell, protocol=Plain("other")),
        "protocol's seed": replace(cell, protocol=Plain("plain", seed=1)),
    }
    keys = {name: one.key for name, one in changed.items()}
    assert len(set(keys.values())) == len(keys), keys


def test_words_do_not_change_the_key_of_a_cell(cell):
    worded = Plain("plain", deviations=["a footnote"], method_deviations={"msp": ["another"]}, methods={"x": {"y": 1}})
    for same in (
        replace(cell, protocol=worded),
        replace(cell, ood_name="renamed"),
        replace(cell, ood=ImageSet.of("renamed", cell.ood.images, variant="a copy")),
    ):
        assert same.key == cell.key
    assert cell.title == "msp on noise, seed 0"
