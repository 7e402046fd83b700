"""The work that oodeel does, under an interpreter that has it; that needs none of this project's packages but torch.

Methods are used as its README says, one after the other: fitted, then asked for the scores of each image set. Fitting
one takes away the hooks of those before it on the same network. Source: https://deel-ai.github.io/oodeel.
"""

import copy
import importlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.clock import Step, interleaved

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "msp": ("MLS", {"output_activation": "softmax"}),
    "maxlogit": ("MLS", {}),
    "energy": ("Energy", {}),
    "gen": ("GEN", {}),
    "odin": ("ODIN", {"temperature": 1000}),
    "mahalanobis": ("Mahalanobis", {"eps": 0}),
    "rmds": ("RMDS", {"eps": 0}),
    "knn": ("DKNN", {"nearest": 50}),
    "vim": ("VIM", {"princ_dims": 32}),
    "she": ("SHE", {"eps": 0}),
    "react": ("Energy", {"use_react": True, "react_quantile": 0.9}),
    "ash": ("Energy", {"use_ash": True, "ash_percentile": 0.9}),
}
"""Class and options, with our defaults, of what it has of :data:`benchmarks.posthoc.FOURTEEN`."""
LAYERS = {"feature_layers_id": ["penultimate"], "head_layer_id": "linear"}
"""Where it finds the pooled features and the last layer."""

Scores = dict[str, list[npt.NDArray[np.float64]]]


def work(given: dict[str, Any]) -> Scores:
    """Scores of every method for each image set, **higher for OOD**, after fits and with metrics."""
    kinds, metrics = (importlib.import_module(f"oodeel.{part}") for part in ("methods", "eval.metrics"))
    train = DataLoader(TensorDataset(*given["train"]), batch_size=given["batch_size"])
    loaders = [DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=given["batch_size"]) for x in given["sets"]]
    found: Scores = {}
    for name, (kind, options) in METHODS.items():
        step = {"eps": given["epsilon"]} if name == "odin" else {}
        detector = getattr(kinds, kind)(**options, **step)
        learns = detector.requires_to_fit_dataset or detector.use_react
        layers = LAYERS if detector.requires_internal_features else {"head_layer_id": LAYERS["head_layer_id"]}
        detector.fit(given["network"], fit_dataset=train if learns else None, **layers)
        found[name] = [detector.score(loader)[0] for loader in loaders]
        for other in found[name][1:]:
            metrics.bench_metrics((found[name][0], other))
    return found


def bare(network: Callable[[Tensor], Tensor], given: dict[str, Any]) -> None:
    """Sends all images through the network and keeps nothing."""
    with torch.inference_mode():
        for x in [*given["sets"], given["train"][0]]:
            for batch in x.split(given["batch_size"]):
                network(batch)


def main(source: str, target: str, rounds: str) -> None:
    """Reads images and network from a file, measures, and writes ratios, seconds and scores as ``.npz``."""
    torch.set_num_threads(1)
    given = torch.load(source, weights_only=False)  # our own file
    network = copy.deepcopy(given["network"])  # without hooks
    count = sum(map(len, given["sets"])) + len(given["train"][0])
    unit = Step(lambda: bare(network, given), count)
    steps = {"": Step(lambda: work(given), count)}
    timing = interleaved(steps, unit, int(rounds), by_cpu=True)[""]
    version = importlib.import_module("oodeel").__version__
    scores: dict[str, Any] = {name: np.concatenate(sets) for name, sets in timing.result.items()}
    np.savez(target, ratios=timing.ratios, seconds=timing.seconds, version=version, **scores)


if __name__ == "__main__":
    main(*sys.argv[1:])
