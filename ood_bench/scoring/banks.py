"""Where the results of passes are kept: in memory, and as files below one folder."""

import contextlib
import io
import logging
import time
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ood_bench.data.views import Array, Rows32
from ood_bench.utils.digests import check_digest, with_digest, without_digest
from ood_bench.utils.files import content_key, write_atomically
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_EVERY = 60.0


class Banks:
    """Rows of quantities by place and name, and derived arrays by name.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep everything in memory only.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._rows: dict[tuple[str, str], Rows32] = {}
        self._derived: dict[str, Array] = {}
        self._warned: set[str] = set()

    def rows(self, place: str, name: str, count: int) -> Rows32 | None:
        """Float32 ``[count, D]`` as they were kept, or none if there are none or their file is damaged."""
        if (kept := self._rows.get((place, name))) is not None:
            return kept
        if self._root is None or not (path := self._root / place / f"{name}.npy").exists():
            return None
        if (rows := self._read(path, f"{place}/{name}", mapped=True)) is None:
            return None
        if rows.ndim != 2 or len(rows) != count or rows.dtype != np.float32:
            self._warn_once("bank %s has an unexpected form and is made again", path)
            return None
        self._rows[place, name] = rows
        return rows

    def keep_rows(self, place: str, name: str, rows: Rows32) -> None:
        """Keeps rows ``[N, D]``.

        Raises:
            ArtifactError: if the file cannot be written.
        """
        self._rows[place, name] = rows
        if self._root is not None:
            content = with_digest(_npy(rows), f"{place}/{name}")
            write_atomically(self._root / place / f"{name}.npy", content, durable=False)

    def derived(self, name: str) -> Array | None:
        """A derived array, or none if it is not there or its file is damaged."""
        if name not in self._derived:
            path = None if self._root is None else self._root / "derived" / f"{name}.npy"
            if path is None or not path.exists():
                return None
            if (array := self._read(path, name)) is None:
                return None
            self._derived[name] = array
        return self._derived[name]

    def keep_derived(self, name: str, array: Array) -> None:
        """Keeps a derived array of any shape.

        Raises:
            ArtifactError: if the file cannot be written.
        """
        self._derived[name] = array
        if self._root is not None:
            content = with_digest(_npy(array), name)
            write_atomically(self._root / "derived" / f"{name}.npy", content, durable=False)

    def partial(self, names: Iterable[str]) -> "PartialScores | None":
        """Where a pass saves what it has done of these derived arrays; none if everything is in memory only."""
        if self._root is None:
            return None
        return PartialScores(self._root / "derived" / f"{content_key(list(names))}.part")

    def lock(self, name: str) -> contextlib.AbstractContextManager[None]:
        """The lock on something below the folder; it locks nothing if everything is in memory only."""
        return contextlib.nullcontext() if self._root is None else locked(self._root / name)

    def _read(self, path: Path, identity: str, *, mapped: bool = False) -> npt.NDArray[Any] | None:
        """An array whose digest is right; none, with a warning, if it is not."""
        try:
            check_digest(path, identity)
            array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None)
        except (OSError, ValueError, EOFError) as error:
            self._warn_once("%s is damaged (%s) and is made again", path, error)
            return None
        return array

    def _warn_once(self, message: str, *parts: object) -> None:
        """Warns of a damaged file once, though it is read twice: before and after waiting for its lock."""
        if (text := message % parts) not in self._warned:
            self._warned.add(text)
            _log.warning(text)


class PartialScores:
    """Scores of the first images of a long pass, saved every minute so that the pass can go on if it is stopped.

    Args:
        path: their only file; it is removed when the pass is done.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._saved = path, time.monotonic()

    def load(self, scores: Sequence[Array]) -> int:
        """Fills arrays ``[..., n]`` with what an earlier pass saved.

        Args:
            scores: the arrays, in the order in which they were saved.

        Returns:
            The number of images that are done.
        """
        if not self._path.exists():
            return 0
        try:
            content = without_digest(self._path.read_bytes(), self._path.name)
            with np.load(io.BytesIO(content)) as file:
                found = [file[f"arr_{number}"] for number in range(len(scores))]
            for array, first in zip(scores, found, strict=True):
                array[..., : first.shape[-1]] = first
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("%s is damaged (%s): the pass starts again", self._path, error)
            return 0
        done = int(found[0].shape[-1])
        _log.info("going on after %d images: %s", done, self._path.name)
        return done

    def save(self, scores: Sequence[Array], done: int, *, now: bool = False) -> None:
        """Saves the scores of the images that are done, once a minute.

        Args:
            scores: the arrays ``[..., n]``.
            done: number of images that are done.
            now: whether to save at once.

        Raises:
            ArtifactError: if the file cannot be written.
        """
        if done and (now or time.monotonic() - self._saved > _EVERY):
            buffer = io.BytesIO()
            np.savez(buffer, *(array[..., :done] for array in scores))
            write_atomically(self._path, with_digest(buffer.getvalue(), self._path.name), durable=False)
            self._saved = time.monotonic()

    def drop(self) -> None:
        """Removes the file; for when the scores are kept elsewhere."""
        self._path.unlink(missing_ok=True)


def _npy(array: npt.NDArray[Any]) -> bytes:
    """Content of a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
