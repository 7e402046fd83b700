"""The tiny network of the golden files, and one that looks its logits up row by row."""

import hashlib

import numpy as np
import torch
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Scorer, build_detector
from ood_bench.models.classifier import Classifier, freeze
from ood_bench.scoring.engine import Engine

MOMENTS = {
    "densenet": (np.array([125.3, 123.0, 113.9]) / 255, np.array([63.0, 62.1, 66.7]) / 255),
    "resnet": (np.array([0.4914, 0.4822, 0.4465]), np.array([0.2023, 0.1994, 0.2010])),
}


class Tiny(nn.Module):
    """Two convolutions with a tap after each ReLU, the mean over positions, and a linear layer."""

    taps = {"tap0": "relu0", "tap1": "relu1", "logits": "fc"}  # noqa: RUF012 - read only, as in shipped models
    penultimate = "tap1"

    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu0 = nn.ReLU()
        self.conv2 = nn.Conv2d(6, 16, 3, padding=1)
        self.relu1 = nn.ReLU()
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        x = self.relu0(self.bn1(self.conv1(x)))
        return self.fc(self.relu1(self.conv2(x)).mean(dim=(2, 3)))


class Lookup(nn.Module):
    """Gives the logits ``[N, K]`` of the rows that images of :func:`rows_as_images` stand for."""

    taps = {"logits": "logits"}  # noqa: RUF012 - read only, as in shipped models
    penultimate = "logits"

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Embedding.from_pretrained(torch.from_numpy(logits))

    def forward(self, x):
        low, high = x.flatten(1).round().long().unbind(dim=1)
        return self.logits(low + 256 * high)


def tiny(values, prefix, **changed):
    """The tiny network with the weights ``prefix/...`` of a golden file; ``changed`` take the place of some."""
    start = f"{prefix}/"
    state = {key.removeprefix(start): array for key, array in values.items() if key.startswith(start)}
    state = {name: torch.from_numpy(np.asarray(array)) for name, array in {**state, **changed}.items()}
    network = Tiny(len(state["fc.weight"]))
    network.load_state_dict(state, strict=False)  # but for the number of batches that the batch norm has seen
    return network


def rows_as_images(name, first, count):
    """Images ``[count, 1, 1, 2]`` that hold the numbers from ``first`` on, in two bytes."""
    numbers = np.arange(first, first + count, dtype="<u2")
    return ImageSet.of(name, numbers.view(np.uint8).reshape(count, 1, 1, 2))


def classifier(network, mean, std, **card):
    """What a detector is handed."""
    digest = hashlib.sha256()
    for value in network.state_dict().values():
        digest.update(value.numpy().tobytes())
    moments = {"mean": tuple(map(float, mean)), "std": tuple(map(float, std))}
    spec = {"model": {"_target_": type(network).__name__}, "shape": [], "classes": 0, "normalisation": moments}
    return Classifier(freeze(network), *moments.values(), {"weights_sha256": digest.hexdigest(), "spec": spec, **card})


def as_rows(logits, **card):
    """A classifier that takes :func:`rows_as_images` for its logits."""
    return classifier(Lookup(logits), (0.0,), (1 / 255,), **card)


def scorer(*classifiers, train=None, batch_size=50):
    """An engine that keeps everything in memory."""
    return Scorer(Engine(None, batch_size), classifiers, train)


def detector(using, name, target, **fields):
    """A fitted detector of a class in :mod:`ood_bench.methods`."""
    found = build_detector(name, {"_target_": f"ood_bench.methods.{target}", **fields})
    found.fit(using, np.random.RandomState(0))
    return found


def deviation(found, expected):
    """Largest absolute difference, in units of max(1, |expected|)."""
    return float((np.abs(found - expected) / np.maximum(1, np.abs(expected))).max())
