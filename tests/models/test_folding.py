import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ood_bench.checkpoints.__main__ import node_named
from ood_bench.models.classifier import build_network, freeze
from ood_bench.models.folding import folded

LEFT = {  # batch norms that no convolution feeds alone
    "lenet": 0,
    "resnet18": 0,
    "resnet18_featurenorm": 0,
    "resnet20": 0,
    "resnet34": 0,
    "resnet20_v2": 7,  # the first of each block and the last
    "densenet_bc_100_12": 51,
    "wrn_40_2": 19,
    "vgg11": 0,
}


def awake(network, seed=0):
    """Frozen, in float64, with batch norms that do something."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low in ((module.weight, 0.5), (module.bias, -0.5), (module.running_mean, -0.5)):
                if values is not None:
                    values.data.uniform_(low, low + 1, generator=generator)
            if module.running_var is not None:
                module.running_var.uniform_(0.5, 2, generator=generator)
    return freeze(network.double())


def tapped(network, paths, x):
    """The output, and every tap at the moment when its module returns it."""
    found = {}
    for path in paths:
        network.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, value, path=path: found.update({path: value.clone()})
        )
    return network(x), found


def agree(network, paths, x, **tolerance):
    fast = folded(network, paths)
    (ours, mine), (expected, theirs) = tapped(fast, paths, x), tapped(copy.deepcopy(network), paths, x)
    torch.testing.assert_close(ours, expected, **tolerance)
    assert mine.keys() == theirs.keys() == set(paths)
    for path in paths:
        torch.testing.assert_close(mine[path], theirs[path], **tolerance)
    return fast


@pytest.mark.parametrize("name", LEFT)
def test_shipped_networks_keep_their_logits_and_taps(name):
    torch.manual_seed(0)
    shape = (1, 28, 28) if name == "lenet" else (3, 32, 32)
    network = awake(build_network(node_named("model", name), shape, 10))
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x = torch.randn(2, *shape, dtype=torch.float64)
    fast = agree(network, list(network.taps.values()), x, rtol=1e-9, atol=1e-9)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in fast.modules()) == LEFT[name]
    assert any(module.inplace for module in fast.modules() if isinstance(module, nn.ReLU))
    assert not any(value.requires_grad for value in fast.parameters())
    assert not any(module.inplace for module in network.modules() if isinstance(module, nn.ReLU))
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["resnet20", "densenet_bc_100_12"])
def test_input_gradients_are_those_of_the_network(name):
    torch.manual_seed(0)
    network = awake(build_network(node_named("model", name), (3, 32, 32), 10))
    found = []
    for one in (network, folded(network, network.taps.values())):
        x = torch.linspace(-2, 2, 2 * 3 * 32 * 32, dtype=torch.float64).view(2, 3, 32, 32).requires_grad_()
        found.append(torch.autograd.grad(one(x).logsumexp(dim=1).sum(), x)[0])
    torch.testing.assert_close(*found, rtol=1e-8, atol=1e-8 * found[0].abs().max().item())


class Pair(nn.Module):
    """A convolution, a batch norm and a ReLU, read in one of several ways."""

    def __init__(self, way):
        super().__init__()
        self.way = way
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=way == "bias")
        self.skip = nn.Dropout(0.5)
        self.bn = nn.BatchNorm2d(3, affine=way != "no affine", track_running_stats=way != "batch statistics")
        self.relu = nn.ReLU()

    def forward(self, x):
        read = self.conv(x)
        normed = self.bn(self.skip(read) if self.way == "dropout" else read)
        found = self.relu(normed)
        if self.way == "conv read twice":
            return found + read
        if self.way == "norm read twice":
            return found + normed
        if self.way == "conv called twice":
            return found + self.conv(found)
        if self.way == "norm called twice":
            return found + self.bn(found)
        if self.way == "relu called twice":
            return found + self.relu(x) + x
        return found


def pair(way):
    torch.manual_seed(1)
    return awake(Pair(way))


X = torch.linspace(-3, 3, 2 * 3 * 5 * 5, dtype=torch.float64).view(2, 3, 5, 5)


@pytest.mark.parametrize(
    ("way", "taps", "norm", "inplace"),
    [
        ("plain", (), False, True),
        ("bias", (), False, True),
        ("no affine", (), False, True),
        ("dropout", (), False, True),
        ("batch statistics", (), True, True),
        ("conv read twice", (), True, True),
        ("norm read twice", (), False, False),
        ("conv called twice", (), True, True),
        ("norm called twice", (), True, True),
        ("relu called twice", (), False, False),
        ("plain", ("conv",), True, True),
        ("plain", ("bn",), False, False),
        ("plain", ("relu",), False, True),
        ("plain", ("conv", "bn", "relu"), True, False),
    ],
)
def test_only_what_nobody_else_reads_is_folded_or_overwritten(way, taps, norm, inplace):
    fast = agree(pair(way), list(taps), X, rtol=1e-12, atol=1e-12)
    assert isinstance(fast.bn, nn.BatchNorm2d) == norm
    assert fast.relu.inplace == inplace


class Summing(Pair):
    def forward(self, x):
        kept = read = self.conv(x)
        read += x
        return self.relu(read) - kept


class Reading(Pair):
    def forward(self, x):
        return super().forward(x) + F.conv2d(x, self.conv.weight, padding=1) + self.bn.weight.view(-1, 1, 1)


class Choosing(Pair):
    """Cannot be traced."""

    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


def halved():
    """A subclass with weights of its own making."""

    class Halved(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight / 2, self.bias, padding=1)

    network = Pair("plain")
    network.conv = Halved(3, 3, 3, padding=1)
    return network


def spectral():
    network = Pair("plain")
    torch.nn.utils.spectral_norm(network.conv)
    network(X.float())
    return network


def hooked():
    network = Pair("plain")
    network.conv.register_forward_hook(lambda _module, _inputs, value: value + 1)
    return network


def named_twice():
    """The convolution has a second name, which is a tap."""
    network = Pair("plain")
    network.again = nn.ModuleList([network.conv])
    return network


@pytest.mark.parametrize(
    ("make", "taps"),
    [
        (halved, []),
        (lambda: Summing("plain"), []),
        (lambda: Reading("plain"), []),
        (spectral, []),
        (hooked, []),
        (named_twice, ["again.0"]),
        (lambda: Choosing("plain"), ["conv"]),
    ],
)
def test_layers_that_do_more_than_their_class_are_left_alone(make, taps):
    torch.manual_seed(1)
    network = awake(make())
    fast = agree(network, taps, X, rtol=1e-12, atol=1e-12)
    assert fast is not network or make is spectral  # whose weight cannot be copied
    assert isinstance(fast.bn, nn.BatchNorm2d)


class Block(nn.Module):
    """A ReLU after a block of a convolution and a batch norm, which has a second name."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        self.bn, self.relu = self.block[1], nn.ReLU()

    def forward(self, x):
        return self.relu(self.block(x))


def test_a_tapped_block_is_folded_under_both_names_and_not_overwritten_by_the_relu_after_it():
    torch.manual_seed(1)
    fast = agree(awake(Block()), ["block"], X, rtol=1e-12, atol=1e-12)
    assert not fast.relu.inplace
    assert isinstance(fast.block[1], nn.Identity)
    assert isinstance(fast.bn, nn.Identity)


def test_overwriting_of_the_networks_own_is_undone():
    torch.manual_seed(1)
    network = Pair("plain")
    network.relu = nn.ReLU(inplace=True)
    fast = folded(awake(network), ["bn"])
    assert not fast.relu.inplace
    assert network.relu.inplace


def test_a_network_that_cannot_be_copied_is_used_itself():
    network = pair("plain")
    network.bad = (value for value in (1,))  # no generator can be copied
    assert folded(network, []) is network


@pytest.mark.parametrize("head", ["godin_inner", "godin_euclidean", "godin_cosine"])
def test_networks_with_heads_are_folded(head):
    torch.manual_seed(0)
    network = awake(build_network({**node_named("model", "resnet20"), "head": head}, (3, 32, 32), 10))
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    fast = agree(network, list(network.taps.values()), x, rtol=1e-6, atol=1e-6)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())


def test_float32_networks_differ_by_rounding_only():
    torch.manual_seed(0)
    network = awake(build_network(node_named("model", "resnet20"), (3, 32, 32), 10)).float()
    x = torch.randn(4, 3, 32, 32)
    exact, ours, plain = copy.deepcopy(network).double()(x.double()), folded(network, [])(x), network(x)
    error, usual = ((value - exact).abs().max().item() for value in (ours, plain))
    assert error < 4 * usual
