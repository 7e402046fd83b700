"""The same work done by pytorch-ood, as its documentation says to use it; the package need not be installed.

Every detector gets our network object, so that weights, memory format, evaluation mode and frozen parameters are the
same, and images that were normalised beforehand. Source: its README and the docstrings of ``Benchmark.evaluate`` and
``GridSearch``, https://pytorch-ood.readthedocs.io.
"""

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Array
from ood_bench.models.classifier import Classifier

HOW_TO_GET = 'pip install "pytorch-ood>=0.4"'
_PACKAGE = "pytorch_ood"


def installed() -> str | None:
    """Version of pytorch-ood, or none."""
    return importlib.metadata.version("pytorch-ood") if importlib.util.find_spec(_PACKAGE) else None


def stages_of(network: nn.Module) -> list[nn.Module]:
    """The consecutive parts of a ResNet that end at its ``stage_taps``: the stem, and each stage."""
    parts = dict(network.named_children())
    stem = nn.Sequential(parts["conv1"], parts["bn1"], parts["relu"])
    return [stem, *(part for name, part in parts.items() if name.startswith("layer"))]


class Theirs:
    """Scores images with pytorch-ood's detectors.

    Args:
        classifier: a network of :mod:`ood_bench.models.resnet`; its children run one after the other.
        train: ID training images with labels, to fit on before anything is timed.
        batch_size: images that go through the network together.
    """

    def __init__(self, classifier: Classifier, train: ImageSet, batch_size: int) -> None:
        self._detectors = importlib.import_module(f"{_PACKAGE}.detector")
        self._classifier, self._train, self._batch_size = classifier, train, batch_size
        self.network = classifier.network
        *before, _ = self.network.children()
        self.encoder = nn.Sequential(*before)
        self.stages = stages_of(self.network)

    def fit(self, name: str, *arguments: Any, **options: Any) -> Any:
        """A detector of ``pytorch_ood.detector``, fitted on the ID training images if it has to be."""
        detector = getattr(self._detectors, name)(*arguments, **options).to("cpu")
        if detector.requires_fit:
            detector.fit(self.loader(self.dataset(self._train, len(self._train))))
        return detector

    def dataset(self, images: ImageSet, ood_from: int) -> TensorDataset:
        """Normalised images with their labels (0 if they have none), and -1, which marks OOD, from a row on."""
        pixels = self._classifier.normalise(torch.from_numpy(np.array(images.images)))
        labels = torch.zeros(len(images), dtype=torch.int64)
        if images.labels is not None:
            labels = torch.from_numpy(np.array(images.labels))
        labels[ood_from:] = -1
        return TensorDataset(pixels, labels)

    def loader(self, dataset: Any) -> DataLoader[Any]:
        """Batches of the set, in order."""
        return DataLoader(dataset, batch_size=self._batch_size)

    def scores(self, detector: Any, dataset: Any, *, gradient: bool = False) -> Array:
        """Scores ``[n]``, **higher for ID** (its outlier scores with the sign turned), by the loop of its README."""
        with torch.set_grad_enabled(gradient):
            rows: list[Tensor] = [detector(x) for x, _ in self.loader(dataset)]
        return -torch.cat(rows).double().numpy()

    def benchmark(self, known: Any, others: Sequence[Any]) -> Any:
        """A ``Benchmark`` over ID images and OOD sets, whose representations are cached once it was evaluated."""
        base = importlib.import_module(f"{_PACKAGE}.benchmark").Benchmark
        pairs: list[Any] = [ConcatDataset([known, other]) for other in others]
        members: Mapping[str, Any] = {
            "ood_names": [str(number) for number in range(len(pairs))],
            "train_set": lambda _: known,
            "test_sets": lambda _: pairs,
        }
        return type("Pairs", (base,), dict(members))()

    def table(self, detectors: Sequence[Any], benchmark: Any) -> Array:
        """AUROC in percent ``[OOD sets, detectors]``, with all its other metrics, cached as far as it can."""
        options = {"loader_kwargs": {"batch_size": self._batch_size}, "cache": True}
        rows = benchmark.evaluate(list(detectors), **options)
        return 100 * np.array([row["AUROC"] for row in rows]).reshape(-1, len(detectors))

    def grid(self, detector: Any, dataset: Any, space: Mapping[str, Sequence[float]]) -> Array:
        """AUROC in percent at every combination, the last hyperparameter varying fastest, by its ``GridSearch``."""
        search = importlib.import_module(f"{_PACKAGE}.utils").GridSearch
        found = search(detector, None, self.loader(dataset), {name: list(values) for name, values in space.items()})
        found.run()
        return 100 * np.array([row["score"] for row in found.results_])

    def metrics(self, known: Array, other: Array) -> Array:
        """AUROC and FPR at 95 % TPR with OOD positive, in percent, by ``OODMetrics``, which finds more."""
        collection = importlib.import_module(f"{_PACKAGE}.metrics").OODMetrics()
        labels = torch.cat([torch.zeros(len(known)), torch.full((len(other),), -1.0)]).long()
        collection.update(torch.from_numpy(-np.concatenate([known, other])), labels)
        found = collection.compute()
        return 100 * np.array([found["AUROC"], found["FPR95TPR"]])
