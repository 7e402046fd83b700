"""The one-pass engine: every quantity that any method asks for, from a single pass, kept in banks on disk."""

import contextlib
import hashlib
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ood_bench.data.imageset import ImageSet, Rows
from ood_bench.files import content_key, locked, write_atomically
from ood_bench.models.classifier import Classifier
from ood_bench.progress import ticking
from ood_bench.scoring.quantities import OUTPUT, Quantity
from ood_bench.scoring.taps import full_precision, reading

Array = npt.NDArray[np.float64]
Rows32 = npt.NDArray[np.float32]
Bank = Mapping[Quantity, Rows32]

_log = logging.getLogger(__name__)
_PIECE_BYTES = 1 << 19


@dataclass(frozen=True)
class View:
    """Some rows of an image set, in an order.

    Attributes:
        images: the whole set.
        rows: int64 ``[n]`` row numbers, or none for all rows in order.
    """

    images: ImageSet
    rows: Rows | None = None

    def __len__(self) -> int:
        return len(self.images) if self.rows is None else len(self.rows)

    def batches(self, batch_size: int) -> Iterator[Tensor]:
        """uint8 images ``[B, C, H, W]`` in the view's order."""
        for start in range(0, len(self), batch_size):
            index = slice(start, start + batch_size)
            yield torch.from_numpy(self.images.images[index if self.rows is None else self.rows[index]].copy())

    @property
    def fingerprint(self) -> str:
        """Names the pixels and their order: the set's fingerprint and a hash of the rows."""
        rows = "all" if self.rows is None else hashlib.sha256(self.rows.astype("<i8").tobytes()).hexdigest()[:16]
        return f"{self.images.fingerprint}-{rows}"

    def of(self, whole: Rows32) -> Rows32:
        """The view's rows of an array ``[N, D]`` over the whole set."""
        return whole if self.rows is None else whole[self.rows]


class Engine:
    """Runs forward passes and keeps what they leave behind.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep banks in memory only.
        batch_size: images a pass takes at once; 0 chooses 64 on CPU (small batches stay in cache) and 1,000 on a GPU.
    """

    def __init__(self, root: Path | None, batch_size: int = 0) -> None:
        self._root, self._batch_size = root, batch_size
        self._memory: dict[tuple[str, str], Rows32] = {}
        self._derived: dict[str, Array] = {}
        self._said: set[str] = set()

    def batch_size(self, classifier: Classifier) -> int:
        """Images a pass takes at once on the classifier's device."""
        return self._batch_size or (1000 if classifier.device.type == "cuda" else 64)

    def collect(self, classifier: Classifier, images: ImageSet, quantities: Iterable[Quantity]) -> Bank:
        """Rows ``[N, D]`` of each quantity over a whole image set; only what no bank holds is computed, in one pass.

        Args:
            classifier: the network.
            images: the set; its images must have the shape that the network takes.
            quantities: what is wanted.

        Raises:
            ArtifactError: if a bank cannot be written.
        """
        wanted = list(dict.fromkeys(quantities))
        place = self._place(classifier, images)
        found = {quantity: self._find(place, quantity, len(images)) for quantity in wanted}
        if any(rows is None for rows in found.values()):
            with self._alone(place):  # whoever waited may find that somebody else has made the bank
                found = {quantity: self._find(place, quantity, len(images)) for quantity in wanted}
                missing = [quantity for quantity, rows in found.items() if rows is None]
                for quantity, rows in (self._run(classifier, images, missing) if missing else {}).items():
                    self._keep(place, quantity, rows)
                    found[quantity] = rows
        return {quantity: rows for quantity, rows in found.items() if rows is not None}

    def cached(self, what: str, identity: Mapping[str, Any], compute: Callable[[], Array]) -> Array:
        """An array that is computed once: from memory or disk if an equal ``identity`` was computed before.

        Args:
            what: readable part of the file's name.
            identity: JSON-able, everything that determines the result.
            compute: makes the array, float64 of any shape.

        Raises:
            ArtifactError: if the store cannot be written.
        """
        name = f"{what}-{content_key(dict(identity))}"
        path = None if self._root is None else self._root / "derived" / f"{name}.npy"
        if name not in self._derived and not self._load_derived(name, path):
            with self._alone(f"derived/{name}"):
                if not self._load_derived(name, path):
                    self._derived[name] = compute()
                    if path is not None:
                        write_atomically(path, _npy(self._derived[name]), durable=False)
        return self._derived[name]

    def _load_derived(self, name: str, path: Path | None) -> bool:
        """Reads a derived array into memory; says whether it was there."""
        if path is None or not path.exists():
            return False
        try:
            self._derived[name] = np.load(path)
        except (OSError, ValueError, EOFError) as error:
            self._warn_once("%s is damaged (%s) and is made again", path, error)
            return False
        return True

    def _warn_once(self, message: str, *parts: object) -> None:
        """A damaged file is met twice: before and after waiting for the lock on it."""
        if (said := message % parts) not in self._said:
            self._said.add(said)
            _log.warning(said)

    def _alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """The lock on something below the banks; nothing to lock where banks are in memory only."""
        return contextlib.nullcontext() if self._root is None else locked(self._root / name)

    @staticmethod
    def _place(classifier: Classifier, images: ImageSet) -> str:
        """Everything that determines a bank but the quantity: weights with their normalisation, pixels, device."""
        return f"{classifier.key}-{images.fingerprint[:16]}-{classifier.device.type}"

    def _find(self, place: str, quantity: Quantity, count: int) -> Rows32 | None:
        if (kept := self._memory.get((place, quantity.key))) is not None:
            return kept
        if self._root is None or not (path := self._root / place / f"{quantity.key}.npy").exists():
            return None
        try:
            rows: Rows32 = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            self._warn_once("bank %s is damaged (%s) and is made again", path, error)
            return None
        if rows.ndim != 2 or len(rows) != count or rows.dtype != np.float32:
            self._warn_once("bank %s has an unexpected form and is made again", path)
            return None
        self._memory[place, quantity.key] = rows
        return rows

    def _keep(self, place: str, quantity: Quantity, rows: Rows32) -> None:
        self._memory[place, quantity.key] = rows
        if self._root is not None:
            write_atomically(self._root / place / f"{quantity.key}.npy", _npy(rows), durable=False)

    def _run(self, classifier: Classifier, images: ImageSet, quantities: list[Quantity]) -> dict[Quantity, Rows32]:
        """One pass over the set that leaves ``quantities`` behind."""
        rows = {quantity: _RowWriter(len(images)) for quantity in quantities}

        def reader(tap: str, value: Tensor) -> None:
            mine = [(quantity.reduction, writer) for quantity, writer in rows.items() if quantity.tap == tap]
            for piece in _pieces(value):
                for reduction, writer in mine:
                    writer.add(reduction(piece))

        taps = {quantity.tap for quantity in quantities} - {OUTPUT}
        readers = {tap: lambda value, tap=tap: reader(tap, value) for tap in taps}
        with (
            ticking(f"scoring {images.title}", len(images), "images") as ticker,
            reading(classifier, readers),
            full_precision(),
            torch.inference_mode(),
        ):
            for batch in View(images).batches(self.batch_size(classifier)):
                reader(OUTPUT, classifier.network(classifier.normalise(batch)))
                ticker.advance(len(batch))
        return {quantity: writer.rows for quantity, writer in rows.items()}


class _RowWriter:
    """Fills one array ``[N, D]`` from the top down.

    Rows go into one array that is made beforehand: many small results that live as long as the pass, between the
    network's large and short-lived maps, would fragment the heap to gigabytes.
    """

    def __init__(self, count: int) -> None:
        self._count, self._done = count, 0
        self.rows: Rows32 = np.empty((0, 0), dtype=np.float32)

    def add(self, values: Tensor) -> None:
        """Appends ``[n, D]`` rows."""
        if self._done == 0:
            self.rows = np.empty((self._count, values.shape[1]), dtype=np.float32)
        self.rows[self._done : self._done + len(values)] = values.float().cpu().numpy()
        self._done += len(values)


def _pieces(value: Tensor) -> Sequence[Tensor]:
    """A tap in pieces that stay in a processor's cache while all reductions read them; on a GPU in one piece."""
    if value.is_cuda:
        return (value,)
    per_image = value.element_size() * value[0].numel()
    return torch.split(value, max(1, _PIECE_BYTES // per_image))


def _npy(array: npt.NDArray[Any]) -> bytes:
    """Content of a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
