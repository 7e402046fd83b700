"""Outlier Exposure against its authors' code."""

import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.metrics import evaluate
from ood_bench.metrics.outlier_exposure import of_draw
from ood_bench.models.classifier import accuracy
from ood_bench.protocols.outlier_exposure import OutlierExposureProtocol
from ood_bench.training.objectives import Batch, OutlierExposure, cross_entropy_to_uniform

NAMES = ["auroc", "auprc_out_ratio_1to5", "fpr95_ood_positive"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("outlier_exposure")


def test_loss(values, gradients):
    for case in values.groups("loss"):

        def loss(inside, outside, case=case):
            batch = Batch(torch.cat([inside, outside]), torch.from_numpy(values[f"loss/{case}/id_labels"]))
            return OutlierExposure(0.5)(lambda logits: logits, batch)[0]

        value, *found = gradients(loss, *(values[f"loss/{case}/{side}_logits"] for side in ("id", "outlier")))
        within = 1e-14 if case.endswith("float64") else 2e-6
        assert value == pytest.approx(values[f"loss/{case}/value"], abs=within), case
        for side, gradient in zip(("id", "outlier"), found, strict=True):
            np.testing.assert_allclose(gradient, values[f"loss/{case}/{side}_gradient"], atol=1e-7, err_msg=case)


CASES = ["c10", "c10_ties_at_one", "c100_ties_at_one"]


@pytest.fixture(params=CASES)
def rows(request, values, networks):
    """A case, and a network that gives its logits with its two sets of images."""
    key = f"scores/{request.param}"
    logits = [values[f"{key}/{side}_logits"] for side in ("id", "ood")]
    inside = networks.rows_as_images("id", 0, len(logits[0]))
    labelled = ImageSet.of("id", inside.images, values[f"{key}/id_labels"])
    outside = networks.rows_as_images("ood", len(logits[0]), len(logits[1]))
    return request.param, networks.as_rows(np.concatenate(logits), id_accuracy=87.5), (labelled, outside)


def test_every_case_is_in_these_tests(values):
    assert values.groups("scores") == values.groups("draws") == CASES


def test_scores(values, networks, rows):
    """The code's scores are higher for OOD, and so is the loss of being sure, with its sign turned."""
    case, network, sets = rows
    using = networks.scorer(network)
    found = networks.detector(using, "msp", "msp.Msp")
    for side, images in zip(("id", "ood"), sets, strict=True):
        ours = found.paper_scores(using, View(images), [{}])[0, :, 0]
        np.testing.assert_allclose(-ours, values[f"scores/{case}/{side}_score"], atol=1e-6)
        unsure = -cross_entropy_to_uniform(torch.from_numpy(values[f"scores/{case}/{side}_logits"]))
        np.testing.assert_allclose(unsure, values[f"scores/{case}/{side}_xent_score"], atol=1e-5)
    right, wrong = (int(values[f"scores/{case}/{kind}_count"]) for kind in ("right", "wrong"))
    assert accuracy(network, sets[0]) == pytest.approx(100 * right / (right + wrong), abs=1e-9)


def test_the_protocol_ranks_the_ties(values, networks, rows):
    """On the code's draws of our scores."""
    case, network, sets = rows
    using = networks.scorer(network)
    found = networks.detector(using, "msp", "msp.Msp")
    outcome = OutlierExposureProtocol(name="outlier_exposure").run("msp", found, using, *sets)
    inside, outside = outcome.convention_scores
    for draw, expected in zip(values[f"draws/{case}/rows"], values[f"draws/{case}/measures"], strict=True):
        ours = of_draw(inside, outside[draw])
        np.testing.assert_allclose([ours[name] for name in NAMES], expected, atol=1e-3)
    for side, scores in zip(("id", "ood"), outcome.convention_scores, strict=True):
        assert (scores == 1).sum() == pytest.approx((values[f"scores/{case}/{side}_score"] == -1).sum(), abs=2)
    assert all(len(np.unique(scores)) > 0.95 * len(scores) for scores in (outcome.id_scores, outcome.ood_scores))


def test_measures(values):
    """The code's scores are higher for OOD."""
    for case in values.groups("measures"):
        found = of_draw(*(-values[f"measures/{case}/{side}"] for side in ("id", "ood")))
        expected = values[f"measures/{case}/values"]
        np.testing.assert_allclose([found[name] for name in NAMES], expected, atol=1e-12, err_msg=case)


def test_draws(values):
    """On the code's scores and rows; our own draws differ, and their mean within the spread of draws."""
    for case in values.groups("draws"):
        inside, outside = (-values[f"scores/{case}/{side}_score"] for side in ("id", "ood"))
        rows, measures = values[f"draws/{case}/rows"], values[f"draws/{case}/measures"]
        for draw, expected in zip(rows, measures, strict=True):
            found = of_draw(inside, outside[draw])
            np.testing.assert_allclose([found[name] for name in NAMES], expected, atol=1e-12, err_msg=case)
        np.testing.assert_allclose(measures.mean(axis=0), values[f"draws/{case}/mean"], atol=1e-12)
        ours = evaluate("outlier_exposure", inside, outside)
        spread = 4 * measures.std(axis=0) * np.sqrt(2 / len(rows))
        assert (np.abs([ours[name] / 100 for name in NAMES] - measures.mean(axis=0)) <= spread + 1e-12).all(), case
