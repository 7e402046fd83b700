"""ODIN against its authors' code."""

import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.metrics import MetricError, evaluate

NAMES = ["fpr95", "detection_error", "auroc", "aupr_in", "aupr_out"]
WITHIN = {"float32": {1000.0: 3e-8, 10.0: 2e-6, 1.0: 1e-5}, "float64": {1000.0: 5e-9, 10.0: 1e-6, 1.0: 1e-5}}


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


@pytest.fixture(scope="module")
def using(values, networks):
    return networks.scorer(networks.classifier(networks.tiny(values, "net"), *networks.MOMENTS["densenet"]))


def test_input(values, using):
    for side in values.groups("input"):
        ours = using.classifier.normalise(torch.from_numpy(values[f"images/{side}"]))
        np.testing.assert_allclose(ours, values[f"input/{side}"], atol=1e-6)


@pytest.mark.parametrize("side", ["in", "out"])
def test_scores_of_images(values, networks, using, side):
    """In float32, as the protocol ranks them, and as the logarithms that ``exact`` ranks."""
    view, found = View(ImageSet.of(side, values[f"images/{side}"])), networks.detector(using, "msp", "msp.Msp")
    scores = {
        "float32": found.paper_scores(using, view, [{}]),
        "float64": np.exp(found.raw_scores(using, view, [{}])),
    }
    for kind, ours in scores.items():
        expected = values[f"image_scores/{kind}/msp_{side}"]
        np.testing.assert_allclose(ours[0, :, 0], expected, atol=5e-6)
    for number, (temperature, epsilon) in enumerate(values["settings"].tolist()):
        found = networks.detector(using, "odin", "odin.Odin", magnitudes=[epsilon], temperatures=[temperature])
        scores = {
            "float32": found.paper_scores(using, view, found.grid()),
            "float64": np.exp(found.raw_scores(using, view, found.grid())),
        }
        for kind, ours in scores.items():
            expected = values[f"image_scores/{kind}/odin_{side}"][number]
            within = WITHIN[kind][temperature]
            np.testing.assert_allclose(ours[0, :, 0], expected, atol=within, rtol=0, err_msg=f"{temperature} {epsilon}")
