"""The engine of a job that computes one shard: it fills banks in part, and computes nothing that needs a whole set."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ood_bench.data.imageset import Array, ImageSet, Rows32
from ood_bench.data.views import View
from ood_bench.errors import OodBenchError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.engine import Engine
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity


class NotWholeError(OodBenchError):
    """A whole bank is asked for, and there are parts of it at most."""


class UndividedError(OodBenchError):
    """Something is asked for that has no shards, and is not there: the run that joins the shards computes it."""


class ShardEngine(Engine):
    """Fills one shard of the banks; whole banks and derived arrays it gives if they exist, and computes none.

    Args:
        root: the folder ``banks`` of the artifact store.
        batch_size: see :class:`Engine`.
        shards: number of shards.
        number: the one that is computed, from 0.
        backend: see :class:`Engine`.
    """

    def __init__(self, root: Path, batch_size: int, shards: int, number: int, backend: Backend | None = None) -> None:
        super().__init__(root, batch_size, shards, backend)
        self._number = number

    def fill(self, classifier: Classifier, images: ImageSet, quantities: Sequence[Quantity]) -> int:
        """Computes this shard's rows of what no bank holds; see :meth:`Shards.fill`."""
        return self._shards(classifier, images).fill(classifier, images, quantities, self._number)

    def cached(self, what: str, identity: Mapping[str, Any], compute: Callable[[], npt.NDArray[Any]]) -> Array:
        """See :meth:`Engine.cached`; raises :class:`UndividedError` instead of computing."""

        def refuse() -> Array:
            raise UndividedError(f"{what} has no shards")

        return super().cached(what, identity, refuse)

    def _complete(
        self, classifier: Classifier, view: View, quantities: Sequence[Quantity], steps: Mapping[str, Steps]
    ) -> tuple[dict[Quantity, Rows32], dict[str, Array]]:
        rows, scores = self._kept(classifier, view, quantities, steps)
        if len(scores) < len(steps):
            raise UndividedError(f"steps on {view.images.title} have no shards")
        if len(rows) < len(quantities):
            raise NotWholeError(f"there are no whole banks of {view.images.title}")
        return rows, scores
