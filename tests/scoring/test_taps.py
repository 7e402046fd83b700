import contextlib

import pytest
import torch

from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.scoring.quantities import OUTPUT
from ood_bench.scoring.taps import channels_first, forward_to_all, full_precision, named_taps, reading

AFTER = {
    "conv1": {"conv2", "relu2", "channel_dropout", "fc1", "relu3", "dropout", "fc2"},
    "conv2": {"channel_dropout", "fc1", "relu3", "dropout", "fc2"},
    "fc1": {"dropout", "fc2"},
    "logits": set(),
}


class Staged(torch.nn.Identity):
    taps = {"stem": "a", "one": "b", "two": "c"}  # noqa: RUF012 - read only, as in shipped models
    stage_taps = ("stem", "two")


def test_words_for_taps(toys):
    staged, plain = toys.Classifier(Staged(), (0.5,), (0.5,)), toys.classifier()
    assert named_taps(staged, ["all"]) == ["stem", "one", "two"]
    assert named_taps(staged, ["stages"]) == ["stem", "two"]
    assert named_taps(staged, ["two", "one"]) == ["two", "one"]
    assert named_taps(staged, []) == []
    assert named_taps(plain, ["stages"]) == list(AFTER), "LeNet names no stages"


@pytest.fixture
def x(toys):
    return toys.inputs(toys.image_set("near", 3)).float()


@pytest.fixture
def tf32_allowed():
    """Switches TF32 on, as an impatient caller would."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    matmul.allow_tf32 = convolution.allow_tf32 = True
    yield lambda: (matmul.allow_tf32, convolution.allow_tf32)
    matmul.allow_tf32, convolution.allow_tf32 = before


@pytest.mark.parametrize("tap", AFTER)
def test_a_pass_ends_at_the_tap(tap, x, toys):
    classifier = toys.classifier()
    with toys.counting(classifier) as counts, torch.no_grad():
        value = forward_to_all(classifier, x, [tap])[tap]
    ran = set(counts) - {""}
    assert ran.isdisjoint(AFTER[tap])
    assert ran | AFTER[tap] == {name for name, _ in classifier.network.named_modules() if name}
    with torch.no_grad():
        torch.testing.assert_close(value, toys.tap_value(classifier.network, tap, x), rtol=0, atol=0)


class Overwriting(torch.nn.Module):
    """Goes on to overwrite what its tap gave, outside of any module."""

    taps = {"map": "conv"}  # noqa: RUF012 - read only, as in shipped models

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)

    def forward(self, x):
        return torch.relu_(self.conv(x)).mean(dim=(2, 3))


def test_a_tap_is_what_its_module_returned_whatever_happens_to_it_later(x, toys):
    classifier = toys.Classifier(Overwriting(), (0.5,) * 3, (0.5,) * 3)
    with torch.no_grad():
        both = forward_to_all(classifier, x, ["map", OUTPUT])
        assert both["map"].min() < 0
        torch.testing.assert_close(both["map"], classifier.network.conv(x))
        torch.testing.assert_close(both[OUTPUT], classifier.network(x))


def test_all_readers_see_their_taps_in_the_block_only(x, toys):
    classifier, seen = toys.classifier(), []
    readers = {tap: lambda value, tap=tap: seen.append((tap, tuple(value.shape))) for tap in ("fc1", "conv2")}
    with reading(classifier, readers), torch.no_grad():
        classifier.scoring_network(x)
    classifier.scoring_network(x)
    assert seen == [("conv2", (3, 64, 4, 4)), ("fc1", (3, 128))]


class Tokens(torch.nn.Module):
    """16 tokens of 24 values from 32x32 RGB images; the ReLU is called twice, the attention gives a tuple."""

    taps = {"tokens": "norm", "relu": "relu", "attention": "attention", "mixed": "mixed"}  # noqa: RUF012 - read only
    penultimate = "tokens"

    def __init__(self):
        super().__init__()
        self.embed, self.norm, self.relu = torch.nn.Conv2d(3, 24, 8, 8), torch.nn.LayerNorm(24), torch.nn.ReLU()
        self.attention, self.mixed = torch.nn.MultiheadAttention(24, 2, batch_first=True), torch.nn.Flatten(0)
        self.fc = torch.nn.Linear(24, 4)

    def forward(self, x):
        tokens = self.norm(self.embed(x).flatten(2).transpose(1, 2))
        self.mixed(self.attention(tokens, tokens, tokens)[0])
        return self.fc(self.relu(self.relu(tokens.mean(1)) - 0.1))


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        ("tokens", r"tap tokens gives \[B, 16, 24\], and it is unknown .*channels_last_taps = \('tokens',\)"),
        ("relu", "tap relu is called twice in a pass: choose a module that is called once"),
        ("attention", "tap attention gives a tuple: choose a module that gives one tensor"),
        ("mixed", r"tap mixed gives a tensor \[768\]"),
    ],
)
def test_a_tap_without_one_known_channel_axis_is_refused_by_name(tap, message, toys):
    classifier = toys.Classifier(Tokens().eval(), (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ConfigError, match=message), torch.no_grad(), reading(classifier, {tap: print}):
        classifier.network(torch.zeros(2, 3, 32, 32)), classifier.scoring_network(torch.zeros(2, 3, 32, 32))


def test_channels_come_first_whatever_the_network_says_of_their_place():
    network, tokens, maps = Tokens(), torch.rand(2, 16, 24), torch.rand(2, 4, 4, 24)
    network.channels_last_ranks = (3,)
    assert torch.equal(channels_first(network, "tokens", tokens), tokens.movedim(2, 1))
    assert channels_first(network, "maps", maps) is maps
    network.channels_last_taps = ("maps",)
    assert channels_first(network, "tokens", tokens) is tokens
    assert torch.equal(channels_first(network, "maps", maps), maps.permute(0, 3, 1, 2))


def test_an_error_in_the_network_is_not_swallowed_and_leaves_no_hook(toys):
    classifier = toys.classifier()
    with pytest.raises(RuntimeError):
        forward_to_all(classifier, torch.zeros(1, 2, 8, 8), ["conv1"])
    assert not any(module._forward_hooks for module in classifier.scoring_network.modules())


@pytest.mark.parametrize("taps", [["conv1", "nowhere"], ["nowhere", "conv1"]])
def test_an_unknown_tap_among_known_ones_leaves_no_hook(taps, toys):
    classifier = toys.classifier()
    with (
        pytest.raises(ConfigError, match="lenet has no tap 'nowhere'"),
        reading(classifier, dict.fromkeys(taps, print)),
    ):
        raise AssertionError("not reached")
    assert not any(module._forward_hooks for module in classifier.scoring_network.modules())


@pytest.mark.parametrize("tap", ["relu1", "", "layer4"])
def test_names_that_are_no_taps(tap, x, toys):
    with pytest.raises(ConfigError, match=r"lenet has no tap .*; it has conv1, conv2, fc1, logits"):
        forward_to_all(toys.classifier(), x, [tap])


def test_taps_that_name_no_module(x, toys):
    network = toys.NormNet()
    network.taps = {"map": "nowhere.relu"}
    with pytest.raises(ConfigError, match="toy has no tap 'map'"):
        forward_to_all(toys.classifier_of(network), x, ["map"])


@pytest.mark.parametrize("fails", [False, True])
def test_full_precision_switches_tf32_off_and_back(fails, tf32_allowed):
    torch.backends.cudnn.allow_tf32 = False  # one on, one off
    with contextlib.suppress(KeyError), full_precision():
        assert tf32_allowed() == (False, False)
        if fails:
            raise KeyError
    assert tf32_allowed() == (True, False)


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("msp", {}),
        ("odin", {"magnitudes": [0.1]}),
        ("fssd", {"magnitudes": [0.1]}),
        ("mc_dropout", {"passes": 2}),
    ],
)
def test_every_pass_of_a_detector_is_in_full_precision(method, changes, tf32_allowed, toys):
    classifier, seen = toys.norm_classifier(), []
    for network in (classifier.network, classifier.scoring_network):
        network.register_forward_pre_hook(lambda *_: seen.append(tf32_allowed()))
    twin = toys.scorer_with(classifier)
    toys.raw_scores(method, View(toys.image_set("near", 4)), using=twin, **changes)
    assert set(seen) == {(False, False)}
    assert tf32_allowed() == (True, True)
