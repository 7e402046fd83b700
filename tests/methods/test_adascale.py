import numpy as np
import pytest
import torch
from scipy.special import logsumexp

from ood_bench.data.views import View
from ood_bench.errors import ConfigError

FEATURES = 128  # of the toy network


def t_of(network, tap, x, toys, *, weight=10.0, k1=1.28, k2=6, share=0.05, epsilon=0.5):
    """One image ``[3, 8, 8]`` in float64: its features, and weight * Q + C."""
    leaf = x[None].clone().requires_grad_()
    features = toys.tap_value(network, tap, leaf)
    gradient = torch.autograd.grad(network(leaf).max(), leaf)[0][0].flatten()
    stepped = x.clone().flatten()
    for place in sorted(range(len(gradient)), key=lambda place: abs(gradient[place]))[: int(len(gradient) * share)]:
        stepped[place] += epsilon * np.sign(gradient[place].item())
    before = features[0].detach().numpy()
    after = toys.tap_value(network, tap, stepped.view(1, *x.shape))[0].detach().numpy()
    order = sorted(range(len(before)), key=lambda unit: -before[unit])
    shift = sum(abs(before[unit] - after[unit]) for unit in order[: int(k1)])
    return before, weight * shift + sum(max(after[unit], 0) for unit in order[: int(k2)])


def slow(images, drawn, kind, between, toys, **options):
    """Energies image by image; ``drawn`` are the training rows of the distribution."""
    given = toys.classifier()
    network, head = toys.double(given), given.head()
    tap, (low, high) = given.penultimate, between
    known = [t_of(network, tap, x, toys, **options)[1] for x in toys.inputs(toys.TRAIN, drawn)]
    scores = []
    for x in toys.inputs(images):
        f, t = t_of(network, tap, x, toys, **options)
        share = sum(one <= t for one in known) / len(known)
        k = len(f) - round(len(f) * (low + (1 - share) * (high - low)) / 100)
        s = f.clip(0).sum() / np.sort(f.clip(0))[-k:].sum()
        logits = f * np.exp(s) @ head.weight.T + head.bias if kind == "a" else (head.weight @ f + head.bias) * s**2
        scores.append(logsumexp(logits))
    return scores


@pytest.mark.parametrize("kind", ["a", "l"])
def test_scores_against_one_image_at_a_time(kind, toys):
    images, drawn = toys.image_set("near", 12), np.random.RandomState(3).permutation(240)[:40]
    ours = toys.scores("adascale", View(images), kind=kind, low=20.0, high=90.0, images=40, seed=3)
    np.testing.assert_allclose(ours, slow(images, drawn, kind, (20.0, 90.0), toys), rtol=1e-4)


def test_all_of_its_numbers_against_one_image_at_a_time(toys):
    images, drawn = toys.image_set("near", 12), np.random.RandomState(0).permutation(240)[:30]
    options = {"share": 0.3, "epsilon": 0.2}
    ours = toys.scores(
        "adascale", View(images), low=20.0, high=80.0, images=30, k1=10.0, k2=25.0, shift_weight=2.0, **options
    )
    expected = slow(images, drawn, "a", (20.0, 80.0), toys, weight=2.0, k1=12.8, k2=32, **options)
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


@pytest.mark.parametrize(("kind", "method"), [("a", "scale"), ("l", "lts")])
@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_with_one_percentile_it_is_scale_or_lts_whatever_the_step(kind, method, epsilon, toys):
    view = View(toys.image_set("near", 30))
    for base in ("energy", "kl_matching"):
        ours = toys.scores("adascale", view, kind=kind, low=70.0, high=70.0, epsilon=epsilon, base=base)
        np.testing.assert_allclose(ours, toys.scores(method, view, percentile=70.0, base=base), rtol=1e-10)


def test_a_larger_change_than_any_training_images_gives_the_lowest_percentile(toys):
    """Percentiles by hand: t below all, equal to the second and above all of four known ones."""
    found, _ = toys.fitted("adascale", low=0.0, high=75.0)
    found._known = np.array([1.0, 2.0, 3.0, 4.0])
    features = np.random.default_rng(0).exponential(size=(1, FEATURES))
    for t, percentile in [(0.5, 75.0), (2.0, 37.5), (5.0, 0.0)]:
        fixed, _ = toys.fitted("scale", percentile=percentile)
        np.testing.assert_allclose(found.score(np.append(features, [[t]], axis=1)), fixed.score(features), rtol=1e-12)


def test_the_step_is_in_units_of_the_normalised_input_and_runs_once_for_all_settings(toys):
    found = toys.detector("adascale")
    using, view = toys.scorer(found), View(toys.image_set("near", 20))
    found.fit(using, np.random.RandomState(0))
    with toys.counting(using.classifier) as counts:
        several = found.raw_scores(using, view, found.candidates())
    assert several.shape == (8, 20, 1)
    assert counts["backward"] == 20
    assert counts["conv1"] == 20 * 3  # for the pooled features, the gradient, and the stepped images
    alone = toys.raw_scores("adascale", view, low=60.0, high=95.0)
    np.testing.assert_allclose(several[6], alone[0], rtol=1e-6)


@pytest.mark.parametrize("changes", [{"low": 80.0, "high": 70.0}, {"high": 100.0}])
def test_values_that_cannot_work_are_refused(changes, toys):
    with pytest.raises(ConfigError, match="method adascale: "):
        toys.detector("adascale", **changes)


def test_a_percentile_that_leaves_no_feature_is_refused_before_anything_is_scored(toys):
    with pytest.raises(ConfigError, match=r"high is 99\.9, which leaves 0 of 128 features"):
        toys.fitted("adascale", high=99.9)


def test_search_leaves_out_percentiles_that_leave_no_feature(toys):
    found, _ = toys.fitted("adascale")
    assert [one["high"] for one in found.candidates()] == [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 99.0]
    found.weight = found.weight[:, :32]
    assert [one["high"] for one in found.candidates()] == [65.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0]
