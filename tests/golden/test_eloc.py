"""The leave-out ensemble against the only code there is, an unofficial one."""

import numpy as np
import pytest
import torch

from ood_bench.data.views import View
from ood_bench.metrics import evaluate
from ood_bench.training.folds import known_classes
from ood_bench.training.losses import margin_entropy
from ood_bench.training.selection import MspSelector, swept_auroc

NAMES = ["fpr95", "detection_error", "auroc", "aupr_in", "aupr_out"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("eloc")


def test_loss(values, gradients):
    for case in values.groups("loss"):
        if case in ("beta", "margin"):
            continue

        def loss(inside, outside, case=case):
            labels = torch.from_numpy(values[f"loss/{case}/id_labels"])
            return margin_entropy(inside, labels, outside, float(values["loss/margin"]), float(values["loss/beta"]))

        value, *found = gradients(loss, *(values[f"loss/{case}/{side}_logits"] for side in ("id", "held_out")))
        assert value == pytest.approx(values[f"loss/{case}/value"], abs=2e-6), case
        for side, gradient in zip(("id", "held_out"), found, strict=True):
            np.testing.assert_allclose(gradient, values[f"loss/{case}/{side}_gradient"], atol=1e-7, err_msg=case)


def test_the_epoch_is_chosen_by_the_code_s_own_auroc(values, networks):
    """From the code's scores exactly; from logits the last bit of a softmax, which decides ties, is the processor's."""
    for case in values.groups("selection"):
        key, is_ood = f"selection/{case}", values[f"selection/{case}/is_ood"]
        scores = [values[f"{key}/{side}_score"] for side in ("id", "ood")]
        assert swept_auroc(*scores) == pytest.approx(values[f"{key}/value"], abs=1e-12), case
        network = networks.Lookup(np.concatenate([values[f"{key}/logits"][side] for side in (~is_ood, is_ood)]))
        sets = networks.rows_as_images("id", 0, len(scores[0])), networks.rows_as_images("ood", *map(len, scores))
        selector = MspSelector(*sets, normalise=lambda batch: batch.float())
        found = [selector.scores(network, View(images)) for images in sets]
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(scores), atol=1e-6, err_msg=case)
        assert selector(network) == pytest.approx(swept_auroc(*found), abs=1e-12), case


def test_folds(values):
    for classes in values.groups("folds"):
        assert [list(known) for known in known_classes(int(classes), 5, 3)] == values[f"folds/{classes}"].tolist()


def test_metrics(values):
    for case in values.groups("metrics"):
        found = evaluate("eloc", *(values[f"metrics/{case}/{side}"] for side in ("id", "ood")))
        np.testing.assert_allclose(
            [found[name] / 100 for name in NAMES], values[f"metrics/{case}/values"], atol=1e-12, err_msg=case
        )
