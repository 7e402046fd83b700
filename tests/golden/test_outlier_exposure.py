"""Outlier Exposure against its authors' code."""

import numpy as np
import pytest
import torch

from ood_bench.metrics import evaluate
from ood_bench.metrics.outlier_exposure import of_draw
from ood_bench.training.losses import outlier_exposure

NAMES = ["auroc", "auprc_out_ratio_1to5", "fpr95_ood_positive"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("outlier_exposure")


def test_loss(values, gradients):
    for case in values.groups("loss"):

        def loss(inside, outside, case=case):
            return outlier_exposure(inside, torch.from_numpy(values[f"loss/{case}/id_labels"]), outside, 0.5)

        value, *found = gradients(loss, *(values[f"loss/{case}/{side}_logits"] for side in ("id", "outlier")))
        within = 1e-14 if case.endswith("float64") else 2e-6
        assert value == pytest.approx(values[f"loss/{case}/value"], abs=within), case
        for side, gradient in zip(("id", "outlier"), found, strict=True):
            np.testing.assert_allclose(gradient, values[f"loss/{case}/{side}_gradient"], atol=1e-7, err_msg=case)


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
