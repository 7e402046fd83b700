"""The one-pass engine: what all methods ask for, from a single pass, kept in banks on disk."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.data.imageset import Array, ImageSet, Rows32
from ood_bench.data.views import View
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import Classifier
from ood_bench.models.heads import LinearHead
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.banks import Banks
from ood_bench.scoring.passes import run_pass
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity
from ood_bench.scoring.shards import Shards
from ood_bench.utils.files import content_key

Bank = Mapping[Quantity, Rows32]

_FEW = 8

_NUMERICS = 3
"""Raised when the same network comes to give numbers that differ by rounding: older banks no longer count."""


class Engine:
    """Runs forward passes and keeps what they leave behind.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep banks in memory only.
        batch_size: images a pass takes at once, see :func:`images_at_once`.
        shards: parts of the banks of a set that other jobs may have made (:mod:`ood_bench.scoring.shards`).
        backend: chooses the library that runs forward-only passes; torch if none.
    """

    def __init__(self, root: Path | None, batch_size: int = 0, shards: int = 1, backend: Backend | None = None) -> None:
        self._banks, self._batch_size, self._count = Banks(root), batch_size, shards
        self._backend = backend or Backend()
        self._used: dict[str, set[str]] = {}
        self._heads: dict[str, LinearHead] = {}

    def batch_size(self, classifier: Classifier) -> int:
        """Images a pass takes at once on the classifier's device."""
        return images_at_once(self._batch_size, classifier.device)

    def collect(
        self, classifier: Classifier, images: ImageSet, quantities: Iterable[Quantity], steps: Iterable[Steps] = ()
    ) -> Bank:
        """Rows ``[N, D]`` of each quantity over a whole image set; only what no bank holds is computed, in one pass.

        Args:
            classifier: the network.
            images: the set; its images must have the shape that the network takes.
            quantities: what is wanted.
            steps: what :meth:`stepped` will be asked for on the whole set: the same pass computes it.

        Raises:
            ArtifactError: if a bank cannot be written.
        """
        wanted = list(dict.fromkeys(quantities))
        rows, _ = self._complete(classifier, View(images), wanted, _named(classifier, View(images), steps))
        return {quantity: rows[quantity] for quantity in wanted}

    def stepped(self, classifier: Classifier, view: View, steps: Sequence[Steps]) -> list[Array]:
        """Scores ``[*shape, n]`` of each of ``steps``; what no bank holds shares its clean forward pass.

        Args:
            classifier: the network.
            view: the images.
            steps: what is wanted.

        Raises:
            ArtifactError: if the scores cannot be kept.
        """
        named = _named(classifier, view, steps)
        _, scores = self._complete(classifier, view, [], named)
        return [scores[name] for name in named]

    def backend(self, classifiers: Iterable[Classifier]) -> str | None:
        """What ran the passes of some networks behind what was asked for so far, in words; none if torch alone did."""
        used = {by for classifier in classifiers for by in self._used.get(classifier.key, ())}
        return None if used <= {"torch"} else ", ".join(sorted(used))

    def head(self, classifier: Classifier, images: ImageSet) -> LinearHead:
        """The last layer of the network, which must give the logits of the pooled features of the penultimate tap.

        Args:
            classifier: the network.
            images: a set of which a few go through the network to see that.

        Raises:
            ConfigError: if the network does not end in one linear layer, or that layer gets something else.
        """
        if classifier.key not in self._heads:
            features = Quantity(classifier.penultimate, Mean())
            few = View(images, np.arange(min(_FEW, len(images)), dtype=np.int64))
            rows = run_pass(classifier, few, _FEW, quantities=[features, LOGITS], steps=[]).rows
            head, tap = classifier.head(), rows[features].astype(np.float64)
            fits = tap.shape[1] == head.weight.shape[1]
            if not fits or np.abs(head.logits(tap) - rows[LOGITS]).max() > 1e-3 * (1 + np.abs(rows[LOGITS]).max()):
                raise ConfigError(
                    f"the last linear layer of {type(classifier.network).__name__} does not get the pooled features of "
                    f"tap {classifier.penultimate!r}: W f + b are not the logits",
                    "let `penultimate` of the network name the tap that feeds its last layer, or leave out methods "
                    "that use the last layer",
                )
            self._heads[classifier.key] = head
        return self._heads[classifier.key]

    def cached(self, what: str, identity: Mapping[str, Any], compute: Callable[[], npt.NDArray[Any]]) -> Array:
        """An array that is computed once: from memory or disk if an equal ``identity`` was computed before.

        Args:
            what: readable part of the file's name.
            identity: JSON-able, everything that determines the result.
            compute: makes the array, float64 of any shape, or float32 where it is large.

        Raises:
            ArtifactError: if the store cannot be written.
        """
        name, found = _derived_name(what, identity), self.kept(what, identity)
        if found is None:
            with self._banks.lock(name):
                found = self._banks.derived(name)
                if found is None:
                    found = compute()
                    self._banks.keep(name, found)
        return found

    def kept(self, what: str, identity: Mapping[str, Any]) -> Array | None:
        """What :meth:`cached` has kept of this identity, if anything."""
        return self._banks.derived(_derived_name(what, identity))

    def _complete(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Mapping[str, Steps]
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        """Rows of ``quantities`` (of a whole set only), and scores of ``steps`` by file name; kept, or computed now."""
        found = self._found(classifier, view, quantities, steps)
        place = _place(classifier, view.images)
        makers = [self._banks.by(name) for name in [*(f"{place}/{quantity.key}" for quantity in quantities), *steps]]
        used = self._used.setdefault(classifier.key, set())
        used.update(maker for by in makers for maker in (by or "torch").split(", "))
        if steps:
            used.add("torch")  # the gradients
        return found

    def _found(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Mapping[str, Steps]
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        """What :meth:`_complete` gives; what is not kept is computed under locks."""
        rows, scores = self._kept(classifier, view, quantities, steps)
        if len(rows) == len(quantities) and len(scores) == len(steps):
            return rows, scores
        with contextlib.ExitStack() as stack:
            if len(rows) < len(quantities):
                stack.enter_context(self._banks.lock(_place(classifier, view.images)))
            for name in sorted(steps.keys() - scores.keys()):
                stack.enter_context(self._banks.lock(name))
            # Another process may have computed some of them while this one waited for the locks.
            rows, scores = self._kept(classifier, view, quantities, steps)
            missing = [quantity for quantity in quantities if quantity not in rows]
            if missing and self._count > 1:
                rows |= self._shards(classifier, view.images).join(classifier, view.images, missing)
                missing = []
            elif missing:
                self._shards(classifier, view.images).warn_of_unused(view.images)
            unscored = {name: one for name, one in sorted(steps.items()) if name not in scores}
            own = self.batch_size(classifier)
            for size in sorted({own, *(one.perturbation.batch_size for one in unscored.values())}):
                mine = {name: one for name, one in unscored.items() if one.perturbation.batch_size == size}
                new_rows, new_scores = self._run(classifier, view, size, missing if size == own else [], mine)
                rows, scores = rows | new_rows, scores | new_scores
        return rows, scores

    def _shards(self, classifier: Classifier, images: ImageSet) -> Shards:
        place = _place(classifier, images)
        return Shards(self._banks, place, self.batch_size(classifier), self._count, self._backend)

    def _kept(
        self, classifier: Classifier, view: View, quantities: Iterable[Quantity], names: Iterable[str]
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        """What the banks hold of the rows and scores that are wanted."""
        place = _place(classifier, view.images)
        rows = {quantity: self._banks.rows(f"{place}/{quantity.key}", len(view)) for quantity in quantities}
        scores = {name: self._banks.derived(name) for name in names}
        return (
            {quantity: kept for quantity, kept in rows.items() if kept is not None},
            {name: kept for name, kept in scores.items() if kept is not None},
        )

    def _run(
        self,
        classifier: Classifier,
        view: View,
        batch_size: int,
        quantities: Sequence[Quantity],
        steps: Mapping[str, Steps],
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        """One pass over the view, if it has anything to do; what it computes is kept."""
        if not quantities and not steps:
            return {}, {}
        partial = None if quantities else self._banks.partial([*steps, *self._backend.others])
        passed = run_pass(
            classifier,
            view,
            batch_size,
            quantities=quantities,
            steps=list(steps.values()),
            partial=partial,
            backend=self._backend,
        )
        for quantity, values in passed.rows.items():
            self._banks.keep(f"{_place(classifier, view.images)}/{quantity.key}", values, by=passed.by)
        for name, array, by in zip(steps, passed.scores, passed.stepped_by, strict=True):
            self._banks.keep(name, array, by=by)
        if partial is not None:
            partial.drop()
        return passed.rows, dict(zip(steps, passed.scores, strict=True))


def images_at_once(batch_size: int, device: torch.device) -> int:
    """Images a pass takes at once: 0 chooses 64 on a CPU (small batches stay in its cache) and 1,000 on a GPU."""
    return batch_size or (1000 if device.type == "cuda" else 64)


def _derived_name(what: str, identity: Mapping[str, Any]) -> str:
    """File of an array that :meth:`Engine.cached` keeps."""
    return f"derived/{what}-{content_key({**identity, 'numerics': _NUMERICS})}"


def _place(classifier: Classifier, images: ImageSet) -> str:
    """Everything that determines a bank but the quantity: network and weights, pixels, device."""
    return f"{classifier.key}-{images.fingerprint[:16]}-{classifier.device.type}-{_NUMERICS}"


def _named(classifier: Classifier, view: View, steps: Iterable[Steps]) -> dict[str, Steps]:
    """Steps by the name of their scores' file, which holds everything that determines the scores."""
    where = {
        "network": classifier.key,
        "view": view.fingerprint,
        "device": classifier.device.type,
        "numerics": _NUMERICS,
    }
    named = {}
    for one in steps:
        key = content_key({**one.identity, **where, "magnitudes": list(one.magnitudes)})
        named[f"derived/{one.name.replace(' ', '-')}-{key}"] = one
    return named
