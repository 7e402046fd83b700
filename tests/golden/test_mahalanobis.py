"""The Mahalanobis detector against its authors' code.

No target: the scores of the tap ``collinear_stem``, which float32 products turn into noise in the code, and the numbers
of iterations ``n_iter`` of the regressions.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.methods.base import Detector
from ood_bench.methods.mahalanobis import Gaussians
from ood_bench.metrics import evaluate
from ood_bench.protocols.mahalanobis import MahalanobisProtocol
from ood_bench.tuning.logistic import Combination
from ood_bench.tuning.logistic_2018 import cross_validated, fit_combination_2018, minimised, objective

NAMES = ["tnr95", "auroc", "detection_accuracy", "aupr_in", "aupr_out"]
SIDES = ("id", "ood")
FLAVOURS = ("densenet", "resnet")
SETTINGS = range(4)


@pytest.fixture(scope="module")
def values(golden):
    return golden("mahalanobis")


def measured(scores):
    found = evaluate("mahalanobis", *scores)
    return [found[name] / 100 for name in NAMES]


def test_metrics(values):
    for case in values.groups("metric"):
        found = measured(values[f"metric/{case}/{side}"] for side in SIDES)
        np.testing.assert_allclose(found, values[f"metric/{case}/values"], atol=1e-12, err_msg=case)


def test_gaussians(values, networks):
    """Also that a direction with 1e-12 of the largest variance is left out, and one with 1e-8 is not."""
    precision = {"collinear_mild": 1e-5, "collinear_stem": 1e-3}
    score = {"collinear_mild": 5e-2, "collinear_stem": np.inf}
    labels = values["features/train_labels"]
    for tap in values.groups("features"):
        if tap == "train_labels":
            continue
        key = f"features/{tap}"
        found = Gaussians.fit(values[f"{key}/train"].astype(np.float64), labels, 10)
        np.testing.assert_allclose(found.means, values[f"{key}/mean"], atol=1e-6, err_msg=tap)
        largest = np.abs(values[f"{key}/precision"]).max()
        within = precision.get(tap, 1e-6) * largest
        np.testing.assert_allclose(found.precision, values[f"{key}/precision"], atol=within, rtol=0, err_msg=tap)
        for side in SIDES:
            ours = found.confidences(torch.from_numpy(values[f"{key}/{side}"])).amax(dim=1).numpy()
            assert networks.deviation(ours, values[f"{key}/score_{side}"]) < score.get(tap, 1e-5), tap


@pytest.fixture(scope="module", params=FLAVOURS)
def flavour(request, values, networks):
    """A normalisation's name, and what detectors score with under it."""
    network = networks.classifier(networks.tiny(values, "net"), *networks.MOMENTS[request.param])
    train = ImageSet.of("train", values["images/train"], values["images/train_labels"])
    return request.param, networks.scorer(network, train=train)


def test_features_and_their_gaussians(values, networks, flavour):
    name, using = flavour
    found = networks.detector(using, "mahalanobis", "mahalanobis.Mahalanobis", taps=["tap0", "tap1"])
    for quantity in found.fit_quantities(using.classifier):
        key = f"{name}/{quantity.tap}"
        for side in ("train", *SIDES):
            rows = using.bank(View(ImageSet.of(side, values[f"images/{side}"])), [quantity])[quantity]
            np.testing.assert_allclose(rows, values[f"{key}/features_{side}"], atol=2e-5)
        gaussians = found.fitted[quantity.tap]
        np.testing.assert_allclose(gaussians.means, values[f"{key}/mean"], atol=1e-5)
        within = 1e-5 * np.abs(values[f"{key}/precision"]).max()
        np.testing.assert_allclose(gaussians.precision, values[f"{key}/precision"], atol=within, rtol=0)


def test_scores_after_each_taps_own_step(values, networks, flavour):
    name, using = flavour
    options = {"taps": ["tap0", "tap1"], "magnitudes": values["magnitudes"].tolist()}
    found = networks.detector(using, "mahalanobis", "mahalanobis.Mahalanobis", **options)
    for side in SIDES:
        ours = found.raw_scores(using, View(ImageSet.of(side, values[f"images/{side}"])), found.grid())
        for tap, within in ((0, 2e-5), (1, 5e-3)):
            assert networks.deviation(ours[:, :, tap], values[f"{name}/score_{side}"][:, tap]) < within


def test_posteriors(values, networks, flavour):
    """ODIN as this code has it, ties at 1 included."""
    name, using = flavour
    for number, (temperature, epsilon) in enumerate(values["posterior_settings"].tolist()):
        found = networks.detector(using, "odin", "odin.Odin", magnitudes=[epsilon], temperatures=[temperature])
        views = [View(ImageSet.of(side, values[f"images/{side}"])) for side in SIDES]
        ours = found.paper_ranking(using, views, found.grid()[0])
        theirs = [values[f"{name}/posterior_{side}"][number] for side in SIDES]
        within = {1.0: 1e-5, 10.0: 2e-6, 1000.0: 3e-8}[temperature]
        for mine, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(mine, expected, atol=within, rtol=0)
            assert ((mine == 1) == (expected == 1)).all()
        metrics = values[f"{name}/posterior_metrics"][number]
        np.testing.assert_allclose(measured(theirs), metrics, atol=1e-12)
        np.testing.assert_allclose(measured(ours), metrics, atol=0.03)  # of 40 rows, some as close as rounding


def test_rows(values):
    protocol, detector = MahalanobisProtocol(name="mahalanobis"), Given(values)
    for case in values.groups("split"):
        key = f"split/{case}"
        label = {part: values[f"{key}/{part}_label"] for part in ("fit", "test")}
        row = {part: values[f"{key}/{part}_row"] for part in ("fit", "test")}
        counts = [int(max(row[part][label[part] == side].max() for part in row)) + 1 for side in (0, 1)]
        sets = [ImageSet.of(name, np.zeros((n, 1, 1, 1), np.uint8)) for name, n in zip(SIDES, counts, strict=True)]
        for part, give in (("fit", protocol.seen), ("test", protocol.scored)):
            for side, view in enumerate(give("given", detector, *sets)):
                np.testing.assert_array_equal(view.rows, row[part][label[part] == side])


@dataclass
class Given(Detector):
    """Gives the scores of the golden file's regressions."""

    values: dict = field(default_factory=dict)

    def grid(self):
        return [{"setting": number} for number in SETTINGS]

    def raw_scores(self, scorer, view, settings):
        scores = [self.values[f"regression/{setting['setting']}/{view.images.name}"] for setting in settings]
        return np.stack([one[view.rows].astype(np.float64) for one in scores])


def test_the_protocol_from_end_to_end(values):
    """Fits, chooses the setting, and ranks minus the probability of OOD."""
    sets = [ImageSet.of(side, np.zeros((len(values[f"regression/0/{side}"]), 1, 1, 1), np.uint8)) for side in SIDES]
    outcome = MahalanobisProtocol(name="mahalanobis").run("given", Given(values), None, *sets)
    curve = [values[f"regression/{number}/select_metrics"][0] for number in SETTINGS]
    np.testing.assert_allclose(np.ravel(outcome.tuning["curve"]) / 100, curve, atol=1e-6)
    chosen = int(values["regression/chosen"])
    assert outcome.setting == {"setting": chosen}
    expected = values[f"regression/{chosen}/test_metrics"]
    np.testing.assert_allclose(measured(outcome.convention_scores), expected, atol=1e-6)
    assert [len(scores) for scores in outcome.convention_scores] == [len(images) - 1000 for images in sets]


@pytest.mark.parametrize("number", SETTINGS)
@pytest.mark.parametrize(("folds", "prefix"), [(3, ""), (5, "cv5_")])
def test_regressions(values, number, folds, prefix):
    def of(name):
        return values[f"regression/{number}/{prefix}{name}"]

    rows = [values[f"regression/{number}/{side}"].astype(np.float64) for side in SIDES]
    fit = [one[:500] for one in rows]
    ours = fit_combination_2018(*fit, folds)
    assert ours.strength == pytest.approx(float(of("C")), rel=1e-12)
    np.testing.assert_allclose(-ours.coefficients, of("coef"), rtol=1e-4)
    assert -ours.intercept == pytest.approx(float(of("intercept")), rel=1e-4)
    np.testing.assert_allclose(cross_validated(*fit, folds)[0], of("cv_accuracy"), atol=1e-12)

    stacked, is_id, strength = np.concatenate(fit), np.arange(1000) < 500, float(of("C"))
    theirs = -np.append(of("coef"), of("intercept"))
    assert strength * objective(stacked, is_id, strength, theirs)[0] == pytest.approx(float(of("objective")), rel=1e-9)
    exact = theirs
    for _ in range(3):
        exact = minimised(stacked, is_id, strength, exact, tolerance=0)
    np.testing.assert_allclose(-exact[:-1], of("exact_coef"), rtol=1e-6, atol=1e-7 * np.abs(of("exact_coef")).max())
    assert -exact[-1] == pytest.approx(float(of("exact_intercept")), rel=1e-6)
    least = strength * objective(stacked, is_id, strength, exact)[0]
    assert least == pytest.approx(float(of("exact_objective")), rel=1e-9)

    given = Combination(theirs[:-1], float(theirs[-1]), strength)
    for part, cut in (("select", slice(500, 1000)), ("test", slice(1000, None))):
        metrics = measured(-given.ood_probability(one[cut]) for one in rows)
        np.testing.assert_allclose(metrics, of(f"{part}_metrics"), atol=1e-12)
    if not prefix:
        for side, one in zip(SIDES, rows, strict=True):
            expected = of(f"test_ood_probability_{side}_rows")
            found = given.ood_probability(one[1000 : 1000 + len(expected)])
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
