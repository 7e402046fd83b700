import numpy as np
import pytest
import torch
from last_layer import learner
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.line import Line

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
LABELS = np.arange(200) % 3
learned = learner(Line, TRAIN, WEIGHT, BIAS, labels=LABELS)


def taylor(label):
    """Mean of feature times gradient of the class's logit, by a backward pass for each image."""
    found = []
    for row in TRAIN[label == LABELS]:
        features = torch.from_numpy(row).requires_grad_()
        (torch.from_numpy(WEIGHT) @ features + torch.from_numpy(BIAS))[label].backward()
        found.append((features * features.grad).detach().numpy())
    return np.mean(found, axis=0)


def slow(row, units, weights, limit):
    row = [min(value, limit) for value in row]
    matter = taylor(int(np.argmax(WEIGHT @ row + BIAS)))
    table = np.array([[abs(matter[d]) * WEIGHT[k, d] for d in range(8)] for k in range(3)])
    unit_edge, weight_edge = np.percentile(matter, units), np.percentile(table, weights)
    logits = BIAS.copy()
    for k in range(3):
        for d in range(8):
            if matter[d] > unit_edge and table[k, d] > weight_edge:
                logits[k] += WEIGHT[k, d] * row[d]
    return logsumexp(logits)


@pytest.mark.parametrize(("units", "weights", "limit"), [(90.0, 90.0, 1.0), (10.0, 60.0, 0.8), (50.0, 0.0, 100.0)])
def test_score_against_the_formula(units, weights, limit):
    ours = learned(unit_percentile=units, weight_percentile=weights, limit=limit).score(ROWS)
    np.testing.assert_allclose(ours, [slow(row, units, weights, limit) for row in ROWS], rtol=1e-10)


def test_the_order_of_images_does_not_matter():
    order = RANDOM.permutation(40)
    np.testing.assert_allclose(learned().score(ROWS[order]), learned().score(ROWS)[order], rtol=1e-12)


def test_features_above_the_limit_count_as_the_limit():
    found = learned(unit_percentile=10.0, limit=0.5)
    np.testing.assert_allclose(found.score(ROWS + 10), found.score(np.full((40, 8), 0.5)), rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": np.arange(200) % 2}, "class 2 has no training image"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method line: .*{message}"):
        learned(**changes)
