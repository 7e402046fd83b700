"""The Mahalanobis detector against its authors' code."""

import numpy as np
import pytest

from ood_bench.metrics import evaluate

NAMES = ["tnr95", "auroc", "detection_accuracy", "aupr_in", "aupr_out"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("mahalanobis")


def test_metrics(values):
    for case in values.groups("metric"):
        found = evaluate("mahalanobis", *(values[f"metric/{case}/{side}"] for side in ("id", "ood")))
        expected = values[f"metric/{case}/values"]
        np.testing.assert_allclose([found[name] / 100 for name in NAMES], expected, atol=1e-12, err_msg=case)
