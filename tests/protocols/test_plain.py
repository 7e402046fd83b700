import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.protocols.base import build_protocol
from ood_bench.protocols.plain import Plain


@pytest.fixture
def plain():
    return Plain(name="plain")


@pytest.mark.parametrize("method", ["msp", "mahalanobis", "fssd", "odin"])
def test_all_rows_are_scored_with_the_only_setting(method, plain, toys):
    inside, outside = toys.image_set("id", 12), toys.image_set("blend", 15)
    found, using = toys.fitted(method)
    outcome = plain.run(method, found, using, inside, outside)
    np.testing.assert_array_equal(outcome.id_scores, toys.scores(method, View(inside)))
    np.testing.assert_array_equal(outcome.ood_scores, toys.scores(method, View(outside)))
    assert [outcome.setting] == found.grid()
    assert (outcome.tuned_on, outcome.tuning, outcome.convention_scores) == ("nothing", None, None)
    assert outcome.rows == "all test rows of both sets"


def test_scores_of_an_image_do_not_depend_on_the_ood_set(plain, toys):
    inside = toys.image_set("id", 12)
    outcomes = []
    for kind in ("blend", "static"):
        found, using = toys.fitted("fssd")
        ood = toys.image_set(kind, 15)
        found.fit(using, plain.generator(ood))
        outcomes.append(plain.run("fssd", found, using, inside, ood))
    np.testing.assert_array_equal(outcomes[0].id_scores, outcomes[1].id_scores)


def test_the_generator_follows_the_seed_alone(toys):
    sets = [toys.image_set("blend", 15), toys.image_set("static", 9)]
    first, second = (Plain(name="plain", seed=3).generator(ood).randint(0, 255, 50) for ood in sets)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, np.random.RandomState(3).randint(0, 255, 50))
    assert not np.array_equal(first, Plain(name="plain").generator(sets[0]).randint(0, 255, 50))


@pytest.mark.parametrize("tune", ["published", "none"])
def test_several_candidates_are_refused(tune, toys):
    plain = Plain(name="plain", tune=tune)
    with pytest.raises(ConfigError, match="method odin has 4 candidate settings, and protocol=plain tunes nothing"):
        plain.check("odin", toys.detector("odin", magnitudes=[0.1, 0.0], temperatures=[1.0, 10.0]))
    plain.check("odin", toys.detector("odin"))


def test_every_shipped_method_fits_the_shipped_protocol(toys):
    shipped = build_protocol(toys.content("protocol", "plain"), "published")
    assert (shipped.name, shipped.convention, shipped.seed, shipped.methods) == ("plain", "exact", 0, {})
    for method in toys.METHODS:
        shipped.check(method, toys.detector(method))
    shipped.check_sets(toys.image_set("id", 1), toys.image_set("blend", 1))
