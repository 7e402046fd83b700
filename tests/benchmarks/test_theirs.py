import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks import theirs as module
from benchmarks.pairs import pairs
from benchmarks.subjects import mixture
from benchmarks.theirs import Theirs, installed
from ood_bench.scoring.taps import forward_to_all


@pytest.fixture
def images(subject):
    return mixture(subject, 6)


@pytest.fixture
def x(subject, images):
    return subject.classifier.normalise(torch.from_numpy(images.images))


def test_it_is_given_the_parts_of_the_very_same_network(theirs, subject, x):
    network = subject.classifier.network
    with torch.inference_mode():
        torch.testing.assert_close(network.linear(theirs.encoder(x)), network(x))
        value = x
        for tap, stage in zip(network.stage_taps, theirs.stages, strict=True):
            value = stage(value)
            torch.testing.assert_close(value, forward_to_all(subject.classifier, x, [tap])[tap], rtol=1e-4, atol=1e-4)


def test_a_dataset_is_normalised_and_marks_ood_rows(theirs, subject, images, x):
    pixels, labels = theirs.dataset(images, 3).tensors
    torch.testing.assert_close(pixels, x)
    assert labels.tolist() == [0, 0, 0, -1, -1, -1]
    whole = theirs.dataset(subject.test, len(subject.test)).tensors[1]
    assert whole.tolist() == subject.test.labels.tolist()


def test_scores_are_turned_so_that_higher_means_id(theirs, subject, images, x):
    with torch.inference_mode():
        probability = subject.classifier.network(x).softmax(dim=1).amax(dim=1)
    found = theirs.scores(theirs.fit("MaxSoftmax", theirs.network), theirs.dataset(images, 3))
    np.testing.assert_allclose(found, probability, rtol=1e-5)


def test_every_pair_is_scored_by_both(theirs, ours, subject, images):
    found = pairs(subject.classifier)
    ours.fit({pair.name: pair.ours for pair in found})
    assert len({pair.name for pair in found}) == len(found) == 6
    for pair in found:
        other = theirs.scores(pair.theirs(theirs), theirs.dataset(images, 3), gradient=pair.gradient)
        mine = pair.scale(ours.cold([pair.ours], [images])[0][0])
        assert other.shape == mine.shape == (6,)
        if pair.tolerance is not None:
            assert np.abs(mine - other).max() <= pair.tolerance * np.ptp(mine)


def test_a_table_holds_the_auroc_of_every_cell(theirs, subject):
    kinds = [theirs.fit("MaxSoftmax", theirs.network), theirs.fit("EnergyBased", theirs.network)]
    known, first, second = (
        theirs.dataset(one, start) for one, start in zip([subject.test, *subject.oods], (6, 0, 0), strict=True)
    )
    benchmark = theirs.benchmark(known, [first, second])
    table = theirs.table(kinds, benchmark)
    scores = [theirs.scores(kinds[1], dataset) for dataset in (known, second)]
    assert table.shape == (2, 2)
    assert table[1, 1] == pytest.approx(100 * roc_auc_score([1] * 6 + [0] * 6, np.concatenate(scores)))


def test_a_second_table_runs_the_network_no_more(theirs, subject):
    known, other = theirs.dataset(subject.test, 6), theirs.dataset(subject.oods[0], 0)
    kinds, benchmark = [theirs.fit("MaxSoftmax", theirs.network)], theirs.benchmark(known, [other])
    seen = []
    handle = theirs.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    first, passed = theirs.table(kinds, benchmark), sum(seen)
    second = theirs.table(kinds, benchmark)
    handle.remove()
    assert passed == sum(seen) == 12
    np.testing.assert_array_equal(first, second)


def test_a_grid_varies_the_last_hyperparameter_fastest(theirs, subject, images):
    dataset, std = theirs.dataset(images, 3), list(subject.classifier.std)
    space = {"eps": (0.0, 0.01), "temperature": (1.0, 1000.0)}
    found = theirs.grid(theirs.fit("ODIN", theirs.network, norm_std=std), dataset, space)
    assert found.shape == (4,)
    one = theirs.fit("ODIN", theirs.network, eps=0.0, temperature=1000.0, norm_std=std)
    scores = theirs.scores(one, dataset, gradient=True)
    assert found[1] == pytest.approx(100 * roc_auc_score([1] * 3 + [0] * 3, scores))


def test_metrics_are_auroc_and_the_fpr_with_ood_positive(theirs):
    assert theirs.metrics(np.array([3.0, 2.0, 1.0]), np.array([0.5, 1.5])) == pytest.approx([500 / 6, 100 / 3])


def test_the_package_is_found_or_not(monkeypatch):
    assert installed()
    monkeypatch.setattr(module, "_PACKAGE", "no_such_package")
    assert installed() is None


def test_without_the_package_nothing_of_it_can_be_used(monkeypatch, subject):
    monkeypatch.setattr(module, "_PACKAGE", "no_such_package")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        Theirs(subject.classifier, subject.train, 4)
