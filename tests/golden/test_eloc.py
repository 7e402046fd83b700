"""The leave-out ensemble against the only code there is, an unofficial one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.metrics import evaluate
from ood_bench.protocols.eloc import ElocProtocol
from ood_bench.training.folds import known_classes
from ood_bench.training.objectives import Batch, MarginEntropy
from ood_bench.training.selection import MspSelector, swept_auroc

SIDES = ("id", "ood")
NAMES = ["fpr95", "detection_error", "auroc", "aupr_in", "aupr_out"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("eloc")


def test_loss(values, gradients):
    for case in values.groups("loss"):
        if case in ("beta", "margin"):
            continue

        def loss(inside, outside, case=case):
            batch = Batch(torch.cat([inside, outside]), torch.from_numpy(values[f"loss/{case}/id_labels"]))
            objective = MarginEntropy(float(values["loss/margin"]), float(values["loss/beta"]))
            return objective(lambda logits: logits, batch)[0]

        value, *found = gradients(loss, *(values[f"loss/{case}/{side}_logits"] for side in ("id", "held_out")))
        assert value == pytest.approx(values[f"loss/{case}/value"], abs=2e-6), case
        for side, gradient in zip(("id", "held_out"), found, strict=True):
            np.testing.assert_allclose(gradient, values[f"loss/{case}/{side}_gradient"], atol=1e-7, err_msg=case)


def test_the_epoch_is_chosen_by_the_code_s_own_auroc(values, networks):
    """From the code's scores, and from logits, whose softmax may differ in its last bit."""
    for case in values.groups("selection"):
        key, is_ood = f"selection/{case}", values[f"selection/{case}/is_ood"]
        scores = [values[f"{key}/{side}_score"] for side in ("id", "ood")]
        assert swept_auroc(*scores) == pytest.approx(values[f"{key}/value"], abs=1e-12), case
        network = networks.Lookup(np.concatenate([values[f"{key}/logits"][side] for side in (~is_ood, is_ood)]))
        sets = networks.rows_as_images("id", 0, len(scores[0])), networks.rows_as_images("ood", *map(len, scores))
        selector = MspSelector(*sets, normalise=lambda batch: batch.float())
        found = [selector.scores(network, View(images)) for images in sets]
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(scores), atol=1e-6, err_msg=case)
        assert selector(network) == pytest.approx(values[f"{key}/value"], abs=1e-3), case


def test_folds(values):
    for classes in values.groups("folds"):
        assert [list(known) for known in known_classes(int(classes), 5, 3)] == values[f"folds/{classes}"].tolist()


def test_metrics(values):
    for case in values.groups("metrics"):
        found = evaluate("eloc", *(values[f"metrics/{case}/{side}"] for side in ("id", "ood")))
        np.testing.assert_allclose(
            [found[name] / 100 for name in NAMES], values[f"metrics/{case}/values"], atol=1e-12, err_msg=case
        )


@pytest.fixture(scope="module")
def members(values, networks):
    """Five members that share a trunk."""
    weights, biases = values["members/fc.weight"], values["members/fc.bias"]
    trunk = {key: array for key, array in values.items() if not key.startswith("members/fc")}
    given = zip(weights, biases, strict=True)
    tiny = [networks.tiny(trunk, "members", **{"fc.weight": weight, "fc.bias": bias}) for weight, bias in given]
    return networks.scorer(*(networks.classifier(one, *networks.MOMENTS["densenet"]) for one in tiny))


@pytest.mark.parametrize("side", SIDES)
def test_ensemble(values, networks, members, side):
    view = View(ImageSet.of(side, values[f"images/{side}"]))
    settings = [{"temperature": one, "epsilon": step} for one, step in values["ensemble/settings"].tolist()]
    found = networks.detector(members, "eloc", "eloc.Eloc", magnitudes=[0.0], temperatures=[1.0])
    for number, setting in enumerate(settings):
        ours = found.scores(members, view, setting)[values["ensemble/rows"]]
        within = {1000.0: 1e-6, 10.0: 1e-5, 1.0: 2e-5}[setting["temperature"]]
        np.testing.assert_allclose(ours, values[f"ensemble/score_{side}"][number], atol=within, rtol=0)


@pytest.mark.parametrize("side", SIDES)
def test_softmax_of_the_members(values, networks, members, side):
    """Each member's softmax after its own step, at the places of its classes, which hold 0 in the others."""
    view = View(ImageSet.of(side, values[f"images/{side}"]))
    found = networks.detector(members, "eloc", "eloc.Eloc", magnitudes=[0.0], temperatures=[1.0])
    for number, (temperature, epsilon) in enumerate(values["ensemble/settings"].tolist()):
        for member, known in enumerate(known_classes(10, 5, 3)):
            steps = found.member_steps(members, member, [temperature], [epsilon])
            softmax = replace(
                steps.perturbation,
                scores=[lambda z, at=temperature: (z.double() / at).softmax(1).T],
                columns=len(known),
            )
            whole = replace(steps, perturbation=softmax, identity={**steps.identity, "scores": "softmax"})
            ours = np.zeros((len(view), 10))
            ours[:, known] = members.stepped(view, [whole], member)[0][0, 0].T
            expected = values[f"ensemble/member_softmax_{side}"][number, member]
            within = {1000.0: 1e-7, 10.0: 1e-6, 1.0: 5e-6}  # of float32 networks
            np.testing.assert_allclose(ours, expected, atol=within[temperature], rtol=0)
            assert not expected[:, np.setdiff1d(range(10), known)].any()


@pytest.mark.parametrize("temperature", [1000, 1])
def test_from_logits_to_metrics(values, networks, temperature):
    logits = np.concatenate([values[f"whole/{side}_logits_eighths"] for side in SIDES], axis=1).astype(np.float32) / 8
    count = len(logits[0]) // 2
    sets = networks.rows_as_images("id", 0, count), networks.rows_as_images("ood", count, count)
    using = networks.scorer(*map(networks.as_rows, logits), batch_size=2000)
    found = networks.detector(using, "eloc", "eloc.Eloc", magnitudes=[0.0], temperatures=[temperature])
    outcome = ElocProtocol(name="eloc").run("eloc", found, using, *sets)
    np.testing.assert_array_equal(outcome.id_rows, values["whole/kept_rows"])
    np.testing.assert_array_equal(outcome.ood_rows, values["whole/kept_rows"])
    scores = outcome.id_scores, outcome.ood_scores
    for side, one in zip(SIDES, scores, strict=True):
        np.testing.assert_allclose(one[:200], values[f"whole/T{temperature}/score_{side}_first_200"], atol=2e-6)
    metrics = evaluate("eloc", *scores)
    within = {1000: 2e-4, 1: 1e-6}[temperature]
    expected = values[f"whole/T{temperature}/values"]
    np.testing.assert_allclose([metrics[name] / 100 for name in NAMES], expected, atol=within)
