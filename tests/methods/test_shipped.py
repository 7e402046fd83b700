"""What holds for every shipped detector, whatever it computes."""

import copy
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from method_changes import CHANGES, OUTSIDE

from ood_bench.data.views import View
from ood_bench.errors import ConfigError, NotFiniteError
from ood_bench.methods.map_shaping import MapShapingDetector
from ood_bench.models.classifier import Classifier

SHIPPED = [path.stem for path in sorted((Path(__file__).resolve().parents[2] / "conf" / "method").glob("*.yaml"))]

# Flavours that run through other code than the shipped defaults do.
FLAVOURS = {
    "adascale-l": ("adascale", {"kind": "l", "share": 0.5}),
    "odin-grid": ("odin", {"magnitudes": [0.05, 0.01, 0.0], "temperatures": [1.0, 1000.0]}),
    "odin-clean": ("odin", {"magnitudes": [0.0]}),
    "iodin-grid": ("iodin", {"magnitudes": [0.5, 0.0], "temperatures": [1.0, 1000.0]}),
    "mahalanobis-steps": ("mahalanobis", {"magnitudes": [0.05, 0.0], "taps": ["all"]}),
    "fssd-steps": ("fssd", {"magnitudes": [0.05, 0.0], "gradient_batch": 16}),
    "deep_ensemble-mean_of_max": ("deep_ensemble", {"combine": "mean_of_max"}),
    "godin_inner-g": ("godin_inner", {"statistic": "g"}),
    "godin_inner-steps": ("godin_inner", {"magnitudes": [0.05, 0.0], "statistic": "max_f", "clip": True}),
    "godin_cosine-steps": ("godin_cosine", {"magnitudes": [0.05, 0.0], "unit": "normalised"}),
    "mc_dropout-logit_variance": ("mc_dropout", {"statistic": "logit_variance", "passes": 6}),
    "eloc-grid": ("eloc", {"magnitudes": [0.005, 0.0], "temperatures": [1.0, 1000.0]}),
    "eloc-entropy": ("eloc", {"perturb_loss": "entropy", "magnitudes": [0.05]}),
    "outlier_exposure-scratch": (
        "outlier_exposure",
        {"train": {"start": "scratch", "loss": {"name": "outlier_exposure"}, "outlier_batch_size": 4}},
    ),
}
CASES = {**{name: (name, {}) for name in SHIPPED}, **FLAVOURS}
BY_BATCH = {"fssd-steps"}  # scores depend on the other images of a batch
# On these toys nothing but ID images has long features, which are far from every class weight and say nothing of g.
# SHE's inner products are small for every image of the one class whose features are short; see test_she.py. So is
# GradNorm's product with their length (over all weights too), and fDBD's distance from the boundaries; see
# test_gradnorm.py and test_fdbd.py.
# A patch of one colour is nearly all in the first singular value of a map: RankFeat leaves little to tell of it.
# The toys learn classes only, not the weights of VOS's energy; see training/test_vos.py.
NOT_ON_TOYS = {"godin_euclidean", "godin_inner-g", "she", "gradnorm", "gradnorm_all", "fdbd", "rankfeat", "vos"}
# Blends lie so far from every class that OpenMax's Weibull distributions are all 1 there, and their features are so
# small that AdaSCALE's distribution is 0.
FAR = {"adascale", "openmax"}
# The toy network classifies all its training images rightly; see test_openmax.py.
NEEDS_MISTAKES = {("openmax", "definition")}
RANDOM = {"mc_dropout", "mc_dropout-logit_variance"}


@pytest.fixture(params=CASES)
def case(request, toys):
    """Name of a case, and a function that gives its raw scores ``[settings, n, K]`` on a view."""
    method, changes = CASES[request.param]

    def raw_scores(view, batch_size=50):
        found = toys.detector(method, **changes)
        return toys.raw_scores(method, view, using=toys.scorer(found, batch_size), **changes)

    return request.param, raw_scores


KNOWN = {}


@pytest.fixture
def known(case, toys):
    """The case's raw scores of 40 ID images, computed once for all tests of a process."""
    name, raw_scores = case
    if name not in KNOWN:
        KNOWN[name] = raw_scores(View(toys.image_set("id", 40)))
        KNOWN[name].flags.writeable = False
    return KNOWN[name]


def test_every_shipped_method_is_in_these_tests():
    assert set(CHANGES) == set(SHIPPED)
    assert {method for method, _ in FLAVOURS.values()} <= set(SHIPPED)


def test_raw_scores_are_finite_float64_rows(case, known, toys):
    method, changes = CASES[case[0]]
    found = toys.detector(method, **changes)
    taps = 4 if method in ("fssd", "mahalanobis_ensemble") or changes.get("taps") == ["all"] else 1
    assert known.shape == (len(found.grid()), 40, taps)
    assert known.dtype == np.float64
    assert np.isfinite(known).all()


@pytest.mark.parametrize("kind", ["blend", "static"])
@pytest.mark.parametrize("method", [name for name in SHIPPED if name not in NOT_ON_TOYS])
def test_scores_are_higher_for_in_distribution_images(method, kind, toys):
    inside, outside = (toys.scores(method, View(toys.image_set(name, 40))) for name in ("id", kind))
    assert (inside[:, None] > outside[None]).mean() > 0.9


@pytest.mark.parametrize("flavour", [name for name in FLAVOURS if name not in RANDOM | NOT_ON_TOYS])
def test_every_raw_score_is_higher_for_in_distribution_images(flavour, toys):
    method, changes = FLAVOURS[flavour]
    inside, outside = (toys.raw_scores(method, View(toys.image_set(name, 40)), **changes) for name in ("id", "blend"))
    share = (inside[:, :, None] > outside[:, None]).mean(axis=(1, 2))
    assert (share.max(axis=1) > 0.9).all()  # some tap at every setting


def test_the_engines_batch_size_does_not_matter(case, known, toys):
    again = case[1](View(toys.image_set("id", 40)), batch_size=7)
    np.testing.assert_allclose(again, known, rtol=2e-4, atol=1e-6)


def test_the_order_of_rows_matters_to_no_score_that_is_computed_image_by_image(case, known, toys):
    name, raw_scores = case
    rows = np.random.default_rng(3).permutation(40)
    straight, permuted = known, raw_scores(View(toys.image_set("id", 40), rows))
    same = np.isclose(straight[:, rows], permuted, rtol=2e-4, atol=1e-6).reshape(-1, 40 * straight.shape[2]).mean()
    if name in BY_BATCH:
        assert np.isclose(straight[1][rows], permuted[1], rtol=2e-4, atol=1e-6).all()  # magnitude 0: image by image
        assert not np.isclose(straight[0][rows], permuted[0], rtol=2e-4).all()
    elif name in RANDOM:
        assert same < 0.5
    else:
        assert same == 1


def test_scoring_twice_gives_the_same(case, known, toys):
    np.testing.assert_array_equal(case[1](View(toys.image_set("id", 40))), known)


@pytest.mark.parametrize("flavour", ["odin-grid", "mahalanobis-steps", "fssd-steps", "godin_inner-steps", "eloc-grid"])
def test_settings_come_in_the_order_asked_for_and_do_not_depend_on_each_other(flavour, toys):
    method, changes = FLAVOURS[flavour]
    found, using = toys.fitted(method, **changes)
    view, grid = View(toys.image_set("near", 12)), found.grid()
    whole = found.raw_scores(using, view, grid)
    picked = [len(grid) - 1, 0, len(grid) - 1]
    np.testing.assert_array_equal(found.raw_scores(using, view, [grid[number] for number in picked]), whole[picked])
    for number, setting in enumerate(grid):
        np.testing.assert_allclose(found.raw_scores(using, view, [setting])[0], whole[number], rtol=1e-6)


def test_paper_scores_rank_like_raw_scores(case, toys):
    """Float32 joins neighbours, but never swaps images by more than its rounding."""
    method, changes = CASES[case[0]]
    found, using = toys.fitted(method, **changes)
    view = View(toys.image_set("near", 40))
    raw, paper = (give(using, view, found.grid()) for give in (found.raw_scores, found.paper_scores))
    assert paper.shape == raw.shape
    assert found.paper_revision > 0 or np.array_equal(raw, paper)
    ordered = np.take_along_axis(paper, np.argsort(raw, axis=1), axis=1)
    assert (np.diff(ordered, axis=1) >= -1e-6 * np.abs(ordered).max()).all()


def scores_of(toys, method, changes):
    """Scores of images that are not ID, computed once for all changes that come to the same hyperparameters."""
    found = toys.detector(method, **changes)
    key = method, *(repr(getattr(found, field.name)) for field in fields(found))
    if key not in KNOWN:
        using = toys.scorer_with(toys.norm_classifier()) if method == "mc_dropout" else None
        view = View(toys.image_set("near" if method in FAR else "blend", 40))
        KNOWN[key] = toys.scores(method, view, using=using, **changes)
    return KNOWN[key]


@pytest.mark.parametrize(("method", "key"), [(method, key) for method, keys in CHANGES.items() for key in keys])
def test_every_hyperparameter_changes_the_score(method, key, toys):
    others, before, after = CHANGES[method][key]
    if key == "jigsaw_seed":  # changes what the choice of the block sees, seldom the choice
        chosen = [toys.fitted(method, jigsaw_seed=seed)[0].findings()["norm_ratio"] for seed in (before, after)]
        assert chosen[0] != chosen[1]
        return
    if isinstance(toys.detector(method), MapShapingDetector) and key == "tap":  # one map only feeds the last layer
        assert toys.fitted(method, tap=before)
        with pytest.raises(ConfigError, match="tap stem is not what the last layer gets"):
            toys.fitted(method, tap=after)
        return
    first, second = (scores_of(toys, method, {**others, key: value}) for value in (before, after))
    assert np.allclose(first, second, rtol=1e-6, atol=0) == ((method, key) in NEEDS_MISTAKES)


@pytest.mark.parametrize("method", SHIPPED)
def test_all_hyperparameters_are_covered_and_shipped(method, toys):
    found = toys.detector(method)
    known = found.hyperparameters()
    assert json.loads(json.dumps(known)) == known
    trained = {"train"} if "train" in known else set()
    assert set(known) | found.younger == set(CHANGES[method]) | trained
    assert set(known) | found.younger == set(toys.content("method", method)) - {"_target_"} | trained
    assert not set(known) & found.younger  # so that cells scored before there was one keep their keys


@pytest.mark.parametrize(("method", "key"), [(method, key) for method, keys in OUTSIDE.items() for key in keys])
def test_values_that_cannot_work_are_refused(method, key, toys):
    for value in OUTSIDE[method][key]:
        with pytest.raises(ConfigError, match=rf"method {method}: {key}|method godin: head"):
            toys.detector(method, **{key: value})


def broken(given):
    """The classifier with a bias of NaN in its first convolution, or in the norm after it."""
    network = copy.deepcopy(given.network)
    with torch.no_grad():
        next(value for name, value in network.state_dict().items() if name.endswith(("conv1.bias", "bn1.bias")))[0] = (
            float("nan")
        )
    return Classifier(network, given.mean, given.std, {**given.card, "weights_sha256": "broken"})


@pytest.mark.parametrize("case", CASES)
def test_a_network_that_gives_nan_is_refused_by_name_and_never_scored(case, toys):
    method, changes = CASES[case]
    found = toys.detector(method, **changes)
    using = toys.scorer(found)
    using = replace(using, classifiers=[broken(one) for one in using.classifiers])
    with pytest.raises(NotFiniteError, match="NaN or infinit"):
        toys.raw_scores(method, View(toys.image_set("near", 12)), using=using, **changes)
