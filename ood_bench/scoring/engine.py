"""The one-pass engine: whatever any method asks for, from a single pass, kept in banks on disk."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import Array, Rows32, View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.banks import Banks
from ood_bench.scoring.passes import run_pass
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity
from ood_bench.utils.files import content_key

Bank = Mapping[Quantity, Rows32]

_NUMERICS = 2
"""Raised when the same network comes to give numbers that differ by rounding: older banks no longer count."""


class Engine:
    """Runs forward passes and keeps what they leave behind.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep banks in memory only.
        batch_size: images a pass takes at once; 0 chooses 64 on CPU (small batches stay in cache) and 1,000 on a GPU.
    """

    def __init__(self, root: Path | None, batch_size: int = 0) -> None:
        self._banks, self._batch_size = Banks(root), batch_size

    def batch_size(self, classifier: Classifier) -> int:
        """Images a pass takes at once on the classifier's device."""
        return self._batch_size or (1000 if classifier.device.type == "cuda" else 64)

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
        self._complete(classifier, View(images), wanted, list(steps))
        found = {quantity: self._rows(classifier, images, quantity) for quantity in wanted}
        return {quantity: rows for quantity, rows in found.items() if rows is not None}

    def stepped(self, classifier: Classifier, view: View, steps: Sequence[Steps]) -> list[Array]:
        """Scores ``[losses, magnitudes, n]`` of each of ``steps``; what no bank holds shares its clean forward pass.

        Args:
            classifier: the network.
            view: the images.
            steps: what is wanted.

        Raises:
            ArtifactError: if the scores cannot be kept.
        """
        self._complete(classifier, view, [], steps)
        found = [self._banks.derived(_derived_name(classifier, view, one)) for one in steps]
        return [array for array in found if array is not None]

    def cached(self, what: str, identity: Mapping[str, Any], compute: Callable[[], Array]) -> Array:
        """An array that is computed once: from memory or disk if an equal ``identity`` was computed before.

        Args:
            what: readable part of the file's name.
            identity: JSON-able, everything that determines the result.
            compute: makes the array, float64 of any shape.

        Raises:
            ArtifactError: if the store cannot be written.
        """
        name = f"{what}-{content_key({**identity, 'numerics': _NUMERICS})}"
        found = self._banks.derived(name)
        if found is None:
            with self._banks.alone(f"derived/{name}"):
                found = self._banks.derived(name)
                if found is None:
                    found = compute()
                    self._banks.keep_derived(name, found)
        return found

    def _complete(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Sequence[Steps]
    ) -> None:
        """Computes and keeps what no bank holds; ``quantities`` only of a view of a whole set."""
        rows, scores = self._missing(classifier, view, quantities, steps)
        if not rows and not scores:
            return
        with contextlib.ExitStack() as stack:  # whoever waited may find that somebody else has made them
            if rows:
                stack.enter_context(self._banks.alone(_place(classifier, view.images)))
            for name in sorted(scores):
                stack.enter_context(self._banks.alone(f"derived/{name}"))
            rows, scores = self._missing(classifier, view, rows, list(scores.values()))
            own = self.batch_size(classifier)
            for size in sorted({own, *(one.perturbation.batch_size for one in scores.values())}):
                mine = {name: one for name, one in sorted(scores.items()) if one.perturbation.batch_size == size}
                self._run(classifier, view, size, rows if size == own else [], mine)

    def _run(
        self,
        classifier: Classifier,
        view: View,
        batch_size: int,
        quantities: Sequence[Quantity],
        steps: Mapping[str, Steps],
    ) -> None:
        """One pass over the view, if it has anything to do."""
        if not quantities and not steps:
            return
        parts = None if quantities else self._banks.parts(steps)
        rows, scores = run_pass(
            classifier, view, batch_size, quantities=quantities, steps=list(steps.values()), parts=parts
        )
        for quantity, values in rows.items():
            self._banks.keep_rows(_place(classifier, view.images), quantity.key, values)
        for name, array in zip(steps, scores, strict=True):
            self._banks.keep_derived(name, array)
        if parts is not None:
            parts.drop()

    def _missing(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Sequence[Steps]
    ) -> tuple[list[Quantity], dict[str, Steps]]:
        """The quantities, and the steps by file name, that no bank holds."""
        rows = [quantity for quantity in quantities if self._rows(classifier, view.images, quantity) is None]
        named = {_derived_name(classifier, view, one): one for one in steps}
        return rows, {name: one for name, one in named.items() if self._banks.derived(name) is None}

    def _rows(self, classifier: Classifier, images: ImageSet, quantity: Quantity) -> Rows32 | None:
        return self._banks.rows(_place(classifier, images), quantity.key, len(images))


def _place(classifier: Classifier, images: ImageSet) -> str:
    """Everything that determines a bank but the quantity: weights with their normalisation, pixels, device."""
    return f"{classifier.key}-{images.fingerprint[:16]}-{classifier.device.type}-{_NUMERICS}"


def _derived_name(classifier: Classifier, view: View, steps: Steps) -> str:
    identity = {
        **steps.identity,
        "network": classifier.key,
        "view": view.fingerprint,
        "magnitudes": list(steps.magnitudes),
        "device": classifier.device.type,
        "numerics": _NUMERICS,
    }
    return f"{steps.name.replace(' ', '-')}-{content_key(identity)}"
