import numpy as np
import pytest

from ood_bench.config import compose_settings
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.protocols.base import build_protocol
from ood_bench.protocols.plain import Plain

GRID = [0.0025, 0.005, 0.01, 0.02, 0.04, 0.08]


def protocol(toys, tune="published", **changes):
    return build_protocol({**toys.content("protocol", "godin_paper"), "id_rows": 15, **changes}, tune)


def test_the_shipped_protocol_is_what_is_known_of_the_papers(toys):
    shipped = build_protocol(toys.content("protocol", "godin_paper"), "published")
    assert (shipped.id_rows, shipped.halve, shipped.convention) == (1000, False, "exact")
    assert {name: node["magnitudes"] for name, node in shipped.methods.items()} == dict.fromkeys(
        ("godin_inner", "godin_euclidean", "godin_cosine"), GRID
    )


def test_every_image_of_the_papers_block_is_32x32():
    """Its re-implementation cuts the centre; of ODIN's sets, the crops are larger."""
    sources = {name: node["source"] for name, node in compose_settings(["paper=godin_densenet_cifar10"]).ood.items()}
    cut = {name for name, source in sources.items() if source.get("size") == 32 and source["resize"] == "center_crop"}
    assert cut == {"tin_crop", "lsun_crop"}


@pytest.mark.parametrize("tune", ["published", "id_only"])
def test_epsilon_maximises_the_mean_score_of_the_first_rows(tune, toys):
    inside, outside = toys.image_set("id", 40), toys.image_set("blend", 12)
    found, using = toys.fitted("godin_cosine", magnitudes=GRID)
    outcome = protocol(toys, tune).run("godin_cosine", found, using, inside, outside)
    means = [
        toys.scores("godin_cosine", View(inside, np.arange(15)), using=using, magnitudes=[one]).mean() for one in GRID
    ]
    chosen = GRID[int(np.argmax(means))]
    assert outcome.setting == {"epsilon": chosen}
    np.testing.assert_allclose(np.ravel(outcome.tuning["curve"]), means, rtol=1e-6)
    expected = toys.scores("godin_cosine", View(inside, np.arange(15, 40)), using=using, magnitudes=[chosen])
    np.testing.assert_allclose(outcome.id_scores, expected, rtol=1e-6)
    assert len(outcome.ood_scores) == 12


def test_other_methods_are_scored_on_the_same_rows(toys):
    inside, outside = toys.image_set("id", 40), toys.image_set("blend", 12)
    found, using = toys.fitted("msp")
    outcome = protocol(toys).run("msp", found, using, inside, outside)
    np.testing.assert_array_equal(outcome.id_scores, toys.scores("msp", View(inside))[15:])
    assert (outcome.tuned_on, outcome.tuning) == ("nothing", None)
    ranked = found.paper_scores(using, View(inside, np.arange(15, 40)), [{}])[0, :, 0]
    np.testing.assert_array_equal(outcome.convention_scores[0], ranked)


def test_impossible_combinations_are_refused(toys):
    several = toys.detector("godin_inner", magnitudes=[0.1, 0.0])
    with pytest.raises(ConfigError, match="method godin_inner has 2 candidate settings: with tune=none"):
        protocol(toys, "none").check("godin_inner", several)
    with pytest.raises(ConfigError, match="method odin has 2 candidate settings"):
        protocol(toys).check("odin", toys.detector("odin", temperatures=[1.0, 10.0]))
    with pytest.raises(ConfigError, match="objective_batch is -1"):
        protocol(toys, objective_batch=-1).check_sets(toys.image_set("id", 40), toys.image_set("blend", 12))
    with pytest.raises(ConfigError, match="takes 15 rows of toy_id, which has 12"):
        protocol(toys).check_sets(toys.image_set("id", 12), toys.image_set("blend", 12))


def test_options_change_the_key_of_a_cell(toys):
    plain = protocol(toys).identity()
    for changes in ({"halve": True}, {"id_rows": 16}, {"objective_batch": 4}):
        assert protocol(toys, **changes).identity() != plain


def test_the_plain_protocol_tunes_on_id_rows_too(toys):
    inside, outside = toys.image_set("id", 40), toys.image_set("blend", 12)
    found, using = toys.fitted("godin_cosine", magnitudes=GRID)
    plain = Plain(name="plain", tune="id_only", id_rows=15)
    plain.check("godin_cosine", found)
    plain.check_sets(inside, outside)
    outcome = plain.run("godin_cosine", found, using, inside, outside)
    other = protocol(toys).run("godin_cosine", found, using, inside, outside)
    np.testing.assert_array_equal(outcome.id_scores, other.id_scores)
    assert plain.identity()["id_rows"] == 15


def test_keys_of_plain_cells_do_not_know_of_rows_that_are_not_held_out():
    assert Plain(name="plain").identity() == {"name": "plain", "convention": "exact", "tune": "published", "seed": 0}
    assert Plain(name="plain", id_rows=3).identity() == Plain(name="plain").identity()
