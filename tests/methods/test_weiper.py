import numpy as np
import pytest
import torch
from last_layer import learner

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods import weiper
from ood_bench.methods.weiper import WeiPer

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 12)), RANDOM.normal(size=3)
TRAIN, ROWS = RANDOM.exponential(size=(50, 12)), RANDOM.exponential(size=(20, 12)) * 1.5
SMALL = {"bins": 20, "smoothing": 4, "smoothing_perturbed": 5, "repeats": 6}
learned = learner(WeiPer, TRAIN, WEIGHT, BIAS, **SMALL)


def perturbed(row, repeats, distance, seed):
    """Logits ``[repeats, 3]`` of one image."""
    logits = []
    for repeat in range(repeats):
        noise = np.random.RandomState([seed, repeat]).normal(size=WEIGHT.shape)
        heads = [
            w + distance * np.linalg.norm(w) * one / np.linalg.norm(one) for w, one in zip(WEIGHT, noise, strict=True)
        ]
        logits.append([head @ row + b for head, b in zip(heads, BIAS, strict=True)])
    return np.array(logits)


def divergence(values, train, bins, smoothing, floor):
    """By NumPy's histograms, and PyTorch's convolution with replicated ends, as the authors smooth."""
    ends = (np.min(train), np.max(train))
    density = np.histogram(values, bins, ends)[0] / values.size
    typical = np.mean([np.histogram(one, bins, ends)[0] / one.size for one in train], axis=0)
    smooth = torch.nn.Conv1d(1, 1, smoothing, padding="same", padding_mode="replicate", bias=False).double()
    smooth.weight.data[:] = 1 / smoothing
    q = smooth(torch.from_numpy(density)[None, None])[0, 0].detach().numpy() + floor
    p, q = (typical + floor) / sum(typical + floor), q / sum(q)
    return sum(p * np.log(p / q)) + sum(q * np.log(q / p))


@pytest.mark.parametrize(
    "changes",
    [{}, {"smoothing": 1, "smoothing_perturbed": 20, "distance": 0.5, "seed": 3}, {"bins": 7, "lambda_2": 4.0}],
)
def test_score_against_the_formula(changes):
    found = learned(**changes)
    known = (found.repeats, found.distance, found.seed)
    train = [perturbed(row, *known) for row in TRAIN]
    expected = []
    for row in ROWS:
        logits = perturbed(row, *known)
        confidence = np.mean([max(np.exp(z)) / sum(np.exp(z)) for z in logits])
        own = divergence(row, TRAIN, found.bins, found.smoothing, 0.01)
        other = divergence(logits, train, found.bins, found.smoothing_perturbed, 0.025)
        expected.append(-(own + found.lambda_1 * other - found.lambda_2 * confidence))
    np.testing.assert_allclose(found.score(ROWS), expected, rtol=1e-9)


def test_neither_the_other_images_nor_the_size_of_a_block_matter(monkeypatch):
    whole = learned().score(ROWS)
    np.testing.assert_allclose([learned().score(row[None])[0] for row in ROWS[:3]], whole[:3], rtol=1e-12)
    monkeypatch.setattr(weiper, "_VALUES", 20)  # two heads and some rows at a time
    np.testing.assert_allclose(learned().score(ROWS), whole, rtol=1e-12)


def test_without_logits_and_confidence_permuted_units_leave_the_score():
    order = RANDOM.permutation(12)
    changes = {"lambda_1": 0.0, "lambda_2": 0.0}
    permuted = learned(TRAIN[:, order], WEIGHT[:, order], **changes).score(ROWS[:, RANDOM.permutation(12)])
    np.testing.assert_allclose(permuted, learned(**changes).score(ROWS), rtol=1e-12)


def test_without_noise_all_heads_are_the_networks_own():
    one, many = (learned(distance=0.0, repeats=repeats).score(ROWS) for repeats in (1, 6))
    np.testing.assert_allclose(one, many, rtol=1e-10)


def test_settings_share_fits_and_score_as_if_each_had_its_own(toys, monkeypatch):
    found, using = toys.fitted("weiper", repeats=5)
    view = View(toys.image_set("near", 12))
    settings = found.candidates()[::601]
    learn, fits = WeiPer.learn, []
    monkeypatch.setattr(WeiPer, "learn", lambda self, *rows: (fits.append(self), learn(self, *rows))[1])
    together = found.raw_scores(using, view, settings)
    pairs = {(one["bins"], one["distance"]) for one in settings}
    assert len(fits) == len(pairs - {(found.bins, found.distance)}) < len(settings)
    alone = [toys.fitted("weiper", repeats=5, **one)[0].raw_scores(using, view, [{}])[0] for one in settings]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smoothing": 21}, "smoothing is 21, smoothing_perturbed 5 and bins 20: set both smoothings"),
    ],
)
def test_impossible_numbers_are_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method weiper: {message}"):
        WeiPer(**{**SMALL, **changes})


def test_features_that_are_all_equal_are_refused():
    with pytest.raises(ConfigError, match=r"method weiper: features or logits .* are all equal"):
        learned(np.ones((50, 12)))
