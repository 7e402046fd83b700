"""Banks in parts: ranges of an image set's rows that jobs compute side by side, and that the last one joins.

A shard is a range of whole batches, so that every image goes through the network beside the same others as in one pass
over the set: on one kind of device, the joined bank equals the one of an undivided pass to the bit.
"""

import contextlib
import itertools
import logging
from collections.abc import Sequence

import numpy as np

from ood_bench.data.imageset import ImageSet, Rows32
from ood_bench.data.views import View
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.banks import Banks
from ood_bench.scoring.passes import run_pass
from ood_bench.scoring.quantities import Quantity
from ood_bench.utils.locks import BusyError

_log = logging.getLogger(__name__)


def ranges(images: int, batch_size: int, shards: int) -> list[range]:
    """Rows of each shard: whole batches, as equal as they can be; empty ones if there are fewer batches than shards.

    Args:
        images: number of images of the set.
        batch_size: images that go through the network together.
        shards: number of shards.

    >>> ranges(10, 2, 3)
    [range(0, 2), range(2, 6), range(6, 10)]
    """
    batches = -(-images // batch_size)
    ends = [min(images, batch_size * (batches * number // shards)) for number in range(shards + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(ends)]


class Shards:
    """The parts of one image set's banks, each a file in the folder ``<place>.shards``.

    Args:
        banks: where they and the whole banks are kept.
        place: name of the set's banks.
        batch_size: images that go through the network together. It is part of the files' names: parts that were made
            with another one differ in rounding.
        count: number of shards.
        backend: the library that runs the passes.
    """

    def __init__(self, banks: Banks, place: str, batch_size: int, count: int, backend: Backend) -> None:
        self._banks, self._place, self._batch_size, self._count = banks, place, batch_size, count
        self._backend = backend

    def fill(self, classifier: Classifier, images: ImageSet, quantities: Sequence[Quantity], number: int) -> int:
        """Computes one shard's rows of what neither a shard nor a whole bank holds.

        Returns:
            The number of quantities that were computed.

        Raises:
            ArtifactError: if a part cannot be written.
        """
        rows = ranges(len(images), self._batch_size, self._count)[number]
        lacking = [one for one in quantities if self._banks.rows(f"{self._place}/{one.key}", len(images)) is None]
        computed, _ = self._filled(classifier, images, lacking, rows) if rows else (0, {})
        return computed

    def join(self, classifier: Classifier, images: ImageSet, quantities: Sequence[Quantity]) -> dict[Quantity, Rows32]:
        """Whole banks from all shards, which are removed then; those that do not exist are computed.

        It waits for a shard that another process computes right now, after all others; never for one that none does.

        Returns:
            Rows ``[N, D]`` of each quantity; they are kept.

        Raises:
            ArtifactError: if a bank cannot be written.
        """
        parts = [rows for rows in ranges(len(images), self._batch_size, self._count) if rows]
        parts_of: dict[range, dict[Quantity, Rows32]] = {}
        made = 0
        for wait in (False, True):
            for rows in [rows for rows in parts if rows not in parts_of]:
                with contextlib.suppress(BusyError):
                    computed, parts_of[rows] = self._filled(classifier, images, quantities, rows, wait=wait)
                    made += computed
        total = len(parts) * len(quantities)
        _log.info("%s: %d of %d parts of banks found in shards, %d computed", images.title, total - made, total, made)
        whole = {one: np.concatenate([parts_of[rows][one] for rows in parts]) for one in quantities}
        for one, array in whole.items():
            makers = {self._banks.by(self._file(one, rows)) or "torch" for rows in parts}
            by = "" if makers == {"torch"} else ", ".join(sorted(makers))
            self._banks.keep(f"{self._place}/{one.key}", array, by)
        for one in quantities:
            for rows in parts:
                self._banks.drop(self._file(one, rows))
        return whole

    def warn_of_unused(self, images: ImageSet) -> None:
        """Warns a run that computes a whole bank, without joining any shards, of those that exist."""
        if (folder := self._banks.folder(f"{self._place}.shards")) is not None:
            _log.warning("%s is scored anew, although shards of it lie in %s: set scoring.shards", images.title, folder)

    def _filled(
        self,
        classifier: Classifier,
        images: ImageSet,
        quantities: Sequence[Quantity],
        rows: range,
        *,
        wait: bool = True,
    ) -> tuple[int, dict[Quantity, Rows32]]:
        """How many quantities were computed for a range of rows, and the rows of each."""
        found = self._found(quantities, rows)
        if len(found) == len(quantities):
            return 0, found
        with self._banks.lock(f"{self._place}.shards/{self._prefix(rows)}", wait=wait):
            found = self._found(quantities, rows)
            missing = [one for one in quantities if one not in found]
            if not missing:
                return 0, found
            view = View(images, np.arange(rows.start, rows.stop))
            backend = self._backend
            passed = run_pass(classifier, view, self._batch_size, quantities=missing, steps=[], backend=backend)
            for one, array in passed.rows.items():
                self._banks.keep(self._file(one, rows), array, passed.by)
            return len(missing), found | passed.rows

    def _found(self, quantities: Sequence[Quantity], rows: range) -> dict[Quantity, Rows32]:
        kept = {one: self._banks.rows(self._file(one, rows), len(rows)) for one in quantities}
        return {one: array for one, array in kept.items() if array is not None}

    def _file(self, quantity: Quantity, rows: range) -> str:
        return f"{self._place}.shards/{self._prefix(rows)}-{quantity.key}"

    def _prefix(self, rows: range) -> str:
        return f"{rows.start}-{rows.stop}-by-{self._batch_size}"
