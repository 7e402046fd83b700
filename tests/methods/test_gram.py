import numpy as np
import pytest
import torch
from pytorch_ood.detector import Gram as Theirs

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.methods.gram import Gram

TAPS = ("conv1", "conv2", "fc1")


def statistics(toys, network, images, powers):
    """Gram statistics by tap and the softmax probabilities, by the formula."""
    x = toys.inputs(images)
    with torch.no_grad():
        probabilities = network(x).softmax(dim=1).numpy()
        values = {tap: toys.tap_value(network, tap, x).flatten(1, 1) for tap in TAPS}
    found = {}
    for tap, value in values.items():
        rows = []
        for one in value.reshape(len(value), value.shape[1], -1).numpy():
            sums = [((one**power) @ (one**power).T).sum(axis=1) for power in powers]
            rows.append(
                np.concatenate([np.sign(row) * abs(row) ** (1 / p) for p, row in zip(powers, sums, strict=True)])
            )
        found[tap] = np.array(rows)
    return found, probabilities


def deviations(rows, low, high):
    return (np.maximum(low - rows, 0) / abs(low + 1e-6) + np.maximum(rows - high, 0) / abs(high + 1e-6)).sum(axis=1)


@pytest.mark.parametrize("definition", ["paper", "openood", "pytorch_ood"])
def test_scores_of_a_network_against_the_formula(definition, toys):
    """Every seventh training image has another label than is predicted for it."""
    powers, paper = [1, 2, 5], definition == "paper"
    labels = np.where(np.arange(240) % 7 == 0, (toys.TRAIN.labels + 1) % 4, toys.TRAIN.labels)
    using = toys.scorer_with(toys.classifier(), train=ImageSet.of("relabelled", toys.TRAIN.images, labels))
    found, using = toys.fitted("gram", using=using, taps=list(TAPS), powers=powers, definition=definition)
    images = toys.image_set("near", 20)
    ours = found.raw_scores(using, View(images), [{}])[0, :, 0]
    network = toys.double(using.classifier)
    train, train_p = statistics(toys, network, toys.TRAIN, powers)
    rows, p = statistics(toys, network, images, powers)
    held = np.random.RandomState(0).permutation(240)[:24]
    kept = np.setdiff1d(np.arange(240), held)
    classes = train_p.argmax(axis=1) if paper else labels
    expected = np.zeros(20)
    for tap in TAPS:
        low, high = (
            np.array([pick(train[tap][kept[classes[kept] == label]], axis=0) for label in range(4)])
            for pick in (np.min, np.max)
        )
        of = classes[held]
        unit = np.mean(deviations(train[tap][held], low[of], high[of]) / (train_p[held].max(axis=1) if paper else 1))
        apart = deviations(rows[tap], low[p.argmax(axis=1)], high[p.argmax(axis=1)])
        expected -= apart / (1 if definition == "pytorch_ood" else p.max(axis=1)) / unit
    np.testing.assert_allclose(ours, expected, rtol=2e-3)
    assert expected.std() > 0.1 * abs(expected).mean()
    assert found.variant == ("" if paper else f"as {definition}")


def test_pytorch_ood_gives_the_scores_of_its_definition(toys, monkeypatch):
    """With a draw that holds out 6 images of each label, as it draws them."""
    draws = (np.random.RandomState(seed).permutation(240)[:24] for seed in range(1000))
    seed, held = next(
        pair for pair in enumerate(draws) if (np.bincount(toys.TRAIN.labels[pair[1]], minlength=4) == 6).all()
    )
    found, using = toys.fitted("gram", seed=seed, taps=list(TAPS), powers=[1, 2, 3], definition="pytorch_ood")
    network = toys.double(using.classifier)
    theirs = Theirs(network, [None] * len(TAPS), 4, [1, 2, 3])
    monkeypatch.setattr(
        theirs, "_create_feature_list", lambda x: (network(x), [toys.tap_value(network, tap, x) for tap in TAPS])
    )
    places = [np.isin(np.flatnonzero(toys.TRAIN.labels == label), held) for label in range(4)]
    orders = iter([torch.from_numpy(np.argsort(~mine, kind="stable")) for mine in places])
    monkeypatch.setattr(torch, "randperm", lambda count: next(orders))
    with torch.no_grad():
        theirs.fit([(toys.inputs(toys.TRAIN), torch.from_numpy(toys.TRAIN.labels))])
    images = toys.image_set("near", 20)
    ours = found.raw_scores(using, View(images), [{}])[0, :, 0]
    np.testing.assert_allclose(ours, -theirs.predict(toys.inputs(images)).detach().numpy(), rtol=2e-3)


def test_held_out_images_score_minus_one_a_tap_on_average_and_those_of_the_bounds_0(toys):
    found, using = toys.fitted("gram", taps=list(TAPS))
    order = np.random.RandomState(0).permutation(240)
    held, kept = (found.raw_scores(using, View(toys.TRAIN, rows), [{}])[0, :, 0] for rows in (order[:24], order[24:]))
    np.testing.assert_allclose(held.mean(), -len(TAPS), rtol=1e-4)
    assert abs(kept).max() < 1e-3 * len(TAPS)


def test_what_is_learned_is_kept(toys, tmp_path):
    classifier, view = toys.classifier(), View(toys.image_set("near", 12))
    first = toys.raw_scores("gram", view, using=toys.scorer_with(classifier, root=tmp_path))
    with toys.counting(classifier) as counts:
        again = toys.raw_scores("gram", view, using=toys.scorer_with(classifier, root=tmp_path))
    np.testing.assert_array_equal(first, again)
    assert counts[""] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"taps": []}, "taps must name one tap or more"),
        ({"powers": []}, r"powers are \[\]"),
        ({"powers": [0, 1]}, r"powers are \[0, 1\]"),
        ({"powers": [2, 1]}, r"powers are \[2, 1\]"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_values_that_cannot_work_are_refused(changes, words):
    with pytest.raises(ConfigError, match=f"method gram: .*{words}"):
        Gram(**changes)


def test_training_images_that_give_no_bounds_are_refused(toys):
    some = ImageSet.of("some", toys.TRAIN.images[:9], toys.TRAIN.labels[:9])
    with pytest.raises(ConfigError, match="method gram: 9 training images leave none to hold out"):
        toys.fitted("gram", using=toys.scorer_with(toys.classifier(), train=some))
    one = ImageSet.of("one", toys.TRAIN.images[::4], toys.TRAIN.labels[::4])
    with pytest.raises(ConfigError, match="method gram: no training image is predicted as class 1, 2, 3"):
        toys.fitted("gram", using=toys.scorer_with(toys.classifier(), train=one))
    with pytest.raises(ConfigError, match="method gram: no training image is of class 1, 2, 3: use more"):
        toys.fitted("gram", using=toys.scorer_with(toys.classifier(), train=one), definition="openood")
    none = ImageSet.of("none", toys.TRAIN.images)
    with pytest.raises(ConfigError, match=r"definition openood takes labels, and none has none: set method\.gram"):
        toys.fitted("gram", using=toys.scorer_with(toys.classifier(), train=none), definition="openood")
    still = ImageSet.of("still", toys.TRAIN.images[np.arange(40) % 4], np.arange(40) % 4)
    with pytest.raises(ConfigError, match=r"none of 4 held-out training images deviates at tap conv1, .*use more"):
        toys.fitted("gram", using=toys.scorer_with(toys.classifier(), train=still))
