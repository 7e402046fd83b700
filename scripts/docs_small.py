"""Runs what needs images or weights to download with small ones, as `tests/test_whole_runs.py` runs the papers.

Images are tiny pictures in the layouts of the real archives, whose sums pass for the published ones; networks have few
layers, and are trained for an epoch; a checkpoint holds the weights of such a network.
"""

import importlib
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ood_bench.cli.help import COMMANDS
from ood_bench.cli.main import main
from ood_bench.config import compose_settings
from ood_bench.data import mnist
from ood_bench.models.classifier import WEIGHTS, build_network
from ood_bench.models.heads import without_default_head
from ood_bench.runner.execute import execute
from ood_bench.utils.configs import options

TESTS = Path(__file__).resolve().parents[1] / "tests"
ELSEWHERE = ("hydra/launcher", "hydra.launcher.", "+hydra.launcher.")
"""Words about where jobs run, which are left out: here they run in turn."""
OPENOOD = (
    *("train.epochs=25", "train.batch_size=10", "method.openmax.tail=2", "scoring.resamples=2", "device=cpu"),
    *("model.blocks=[1,1,1,1]", "model.widths=[4,4,8,32]"),
)
_FOLDS = 5


class Small:
    """Small image sets on disk, and the words that make a run take them.

    Args:
        root: where they are written.
    """

    def __init__(self, root: Path) -> None:
        sys.path[:0] = [str(TESTS), str(TESTS / "helpers")]
        self._runs, self._toys, self._openood = map(
            importlib.import_module, ("shipped_runs", "toy_root", "toy_openood")
        )
        self._toys.fill(root)
        self._openood.fill(root, self._toys.pixels)
        self._root, self._releases = root, self._toys.fill_mnist(root)

    def run(self, words: Sequence[str]) -> int:
        """Runs ``ood-bench`` with these words; gives its exit status."""
        with pytest.MonkeyPatch.context() as patch:
            self._toys.accept(patch)
            for name, release in self._releases.items():
                patch.setitem(mnist.RELEASES, name, release)
            if words[0] in COMMANDS:
                return main([str(self._root) if word == "DATA" else word for word in words])
            words = [word for word in words if not word.startswith(ELSEWHERE)]
            small = self._words(words)
            changed = {_key(word) for word in small}
            words = [word for word in words if _key(word) not in changed] + small
            _write_weights(words)
            return main(words)

    def _words(self, words: Sequence[str]) -> list[str]:
        """What makes a run small."""
        one = [word for word in _first_job(words) if _key(word) != "checkpoint"]
        whole = compose_settings(one)
        run = next((word for word in one if _key(word) in ("paper", "experiment")), "")
        if run == "paper=openood_cifar10":
            small = [*OPENOOD, *self._openood.words("openood_cifar10", *whole.ood)]
        else:
            small = self._runs.toy_of(run, whole) if run else [*self._runs.CIFAR]
            if run not in self._runs.TOYS:
                small += [*self._toys.words(*whole.ood), *self._toys.outlier_words(whole.method)]
            if any(word.startswith("id=") and word.endswith("_subset") for word in one):
                small += [f"id.{part}.count={self._toys.COUNT}" for part in ("train", "test")]
        chosen = [word for word in small if not word.startswith("method.") or word.split(".")[1] in whole.method]
        return [*chosen, f"data.root={self._root}"]


def _key(word: str) -> str:
    return word.split("=", 1)[0].lstrip("+~")


def _first_job(words: Sequence[str]) -> list[str]:
    """The words of a single run, or of the first job of a sweep."""
    if "-m" not in words:
        return list(words)
    found = []
    for word in words:
        key, _, value = word.partition("=")
        if value.startswith("glob("):
            value = next(one for one in options(key) if fnmatch(one, value[5:-1]))
        elif not value.startswith(("[", "{")):
            value = value.split(",")[0]
        found += [f"{key}={value}"] if key != "-m" else []
    return found


def _write_weights(words: Sequence[str]) -> None:
    """Writes the checkpoint that a command names: a network trained by its words, or fresh ones for ELOC's folds."""
    named = [Path(word.split("=", 1)[1]) for word in words if _key(word) == "checkpoint"]
    if not named:
        return
    (path,) = named
    one = [word for word in _first_job(words) if _key(word) != "checkpoint"]
    settings = compose_settings(one)
    if "eloc" not in settings.method:
        with tempfile.TemporaryDirectory() as folder:
            plain = [word for word in one if not word.startswith(("method", "tune", "protocol", "seed"))]
            roots = [f"{root}.root={folder}/{root}" for root in ("store", "results")]
            execute(compose_settings([*plain, "seed=0", "method=msp", "protocol=plain", "tune=published", *roots]))
            (weights,) = Path(folder).glob(f"store/classifiers/*/{WEIGHTS}")
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(load_file(weights), path)
        return
    model, outputs = without_default_head(settings.model), settings.id["classes"] * (_FOLDS - 1) // _FOLDS
    for fold in range(_FOLDS):
        file = path / f"cifar10_fold_{fold + 1}_dense_checkpoint/model_best.pth.tar"
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(build_network(model, settings.id["shape"], outputs).state_dict(), file)
