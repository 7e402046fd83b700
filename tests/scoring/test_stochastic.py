import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.data.views import View
from ood_bench.scoring.stochastic import Replay, active, dropout_modules, sample_passes


def state_of(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("train_mode", [False, True])
def test_the_network_and_the_global_generator_are_left_alone(train_mode, toys):
    classifier = toys.norm_classifier()
    before, modes = state_of(classifier.network), [module.training for module in classifier.network.modules()]
    torch.manual_seed(77)
    expected = torch.rand(3)
    torch.manual_seed(77)
    sample_passes(classifier, View(toys.image_set("near", 9)), 4, 1, 5, train_mode=train_mode)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)
    assert [module.training for module in classifier.network.modules()] == modes
    assert not any(modes)
    for name, value in classifier.network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in classifier.network.parameters())


def normed(network, x, mean, variance):
    """Softmax of the toy network without dropout, batch normalisation by hand."""
    value = network.conv(x)
    shape = (1, -1, 1, 1)
    value = (value - mean.view(shape)) / (variance.view(shape) + network.norm.eps).sqrt()
    value = value * network.norm.weight.view(shape) + network.norm.bias.view(shape)
    return network.last(value.relu().flatten(1)).softmax(dim=1)


def test_batch_normalisation_in_both_modes(toys):
    """Without dropout: running statistics by default, those of each scored batch in training mode."""
    classifier, images = toys.norm_classifier(rate=0.0), toys.image_set("near", 10)
    network, x = toys.double(classifier), toys.inputs(images)
    with torch.no_grad():
        running = normed(network, x, network.norm.running_mean, network.norm.running_var)
        batches = []
        for part in (x[:6], x[6:]):
            value = network.conv(part)
            mean, variance = value.mean(dim=(0, 2, 3)), value.var(dim=(0, 2, 3), unbiased=False)
            batches.append(normed(network, part, mean, variance))
    frozen, adapting = (
        sample_passes(classifier, View(images), 2, 0, 6, train_mode=train_mode) for train_mode in (False, True)
    )
    np.testing.assert_allclose(frozen[:, :-1], running, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(adapting[:, :-1], torch.cat(batches), rtol=1e-5, atol=1e-8)
    assert np.abs(frozen - adapting).max() > 0.01
    assert frozen[:, -1].max() < 1e-12


def test_the_seed_decides(toys):
    view, classifier = View(toys.image_set("near", 9)), toys.norm_classifier()
    first, again, other = (sample_passes(classifier, view, 3, seed, 9, train_mode=False) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_many_passes_come_close_to_the_expectation(toys):
    """A linear network: the mean logit over passes is the clean logit, the variance that of the dropped inputs."""

    class Linear(nn.Module):
        taps = {"logits": "last"}  # noqa: RUF012 - read only

        def __init__(self):
            super().__init__()
            self.dropout, self.last = nn.Dropout(0.4), nn.Linear(192, 2)

        def forward(self, x):
            return self.last(self.dropout(x.flatten(1)))

    torch.manual_seed(0)
    classifier, images = toys.classifier_of(Linear()), toys.image_set("near", 3)
    variance = sample_passes(classifier, View(images), 3000, 0, 3, train_mode=False)[:, -1]
    x, last = toys.inputs(images).flatten(1), classifier.network.last
    with torch.no_grad():
        winner = last(x.float()).argmax(dim=1)
        expected = (x * last.weight[winner].double()).square().sum(dim=1) * 0.4 / 0.6
    np.testing.assert_allclose(variance, expected, rtol=0.15)


def test_all_kinds_of_dropout_are_found(toys):
    kinds = [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout]
    network = nn.Sequential(nn.ReLU(), nn.Sequential(*(kind(0.5) for kind in kinds)), nn.Linear(1, 1))
    assert [type(module) for module in dropout_modules(network)] == kinds
    assert dropout_modules(nn.Sequential(nn.ReLU(), nn.BatchNorm1d(2))) == []
    assert len(dropout_modules(toys.classifier().network)) == 2


# Passes that share what comes before the first random layer

PASSES = 4


class Net(nn.Module):
    """A costly layer, then what a test does with it."""

    def __init__(self):
        super().__init__()
        self.costly = nn.Linear(6, 6)
        self.after = nn.Linear(6, 6)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.5)


class Shortcut(Net):
    def forward(self, x):
        kept = self.costly(x)
        return kept + self.after(self.dropout(kept))


class SharedLayer(Net):
    """One ReLU and one dropout in several places, as in the network that FSSD's first release samples."""

    def forward(self, x):
        x = self.dropout(self.relu(self.costly(x)))
        return self.dropout(self.relu(self.after(x)))


class Nested(nn.Module):
    """Random and other layers within containers, and a container that ends before the first random layer."""

    def __init__(self):
        super().__init__()
        self.costly = nn.Sequential(nn.Linear(6, 6), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU(), nn.Dropout(0.5, inplace=True)), nn.ReLU())
        self.last = nn.Dropout(0.0)

    def forward(self, x):
        return self.last(self.block(self.costly(x)))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, *, x):
        return self.first(x), self.second(x)


class OfTwo(Net):
    """A container that gives two tensors: its layers are shared, itself runs anew."""

    def __init__(self):
        super().__init__()
        self.pair = Pair()

    def forward(self, x):
        first, second = self.pair(x=self.costly(x))
        return first + self.dropout(second)


class LateDropout(Net):
    """The first random layer is not the first dropout layer, whose rate is 0."""

    def __init__(self):
        super().__init__()
        self.first = nn.Dropout(0.0)

    def forward(self, x):
        return self.dropout(self.costly(self.first(x)))


class Still(Net):
    def forward(self, x):
        return self.after(self.costly(x))


class ChangesInPlace(Net):
    """What is kept changes after it was given: nothing may be shared."""

    def forward(self, x):
        kept = self.costly(x)
        out = self.after(self.dropout(kept))
        kept += out
        return kept.sigmoid()


class DrawsByItself(Net):
    """Random before the first random layer: nothing may be shared."""

    def forward(self, x):
        return self.after(self.dropout(F.dropout(self.costly(x), 0.5, training=True)))


SHARING = [Shortcut, SharedLayer, Nested, OfTwo, LateDropout, Still]
OTHERS = [ChangesInPlace, DrawsByItself]


def sampled(kind):
    """A network whose dropout is at work, and a list to which its costly layer adds the rows of each call."""
    torch.manual_seed(0)
    network, calls = kind().eval(), []
    for module in dropout_modules(network):
        module.train()
    plain = copy.deepcopy(network)
    costly = network.costly[0] if isinstance(network.costly, nn.Sequential) else network.costly
    given = costly.forward
    costly.forward = lambda x: (calls.append(len(x)), given(x))[1]
    return plain, network, calls


def both(kind):
    """Outputs of separate passes and of shared ones over three batches, and the costly layer's calls."""
    plain, network, calls = sampled(kind)
    batches = [torch.randn(rows, 6) for rows in (5, 5, 3)]
    replay = Replay(network, [one for one in dropout_modules(network) if active(one)])
    with torch.no_grad():
        torch.manual_seed(1)
        separate = [[plain(x) for _ in range(PASSES)] for x in batches]
        torch.manual_seed(1)
        shared = [list(replay.passes(x.clone(), PASSES)) for x in batches]
    return separate, shared, calls


@pytest.mark.parametrize("kind", [*SHARING, *OTHERS])
def test_the_numbers_are_those_of_separate_passes(kind):
    separate, shared, _ = both(kind)
    for expected, found in zip(separate, shared, strict=True):
        torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=0, atol=0)
    assert (kind is Still) == torch.equal(shared[0][0], shared[0][1])


@pytest.mark.parametrize("kind", SHARING)
def test_what_comes_before_the_first_random_layer_runs_once_a_batch(kind):
    assert both(kind)[2] == [5, 5, 3]


@pytest.mark.parametrize("kind", OTHERS)
def test_nothing_is_shared_where_it_would_be_wrong(kind):
    assert both(kind)[2] == [5] * (2 * PASSES) + [3] * PASSES


def test_nothing_is_held_once_a_batch_is_done():
    _, network, _ = sampled(Shortcut)
    replay = Replay(network, dropout_modules(network))
    with torch.no_grad():
        kept = [len(replay._calls) for _ in replay.passes(torch.randn(5, 6), PASSES)]
    assert kept == [2] * PASSES  # the network itself, unfinished, and the costly layer
    assert replay._calls == []
