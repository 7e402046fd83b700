import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.protocols.base import build_protocol
from ood_bench.protocols.eloc import ElocProtocol

GRID = {"magnitudes": [0.02, 0.0], "temperatures": [1.0, 1000.0]}


def protocol(**options):
    return ElocProtocol(name="eloc", convention="eloc", **{"validation_rows": 10, **options})


def blank(name, count):
    return ImageSet.of(name, np.arange(count, dtype=np.uint32).astype(np.uint8).reshape(count, 1, 1, 1))


def left_out(count, rows=10):
    return set(np.random.RandomState(3).permutation(count)[:rows].tolist())


def test_the_published_rows(toys):
    """9,000 of 10,000 images of either set, in file order; a shorter set is permuted for itself."""
    found = ElocProtocol(name="eloc")
    detector = toys.detector("eloc")
    views = found.scored("eloc", detector, blank("id", 10_000), blank("ood", 10_000))
    out = left_out(10_000, 1000)
    assert {5876, 6555, 1448} <= out
    for view in views:
        assert view.rows.tolist() == [row for row in range(10_000) if row not in out]
    _, isun = found.scored("eloc", detector, blank("id", 10_000), blank("isun", 8925))
    assert isun.rows.tolist() == [row for row in range(8925) if row not in left_out(8925, 1000)]
    _, letters = found.scored("eloc", detector, blank("id", 10_000), blank("letters", 20_800))
    assert letters.rows.tolist() == views[0].rows.tolist()


def test_published_magnitudes_go_by_the_set(toys):
    inside, outside = toys.image_set("id", 40), toys.image_set("near", 36)
    found, using = toys.fitted("eloc", **GRID)
    with_table = protocol(epsilons={"toy_near": 0.02}, temperature=1000.0)
    outcome = with_table.run("eloc", found, using, inside, outside)
    assert outcome.setting == {"epsilon": 0.02, "temperature": 1000.0}
    assert outcome.tuned_on == "images of toy_near, probably: the magnitude published for this set"
    rows = np.array([row for row in range(36) if row not in left_out(36)])
    expected = found.raw_scores(using, View(outside, rows), [outcome.setting])[0][:, 0]
    np.testing.assert_array_equal(outcome.ood_scores, expected)
    assert (len(outcome.id_scores), outcome.tuning) == (30, None)
    stand_in = protocol(epsilons={"other": 0.0}, stands_for={"toy_near": "other"})
    assert stand_in.run("eloc", found, using, inside, outside).setting["epsilon"] == 0.0


def test_what_cannot_be_chosen_is_refused_before_any_work(toys):
    found = toys.detector("eloc", **GRID)
    with pytest.raises(ConfigError, match="method eloc has 4 candidate settings"):
        protocol().check("eloc", found)
    with pytest.raises(ConfigError, match="method eloc has 4 candidate settings"):
        protocol(tune="none", epsilons={"x": 0.1}).check("eloc", found)
    protocol(epsilons={"x": 0.1}).check("eloc", found)
    with pytest.raises(ConfigError, match=r"protocol\.validation is 'isun', which is none of this run's OOD sets"):
        protocol(tune="validation_ood", validation="isun").attach({"mnist": toys.image_set("near", 20)})
    with pytest.raises(ConfigError, match="leaves out 10 rows of toy_near, which has only 10"):
        protocol().check_sets(toys.image_set("id", 20), toys.image_set("near", 10))
    with pytest.raises(ConfigError, match="validation_rows must be at least 1"):
        protocol(validation_rows=0)


def test_the_shipped_config_makes_it(toys):
    config = toys.content("protocol", "eloc")
    made = build_protocol(config, "published")
    assert (made.validation_rows, made.split_seed, made.temperature, made.convention) == (1000, 3, 1000, "eloc")
