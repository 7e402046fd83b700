import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.scoring.replay import Replay
from ood_bench.scoring.stochastic import active, dropout_modules

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


class Concatenation(Net):
    def forward(self, x):
        kept = self.costly(x)
        return torch.cat([kept, self.dropout(self.after(kept))], dim=1)


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


class DrawsWithin(Net):
    """The same inside of a module that is finished before."""

    class Noise(nn.Module):
        def forward(self, x):
            return x + torch.rand_like(x)

    def __init__(self):
        super().__init__()
        self.noise = self.Noise()

    def forward(self, x):
        return self.dropout(self.noise(self.costly(x)))


SHARING = [Shortcut, Concatenation, SharedLayer, Nested, OfTwo, LateDropout, Still]
OTHERS = [ChangesInPlace, DrawsByItself, DrawsWithin]


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
