"""Every way of tuning, for every method that has something to tune."""

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.protocols.eloc import ElocProtocol
from ood_bench.protocols.odin import OdinProtocol
from ood_bench.protocols.plain import Plain
from ood_bench.runner.cell import Cell
from ood_bench.tuning.search import FPR95, ID_MEAN
from ood_bench.utils.configs import conf_dir

GRIDS = {
    "odin": {"magnitudes": [0.05, 0.0], "temperatures": [10.0]},
    "mahalanobis": {"magnitudes": [0.05, 0.0], "taps": ["all"]},
    "iodin": {"magnitudes": [0.05, 0.0], "temperatures": [1000.0]},
    "eloc": {"magnitudes": [0.05, 0.0], "temperatures": [1000.0]},
    "godin_inner": {"magnitudes": [0.05, 0.0]},
    "godin_port_baseline": {"magnitudes": [5.0, 0.0]},
    "fssd": {"magnitudes": [0.05, 0.0], "gradient_batch": 16},
}
SEARCHES = ("per_set", "validation_ood", "id_only")
NOT_BY_ID = ("fssd", "id_only")  # its scores are standardised at every setting anew
KINDS = {"odin": {"skip": 10, "stop": 40}, "eloc": {"validation_rows": 10}}


def protocol(name, tune, **options):
    kind = {"odin": OdinProtocol, "eloc": ElocProtocol}[name]
    return kind(name=name, **{**KINDS[name], "tune": tune, "validation": "other", **options})


def sets(toys):
    return toys.image_set("id", 40), toys.image_set("near", 36), toys.image_set("blend", 30)


def cell(toys, method, chooser, outside):
    found = toys.detector(method, **GRIDS.get(method, {}))
    specs = found.networks(toys.networks())
    return Cell(method, "lenet", found, specs, "graded", outside, toys.image_set("id", 40), 0, chooser, 0)


def test_every_method_with_a_step_is_here(toys):
    shipped = {path.stem for path in (conf_dir() / "method").glob("*.yaml")}
    with_steps = {name for name in shipped if "magnitudes" in toys.detector(name).hyperparameters()}
    heads = {"godin_euclidean", "godin_cosine", "godin_port"}  # other heads of godin_inner
    parts = {"mahalanobis_plain", "mahalanobis_inputpre", "mahalanobis_ensemble"}  # mahalanobis with other defaults
    assert with_steps == {*GRIDS, *heads, *parts, "mdsens"}  # mahalanobis with another step


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("method", "tune"), [(method, tune) for method in GRIDS for tune in SEARCHES if (method, tune) != NOT_BY_ID]
)
def test_every_search_of_every_method(method, name, tune, toys):
    inside, outside, other = sets(toys)
    chooser = protocol(name, tune)
    chooser.attach({"graded": outside, "other": other})
    found, using = toys.fitted(method, **GRIDS[method])
    chooser.check(method, found)
    cell(toys, method, chooser, outside).refuse_overlap()
    outcome = chooser.run(method, found, using, inside, outside)
    searched = {"per_set": {"toy_near": 10}, "validation_ood": {"toy_blend": 10}, "id_only": {}}[tune]
    assert outcome.tuning["seen"] == {"toy_id": 10, **searched}
    assert outcome.tuning["candidates"] == found.grid()
    rule = ID_MEAN if tune == "id_only" else FPR95
    assert outcome.tuning["objective"] == rule.objective
    curve = np.ravel(outcome.tuning["curve"])
    assert outcome.setting == found.grid()[int(curve.argmax() if tune == "id_only" else curve.argmin())]
    assert ("no OOD image" in outcome.tuned_on) == (tune == "id_only")


@pytest.mark.parametrize("name", KINDS)
def test_a_step_that_id_images_cannot_choose_is_refused(name, toys):
    with pytest.raises(ConfigError, match="method fssd has 2 candidate settings, and its mean score on ID images"):
        protocol(name, "id_only").check("fssd", toys.detector("fssd", **GRIDS["fssd"]))


def test_rows_of_a_set_that_is_scored_under_another_name_are_refused(toys):
    """The OOD set is the ID test set itself."""
    plain = Plain(name="plain", tune="id_only", id_rows=10)
    with pytest.raises(
        ConfigError, match=r"settings or epochs are chosen on rows that are then scored \(10 of toy_id\)"
    ):
        cell(toys, "odin", plain, toys.image_set("id", 40)).refuse_overlap()
    cell(toys, "odin", plain, toys.image_set("near", 40)).refuse_overlap()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("method", ["odin", "mahalanobis", "eloc"])
def test_the_mean_score_of_validation_rows_is_what_id_only_tuning_compares(method, name, toys):
    inside, outside, _ = sets(toys)
    found, using = toys.fitted(method, **GRIDS[method])
    chooser = protocol(name, "id_only")
    outcome = chooser.run(method, found, using, inside, outside)
    rows = np.arange(10) if name == "odin" else np.random.RandomState(3).permutation(40)[:10]
    means = [found.raw_scores(using, View(inside, rows), [one])[0].sum(axis=1).mean() for one in found.grid()]
    np.testing.assert_allclose(np.ravel(outcome.tuning["curve"]), means, rtol=1e-5)


@pytest.mark.parametrize("tune", ["published", "none", *SEARCHES])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("method", ["msp", "energy", "odin"])
def test_a_method_with_nothing_to_choose_passes_every_way(method, name, tune, toys):
    inside, outside, other = sets(toys)
    chooser = protocol(name, tune)
    chooser.attach({"graded": outside, "other": other})
    found, using = toys.fitted(method)
    chooser.check(method, found)
    outcome = chooser.run(method, found, using, inside, outside)
    assert (outcome.tuned_on, outcome.tuning, outcome.setting) == ("nothing", None, found.grid()[0])
    assert chooser.seen(method, found, inside, outside) == ()


def test_a_set_without_a_published_magnitude_is_refused_before_anything_is_trained(toys):
    """The runner asks every cell for its overlap when it plans."""
    inside, outside, _ = sets(toys)
    chooser = protocol("odin", "published", epsilons={"other": 0.002})
    chooser.check("odin", toys.detector("odin", **GRIDS["odin"]))
    with pytest.raises(ConfigError, match=f"protocol.epsilons names no magnitude for {outside.name}"):
        cell(toys, "odin", chooser, outside).refuse_overlap()
    one = toys.detector("odin", magnitudes=[0.05], temperatures=[10.0])
    assert chooser.seen("odin", one, inside, outside) == ()
