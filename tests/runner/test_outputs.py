"""A network that gives something else than logits is refused, or warned of, before images are decoded."""

import logging
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ood_bench
from ood_bench.errors import ConfigError
from ood_bench.models.lenet import LeNet
from ood_bench.runner.outputs import check_outputs

SHAPE, CLASSES = (1, 4, 4), 5


class Net(nn.Module):
    """Logits, and what ``end`` makes of them."""

    def __init__(self, end):
        super().__init__()
        self.linear = nn.Linear(16, CLASSES)
        self.end = end

    def forward(self, x):
        return self.end(self.linear(x.flatten(1)))


class ModelOutput(OrderedDict):
    """As transformers have it."""


@dataclass
class Found:
    """An output with names."""

    features: torch.Tensor
    classes: torch.Tensor


def check(end):
    torch.manual_seed(0)
    check_outputs("mine", Net(end).eval(), SHAPE, CLASSES)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda z: (z[:, :2], z), r"gives a tuple: let its forward return the logits alone, such as output\[1\]"),
        (lambda z: {"features": z[0], "out": z}, r"gives a dict: .* such as output\['out'\]"),
        (lambda z: ModelOutput(logits=z), r"gives a ModelOutput: .* such as output\['logits'\]"),
        (lambda z: Found(z[:, :2], z), r"gives a Found: .* such as output\.classes"),
        (lambda z: [], r"gives a list: .* such as output\.logits"),
        (lambda z: z[:, :3], r"gives \[1, 3\] for 1 of the ID set's images, not \[1, 5\]: .* of the 5 classes, or set"),
        (lambda z: z.squeeze(), r"gives \[5\] for 1 of the ID set's images"),
        (lambda z: z.argmax(dim=1), r"gives \[1\] for 1 of the ID set's images"),
        (lambda z: z[:1], r"gives \[1, 5\] for 2 of the ID set's images"),
    ],
)
def test_what_is_no_tensor_of_logits_is_refused(end, words):
    with pytest.raises(ConfigError, match=words):
        check(end)


def test_dropout_that_stays_on_is_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"other logits for the same images: is there dropout .*training=self\.train"):
        check(lambda z: F.dropout(z, 0.5))


def test_other_networks_pass_without_a_word(caplog):
    """Dropout layers are off in evaluation mode; kernels may differ by rounding; NaN is for others to judge."""
    for end in (
        nn.Dropout(0.5),
        lambda z: z * (1 + 1e-6 * torch.rand_like(z)),
        lambda z: z * 0,
        lambda z: z / 0,
        lambda z: z.sigmoid(),
        lambda z: z.half(),
    ):
        check(end)
    assert caplog.records == []


def test_the_callers_random_numbers_and_images_stay_as_they_are():
    network = Net(lambda z: z + 0 * torch.rand_like(z))
    network.register_forward_pre_hook(lambda _, inputs: (inputs[0].mul_(2),))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_outputs("mine", network, SHAPE, CLASSES)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (nn.Softmax(dim=1), "mine seems to give probabilities, not logits"),
        (nn.LogSoftmax(dim=1), "mine seems to give logarithms of probabilities, not logits"),
    ],
)
def test_probabilities_are_warned_of(caplog, end, words):
    with caplog.at_level(logging.WARNING):
        check(end)
    (line,) = caplog.messages
    assert words in line
    assert "energy, ODIN and others need logits" in line


def test_a_run_ends_before_images_are_decoded(quick, monkeypatch):
    forward = LeNet.forward
    monkeypatch.setattr(LeNet, "forward", lambda self, x: (forward(self, x), x))
    with pytest.raises(ConfigError, match=r"model lenet: the network gives a tuple: .* such as output\[0\]"):
        ood_bench.run(quick)
    assert list(Path().rglob("*.npy")) == list(Path().rglob("*.json")) == []
