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


@pytest.mark.parametrize(
    ("tune", "objective", "searched"),
    [("aps", "AUROC", "blend"), ("validation_ood", "FPR", "blend"), ("per_set", "FPR", "near")],
)
def test_a_rule_searches_the_published_grid_on_rows_that_are_not_scored(tune, objective, searched, toys):
    inside, blend, near = (toys.image_set(kind, 40) for kind in ("id", "blend", "near"))
    found, using = toys.fitted("react")
    plain = Plain(name="plain", tune=tune, id_rows=10, validation="" if tune == "per_set" else "blend")
    plain.attach({"blend": blend, "near": near})
    plain.check("react", found)
    outcome = plain.run("react", found, using, inside, near)

    first, rest = np.arange(10), np.arange(10, 40)
    seen = {"blend": blend, "near": near}[searched]
    curve = []
    for percentile in (85.0, 90.0, 95.0, 99.0):
        a, b = (toys.scores("react", View(images, first), percentile=percentile) for images in (inside, seen))
        auroc = 100 * ((a[:, None] > b).mean() + (a[:, None] == b).mean() / 2)
        fpr = 100 * (b >= np.sort(a)[0]).mean()  # of 10 ID rows, all must be accepted for 95 %
        curve.append(auroc if tune == "aps" else fpr)
    best = int(np.argmax(curve) if tune == "aps" else np.argmin(curve))
    assert outcome.tuning["candidates"] == [{"percentile": value} for value in (85.0, 90.0, 95.0, 99.0)]
    np.testing.assert_allclose(outcome.tuning["curve"], np.array(curve)[:, None])
    assert outcome.tuning["objective"].startswith(objective)
    assert outcome.setting == outcome.tuning["candidates"][best]
    np.testing.assert_array_equal(outcome.id_scores, toys.scores("react", View(inside, rest), **outcome.setting))
    rows = rest if tune == "per_set" else None
    np.testing.assert_array_equal(outcome.ood_scores, toys.scores("react", View(near, rows), **outcome.setting))
    assert outcome.tuned_on == f"the first 10 rows each of toy_id and toy_{searched}"
    assert [len(view) for view in plain.scored("react", found, inside, blend)] == [30, 30]


def test_a_method_without_a_grid_passes_every_rule_with_its_one_setting(toys):
    inside, blend = toys.image_set("id", 40), toys.image_set("blend", 40)
    found, using = toys.fitted("msp")
    plain = Plain(name="plain", tune="aps", id_rows=10, validation="blend")
    plain.attach({"blend": blend})
    outcome = plain.run("msp", found, using, inside, blend)
    assert (outcome.setting, outcome.tuned_on, outcome.tuning, len(outcome.id_scores)) == ({}, "nothing", None, 30)


@pytest.mark.parametrize("tune", ["aps", "validation_ood"])
def test_the_validation_set_must_be_one_of_the_runs(tune, toys):
    plain = Plain(name="plain", tune=tune, validation="textures")
    with pytest.raises(ConfigError, match=rf"tune={tune}: protocol.validation is 'textures', which is none of .*blend"):
        plain.attach({"blend": toys.image_set("blend", 4)})


def test_sets_with_too_few_rows_for_a_rule_are_refused(toys):
    plain = Plain(name="plain", tune="per_set", id_rows=10)
    with pytest.raises(ConfigError, match="tune=per_set takes 10 rows of toy_near, which has 10"):
        plain.check_sets(toys.image_set("id", 40), toys.image_set("near", 10))


def test_rules_that_see_nothing_of_ood_sets_keep_their_identity():
    """Keys of committed records hang on it."""
    bare = {"name": "plain", "convention": "exact", "seed": 0}
    assert Plain(name="plain").identity() == bare | {"tune": "published"}
    assert Plain(name="plain", tune="id_only").identity() == bare | {"tune": "id_only", "id_rows": 1000}


def test_tables_show_what_was_tuned_on_ood_rows_beside_what_was_not(toys):
    plain = [Plain(name="plain", tune=tune).variant for tune in ("published", "none", "id_only", "aps", "per_set")]
    assert plain == ["", "", "", "APS", "tuned on each OOD set"]
