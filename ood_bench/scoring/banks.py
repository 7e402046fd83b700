"""Where rows and arrays that took a pass are kept: in memory, and as ``.npy`` files below one folder."""

import contextlib
import io
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ood_bench.data.views import Array, Rows32
from ood_bench.scoring.partial import Parts
from ood_bench.utils.files import content_key, write_atomically
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)


class Banks:
    """Rows of quantities by place and name, and derived arrays by name.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep everything in memory only.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._rows: dict[tuple[str, str], Rows32] = {}
        self._derived: dict[str, Array] = {}
        self._said: set[str] = set()

    def rows(self, place: str, name: str, count: int) -> Rows32 | None:
        """Float32 ``[count, D]`` as they were kept, or none if they are not there or their file is damaged."""
        if (kept := self._rows.get((place, name))) is not None:
            return kept
        if self._root is None or not (path := self._root / place / f"{name}.npy").exists():
            return None
        try:
            rows: Rows32 = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            self._warn_once("bank %s is damaged (%s) and is made again", path, error)
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
            write_atomically(self._root / place / f"{name}.npy", _npy(rows), durable=False)

    def derived(self, name: str) -> Array | None:
        """A derived array, or none if it is not there or its file is damaged."""
        if name not in self._derived:
            path = None if self._root is None else self._root / "derived" / f"{name}.npy"
            if path is None or not path.exists():
                return None
            try:
                self._derived[name] = np.load(path)
            except (OSError, ValueError, EOFError) as error:
                self._warn_once("%s is damaged (%s) and is made again", path, error)
                return None
        return self._derived[name]

    def keep_derived(self, name: str, array: Array) -> None:
        """Keeps a derived array of any shape.

        Raises:
            ArtifactError: if the file cannot be written.
        """
        self._derived[name] = array
        if self._root is not None:
            write_atomically(self._root / "derived" / f"{name}.npy", _npy(array), durable=False)

    def parts(self, names: Iterable[str]) -> Parts | None:
        """Where a pass that makes these derived arrays saves what it has done; nowhere if all is in memory only."""
        if self._root is None:
            return None
        return Parts(self._root / "derived" / f"{content_key(list(names))}.part")

    def alone(self, name: str) -> contextlib.AbstractContextManager[None]:
        """The lock on something below the folder; nothing to lock where everything is in memory only."""
        return contextlib.nullcontext() if self._root is None else locked(self._root / name)

    def _warn_once(self, message: str, *parts: object) -> None:
        """A damaged file is met twice: before and after waiting for the lock on it."""
        if (said := message % parts) not in self._said:
            self._said.add(said)
            _log.warning(said)


def _npy(array: npt.NDArray[Any]) -> bytes:
    """Content of a ``.npy`` file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
