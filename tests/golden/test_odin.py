"""ODIN against its authors' code."""

import numpy as np
import pytest

from ood_bench.metrics import MetricError, evaluate

NAMES = ["fpr95", "detection_error", "auroc", "aupr_in", "aupr_out"]


@pytest.fixture(scope="module")
def values(golden):
    return golden("odin")


def test_metrics(values):
    """Both columns of the tables; scores beyond the grid are refused, for what the code gives there means nothing."""
    for case in values.groups("scores"):
        for column, (row, kind) in enumerate((("msp", "base"), ("odin", "our"))):
            scores = [values[f"scores/{case}/{kind}_{side}"] for side in ("in", "out")]
            options = {"row": row, "classes": int(values[f"scores/{case}/classes"])}
            if case == "c10_beyond_grid" and row == "odin":
                with pytest.raises(MetricError, match="the scores reach from"):
                    evaluate("odin", *scores, **options)
                continue
            found = evaluate("odin", *scores, **options)
            expected = values[f"metrics/{case}"][:, column]
            np.testing.assert_allclose([found[name] / 100 for name in NAMES], expected, atol=1e-12, err_msg=case)
