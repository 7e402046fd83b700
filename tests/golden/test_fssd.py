"""FSSD against its authors' code, with the baseline, ODIN and the ensemble as that code scores them."""

import dataclasses

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, build_detector
from ood_bench.metrics import evaluate
from ood_bench.models.classifier import build_network
from ood_bench.protocols import fssd as protocol_module
from ood_bench.protocols.base import build_protocol
from ood_bench.scoring.quantities import LOGITS
from ood_bench.tuning.logistic import Combination, fit_combination

SIDES = ("id", "ood")
TAPS = ["conv1", "conv2", "fc1", "logits"]
NAMES = {
    "AUROC": "auroc",
    "AUIN": "auprc",
    "AUOUT": "aupr_out",
    "DETACC": "detection_accuracy",
    "TNR95": "tnr95",
    "FPR95": "fpr95",
    "TNR80": "tnr80",
    "FPR80": "fpr80",
}
DRAWS = 100


@pytest.fixture(scope="module")
def values(golden):
    return golden("fssd")


@pytest.fixture(scope="module")
def block():
    """What ships for the block on FashionMNIST."""
    return compose_settings(["paper=fssd_fashionmnist"])


@pytest.fixture(scope="module")
def using(values, block, networks):
    network = build_network(block.model, values["images_id"].shape[1:], values["logits_id"].shape[1])
    state = {key.removeprefix("net."): torch.from_numpy(one) for key, one in values.items() if key.startswith("net.")}
    network.load_state_dict(state)
    train = ImageSet.of("train", values["images_id"][:1])  # only its shape counts
    return networks.scorer(networks.classifier(network, values["mean"], values["std"]), train=train)


@pytest.fixture(scope="module")
def sets(values):
    return [ImageSet.of(side, values[f"images_{side}"]) for side in SIDES]


def near(found, expected, within):
    np.testing.assert_allclose(found, expected, atol=within * np.abs(expected).max(), rtol=0)


def fssd(values, using, random=None, **options):
    found = build_detector("fssd", {"_target_": "ood_bench.methods.fssd.Fssd", "taps": TAPS, **options})
    found.fit(using, random or np.random.RandomState(int(values["noise_seed"])))
    return found


def test_the_noise_and_its_place_in_feature_space(values, block, using):
    """From a fresh generator, and from the state in which the protocol hands it over."""
    count = int(values["permuted_ood_rows"])
    ood = ImageSet.of("ood", np.zeros((count, 1, 1, 1), np.uint8))
    protocol = build_protocol(block.protocol, "published")
    generators = {"seeded": np.random.RandomState(int(values["noise_seed"])), "permuted": protocol.generator(ood)}
    for case, random in generators.items():
        seen = []
        handle = using.classifier.scoring_network.register_forward_pre_hook(
            lambda _module, inputs, seen=seen: seen.append(inputs[0])
        )
        found = fssd(values, using, random)
        handle.remove()
        np.testing.assert_array_equal((seen[0] * 255 + 127.5).round().numpy(), values[f"noise_{case}"])
        for quantity in found.quantities(using.classifier):
            near(quantity.reduction.centre.ravel(), values[f"centre_{case}_{quantity.tap}"], 3e-6)


@pytest.mark.parametrize("number", range(len(SIDES)))
def test_distances(values, using, sets, number):
    """Each tap on its own scale; with steps, gradients are standardised over batches of consecutive rows."""
    side, view = SIDES[number], View(sets[number])
    near(using.rows(view, LOGITS), values[f"logits_{side}"], 3e-6)
    clean = fssd(values, using)
    ours = clean.raw_scores(using, view, clean.grid())[0]
    for tap in range(len(TAPS)):
        near(ours[:, tap], values[f"distance_{side}"][:, tap], 3e-6)
    for key, batch in (("distance_step", int(values["batch_size"])), ("distance_step_onebatch", len(view))):
        found = fssd(values, using, magnitudes=values["magnitudes"].tolist(), gradient_batch=batch)
        ours = found.raw_scores(using, view, found.grid())
        for tap in range(len(TAPS)):
            near(ours[:, :, tap], values[f"{key}_{side}"][:, :, tap], 1e-5)


@pytest.mark.parametrize("number", range(len(SIDES)))
def test_softmax_scores(values, networks, using, sets, number):
    """The float32 maxima of the baseline, of ODIN and of the ensemble, ties at 1 included."""
    side, view = SIDES[number], View(sets[number])
    base = networks.detector(using, "msp", "msp.Msp").paper_scores(using, view, [{}])[0, :, 0]
    near(base, values[f"base_{side}"], 1e-5)
    assert ((base == 1) != (values[f"base_{side}"] == 1)).mean() < 0.03  # logits as close as rounding
    for (epsilon, temperature), expected in zip(values["odin_settings"].tolist(), values[f"odin_{side}"], strict=True):
        options = {"magnitudes": [epsilon], "temperatures": [temperature]}
        found = networks.detector(using, "odin", "odin.Odin", **options)
        near(found.paper_scores(using, view, found.grid())[0, :, 0], expected, 5e-5 if temperature == 1 else 1e-5)
    rows = View(networks.rows_as_images(side, 0, len(view)))
    members = networks.scorer(*map(networks.as_rows, values[f"de_logits_{side}"]))
    for member, expected in zip(members.classifiers, values[f"de_each_{side}"], strict=True):
        one = networks.scorer(member)
        near(networks.detector(one, "msp", "msp.Msp").paper_scores(one, rows, [{}])[0, :, 0], expected, 1e-6)
    options = {"members": len(members.classifiers), "combine": "mean_of_max"}
    found = networks.detector(members, "deep_ensemble", "deep_ensemble.DeepEnsemble", **options)
    ours = found.paper_scores(members, rows, [{}])[0, :, 0]
    near(ours, values[f"de_{side}"], 1e-6)
    assert ((ours == 1) != (values[f"de_{side}"] == 1)).mean() < 0.03


def features_of(values, name):
    """Rows ``[n, K]`` of both sets that a regression of the file was fitted on."""
    places = {
        "distance_step_small": ("distance_step", 0),
        "distance_step_large": ("distance_step", 1),
        "odin": ("odin", 0),
        "odin_t1": ("odin", 2),
    }
    key, row = places.get(name, (name, ...))
    rows = [values[f"{key}_{side}"][row].astype(np.float64) for side in SIDES]
    return [one.reshape(len(one), -1) for one in rows]


REGRESSIONS = ["distance", "distance_step_small", "distance_step_large", "features", "base", "odin", "odin_t1", "de"]


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regressions(values, name):
    """On the code's features; the metrics are means over many ways to break ties."""
    coefficients, intercept, strength = (values[f"lr_{name}_{part}"] for part in ("coef", "intercept", "C"))
    features, fit = features_of(values, name), int(values["fit_rows"])
    found = fit_combination(*(rows[:fit] for rows in features))
    assert found.strength == pytest.approx(strength.item(), rel=1e-12)
    np.testing.assert_allclose(found.coefficients, coefficients, rtol=1e-6)
    assert found.intercept == pytest.approx(intercept.item(), rel=1e-6)
    given = Combination(coefficients, intercept.item(), strength.item())
    probabilities = [given.probability(rows) for rows in features]
    for side, ours in zip(SIDES, probabilities, strict=True):
        np.testing.assert_allclose(ours, values[f"lr_{name}_p_{side}"], rtol=0, atol=1e-9)
    measured(values, name, [values[f"lr_{name}_p_{side}"][fit:] for side in SIDES])


@pytest.mark.parametrize("name", ["plain", "tied", "small"])
def test_metrics(values, name):
    measured(values, name, [values[f"scores_{name}_{side}"] for side in SIDES])


def measured(values, name, scores):
    """Compares the mean over seeds with the code's, in units of what such means differ by."""
    found = [evaluate("fssd", *scores, seed=seed) for seed in range(DRAWS)]
    mean, spread = values[f"metrics_{name}_mean"], values[f"metrics_{name}_std"]
    ours = np.mean([[one[NAMES[metric]] / 100 for metric in values["metric_names"]] for one in found], axis=0)
    within = np.where(spread < 1e-12, 1e-9, 4 * spread * np.sqrt(2 / DRAWS))
    assert (np.abs(ours - mean) <= within).all(), (ours - mean, within)


def test_the_protocol_from_end_to_end(values, block, networks, using, sets):
    """Which rows fit, and what is ranked, from features of our own."""
    fit = int(values["fit_rows"])
    rows = {"fit_rows": fit, "select_rows": 0, "unshuffled": [*block.protocol["unshuffled"], "fssd"]}
    protocol = build_protocol({**block.protocol, **rows}, "published")
    logits = np.concatenate([values[f"de_logits_{side}"] for side in SIDES], axis=1)
    members = networks.scorer(*map(networks.as_rows, logits))
    numbers = [
        networks.rows_as_images(side, start, len(one))
        for side, start, one in zip(SIDES, (0, len(sets[0])), sets, strict=True)
    ]
    cases = {"fssd": ("distance", using, sets), "msp": ("base", using, sets), "deep_ensemble": ("de", members, numbers)}
    for method, (name, scorer, images) in cases.items():
        found = build_detector(method, {**block.method[method], **({"magnitudes": [0.0]} if method == "fssd" else {})})
        found.fit(scorer, np.random.RandomState(int(values["noise_seed"])))
        scores = protocol.run(method, found, scorer, *images).convention_scores
        for side, ours in zip(SIDES, scores, strict=True):
            np.testing.assert_allclose(ours, values[f"lr_{name}_p_{side}"][fit:], atol=1e-3)
        mean, spread = (values[f"metrics_{name}_{part}"][0] for part in ("mean", "std"))
        ours = np.mean([evaluate("fssd", *scores, seed=seed)["auroc"] for seed in range(DRAWS)]) / 100
        within = 4 * spread * np.sqrt(2 / DRAWS) + 2e-3  # neighbours as close as rounding
        assert ours == pytest.approx(mean, abs=within), method


@dataclasses.dataclass
class Listed(Detector):
    """Settings, and scores that do not matter."""

    settings: list = dataclasses.field(default_factory=list)

    def grid(self):
        return self.settings

    def raw_scores(self, scorer, view, settings):
        return np.zeros((len(settings), len(view), 1))


def searched(block, settings, table, sets, monkeypatch):
    """The setting that the protocol takes where the TNR of each is given, or none where it refuses them all."""
    curve = iter(table)
    monkeypatch.setattr(protocol_module, "evaluate", lambda *_scores: {"tnr95": 100 * next(curve)})
    monkeypatch.setattr(protocol_module, "fit_combination", lambda *_rows: Combination(np.ones(1), 0.0, 1.0))
    protocol = build_protocol({**block.protocol, "fit_rows": 10, "select_rows": 10}, "published")
    try:
        return protocol.run("listed", Listed(settings), None, *sets).setting
    except ConfigError:
        return None


def test_searches(values, block, sets, monkeypatch):
    """FSSD's over its 22 steps, ODIN's over steps and temperatures: the first of the best, none where all are 0."""
    grids = {name: build_detector(name, block.method[name]).grid() for name in ("fssd", "odin")}
    steps, temperatures = (values[name].tolist() for name in ("search_magnitudes", "odin_search_temperatures"))
    assert [one["epsilon"] for one in grids["fssd"]] == steps
    assert [tuple(one.values()) for one in grids["odin"]] == [(step, t) for step in steps for t in temperatures]
    for name, key in (("fssd", "search"), ("odin", "odin_search")):
        for table, best in zip(
            values[f"{key}_tnr"], values[f"{key}_best"].reshape(-1, len(grids[name][0])), strict=True
        ):
            found = searched(block, grids[name], table.ravel(), sets, monkeypatch)
            expected = None if np.isnan(best).any() else tuple(best.tolist())
            assert (found and tuple(found.values())) == expected
