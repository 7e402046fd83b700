import numpy as np
import pytest
import torch
from last_layer import learner
from pytorch_ood.detector import VRA
from scipy.special import logsumexp

from ood_bench.errors import ConfigError
from ood_bench.methods.react import React
from ood_bench.methods.vra import Vra

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(200, 8)), RANDOM.exponential(size=(40, 8)) * 2
learned = learner(Vra, TRAIN, WEIGHT, BIAS)


def percentile(values, share):
    values = sorted(values)
    place = (len(values) - 1) * share / 100
    low = int(place)
    return values[low] + (place - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def energy(features):
    return [np.log(sum(np.exp(WEIGHT @ row + BIAS))) for row in features]


@pytest.mark.parametrize("shift", [0.0, 0.6])
def test_score_against_the_formula(shift):
    def changed(value, train):
        low, high = percentile(train, 60.0), percentile(train, 95.0)
        return 0 if value < low else high if value > high else value + shift

    expected = energy([[changed(*pair) for pair in zip(row, TRAIN.T, strict=True)] for row in ROWS])
    np.testing.assert_allclose(learned(shift=shift).score(ROWS), expected, rtol=1e-10)


def test_openoods_definition_cuts_off_at_both_by_all_units_together():
    low, high = (percentile(TRAIN.ravel(), share) for share in (10.0, 90.0))
    expected = energy([[min(max(value, low), high) for value in row] for row in ROWS])
    found = learned(low=10.0, high=90.0, definition="openood")
    np.testing.assert_allclose(found.score(ROWS), expected, rtol=1e-10)
    assert [len(found.candidates()), len(found.deviations())] == [16, 1]
    assert [learned().candidates(), learned().deviations()] == [[{}], []]


@pytest.mark.parametrize(("low", "high"), [(0, 100), (60, 95)])
def test_pytorch_ood_cuts_off_below_where_the_authors_write_0(low, high):
    weight, bias = torch.from_numpy(WEIGHT), torch.from_numpy(BIAS)
    theirs = VRA(None, lambda maps: maps.flatten(1) @ weight.T + bias, low / 100, high / 100)
    theirs.fit_feature_maps(torch.from_numpy(TRAIN)[:, :, None, None], torch.zeros(200))
    scores = -theirs.predict_feature_maps(torch.from_numpy(ROWS)[:, :, None, None]).numpy()
    found = learned(low=low, high=high, definition="pytorch_ood")
    np.testing.assert_allclose(found.score(ROWS), scores, rtol=1e-5)
    assert len(found.candidates()) == 16
    assert found.deviations() == []
    assert found.variant == "as pytorch_ood"
    assert not np.allclose(learned(low=low, high=high).score(ROWS), scores, rtol=0.01)


def test_without_limits_it_is_the_energy_and_openoods_without_the_lower_is_react():
    found = learned(low=0.0, high=100.0)
    for rows in (ROWS, ROWS * 10, -ROWS):
        np.testing.assert_allclose(found.score(rows), logsumexp(rows @ WEIGHT.T + BIAS, axis=1), rtol=1e-12)
    openood, react = learned(low=0.0, high=90.0, definition="openood"), learned(kind=React, percentile=90.0)
    rows = ROWS.clip(TRAIN.min())
    np.testing.assert_allclose(openood.score(rows), react.score(rows), rtol=1e-12)


def test_the_order_of_units_does_not_matter_also_above_64():
    train, weight = RANDOM.exponential(size=(50, 150)), RANDOM.normal(size=(3, 150))
    order = RANDOM.permutation(150)
    straight, permuted = learned(train, weight), learned(train[:, order], weight[:, order])
    np.testing.assert_allclose(permuted.score(train[:, order]), straight.score(train), rtol=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"low": 95.0}, r"low is 95\.0 and high 95\.0: set method\.vra\.low"),
        ({"low": -1.0}, r"low is -1\.0"),
        ({"high": 101.0}, r"high 101\.0"),
        ({"definition": "openood", "shift": 0.5}, r"shift is 0\.5.*: set method\.vra\.shift=0"),
        ({"definition": "pytorch_ood", "shift": 0.5}, r"shift is 0\.5, which definition pytorch_ood does not have"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method vra: .*{message}"):
        Vra(**changes)
