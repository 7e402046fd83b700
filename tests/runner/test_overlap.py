from dataclasses import replace

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.protocols.eloc import ElocProtocol
from ood_bench.protocols.plain import Plain
from ood_bench.runner.cell import Cell, overlapping, seen_in_training


def test_rows_are_counted_by_their_images(toys):
    one, other = toys.image_set("near", 20), toys.image_set("blend", 20)
    scored = [View(one, np.arange(5, 15)), View(other)]
    assert overlapping(scored, []) == {}
    assert overlapping(scored, [View(one, np.arange(5)), View(one, np.arange(15, 20))]) == {}
    assert overlapping(scored, [View(one, np.arange(7)), View(one, np.arange(6))]) == {"toy_near": 2}
    assert overlapping(scored, [View(other, np.array([3, 9])), View(one)]) == {"toy_near": 10, "toy_blend": 2}
    labelled = ImageSet.of("labelled", one.images, np.arange(20))
    assert overlapping(scored, [View(labelled, np.arange(7))]) == {"toy_near": 2}


@pytest.fixture
def chosen(toys):
    """A specification whose epoch is chosen on all of a small test set."""
    base = toys.base_spec()
    recipe = replace(base.recipe, selection="msp_auroc")
    return replace(base, recipe=recipe, validation=toys.image_set("static", 30))


def cell(toys, spec, protocol):
    return Cell(
        "msp", "lenet", toys.detector("msp"), [spec], "near", toys.image_set("near", 20), spec.test, 0, protocol, 0
    )


def test_rows_that_chose_an_epoch_are_not_scored(toys, chosen):
    assert [view.images.name for view in seen_in_training([chosen])] == ["toy_id", "toy_static"]
    assert seen_in_training([toys.base_spec()]) == []
    plain = Plain(name="plain")
    found = cell(toys, chosen, plain)
    assert found.overlap == {"toy_id": 12}
    with pytest.raises(ConfigError, match=r"epochs are chosen on rows that are then scored \(12 of toy_id\)"):
        found.refuse_overlap()
    cell(toys, toys.base_spec(), plain).refuse_overlap()


def test_the_leave_out_protocol_keeps_them_apart(toys, chosen):
    with_more = replace(chosen, test=toys.image_set("id", 1010))
    found = cell(toys, with_more, ElocProtocol(name="eloc"))
    assert found.overlap == {}
