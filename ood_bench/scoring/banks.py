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

from ood_bench.data.imageset import Array, Rows32
from ood_bench.utils.digests import check_digest, undigested, with_digest, without_digest
from ood_bench.utils.files import content_key, write_atomically
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_EVERY = 60.0


class Banks:
    """Rows of quantities and derived arrays, by the name of their file below the folder, without its suffix.

    Args:
        root: the folder ``banks`` of the artifact store, or none to keep everything in memory only.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._kept: dict[str, npt.NDArray[Any]] = {}
        self._by: dict[str, str] = {}
        self._warned: set[str] = set()

    def rows(self, name: str, count: int) -> Rows32 | None:
        """Float32 ``[count, D]`` as they were kept, or none if there are none or their file is damaged."""
        found = self._load(name, mapped=True)
        if found is not None and (found.ndim != 2 or len(found) != count or found.dtype != np.float32):
            self._warn_once("bank %s/%s.npy has an unexpected form and is made again", self._root, name)
            del self._kept[name]
            return None
        return found

    def derived(self, name: str) -> Array | None:
        """A derived array, or none if it is not there or its file is damaged."""
        return self._load(name)

    def keep(self, name: str, array: npt.NDArray[Any], by: str = "") -> None:
        """Keeps rows ``[N, D]``, or a derived array of any shape.

        Args:
            name: of its file.
            array: what is kept.
            by: the library that computed it where that was not torch; it stands in the file after the array.

        Raises:
            ArtifactError: if the file cannot be written.
        """
        self._kept[name], self._by[name] = array, by
        if self._root is not None:
            buffer = io.BytesIO()
            np.save(buffer, array)
            buffer.write(by.encode())
            content = with_digest(buffer.getvalue(), _identity(name))
            write_atomically(self._root / f"{name}.npy", content, durable=False)

    def by(self, name: str) -> str:
        """The library that computed rows or scores that were kept or found; empty for torch."""
        return self._by.get(name, "")

    def partial(self, names: Iterable[str]) -> "PartialScores | None":
        """Where a pass saves what it has done of these derived arrays; none if everything is in memory only."""
        if self._root is None:
            return None
        return PartialScores(self._root / "derived" / f"{content_key([_identity(name) for name in names])}.part")

    def folder(self, name: str) -> Path | None:
        """A folder below the root; none if there is none of that name."""
        return None if self._root is None or not (self._root / name).is_dir() else self._root / name

    def drop(self, name: str) -> None:
        """Forgets rows or a derived array and removes their file, and its folder if nothing else is in it."""
        self._kept.pop(name, None)
        if self._root is not None:
            path = self._root / f"{name}.npy"
            with contextlib.suppress(OSError):  # another user's file, or a folder that holds something: gc clears it
                path.unlink(missing_ok=True)
                path.parent.rmdir()

    def lock(self, name: str, *, wait: bool = True) -> contextlib.AbstractContextManager[None]:
        """The lock on something below the folder; it locks nothing if everything is in memory only.

        Raises:
            BusyError: if another process holds it and ``wait`` is false.
        """
        return contextlib.nullcontext() if self._root is None else locked(self._root / name, wait=wait)

    def _load(self, name: str, *, mapped: bool = False) -> npt.NDArray[Any] | None:
        """An array whose digest is right; none, with a warning, if it is not."""
        path = None if self._root is None else self._root / f"{name}.npy"
        if name not in self._kept and path is not None and path.exists():
            try:
                check_digest(path, _identity(name))
                found = np.load(path, mmap_mode="r")
                self._by[name] = undigested(path, found.offset + found.nbytes).decode()
                self._kept[name] = found if mapped else np.array(found)
            except (OSError, ValueError, EOFError) as error:
                self._warn_once("%s is damaged (%s) and is made again", path, error)
        return self._kept.get(name)

    def _warn_once(self, message: str, *parts: object) -> None:
        """Warns of a damaged file once, though it is read twice: before and after waiting for its lock."""
        if (text := message % parts) not in self._warned:
            self._warned.add(text)
            _log.warning(text)


def _identity(name: str) -> str:
    """What an array's digest covers beside its content: its name, of a derived array without its folder."""
    return name.removeprefix("derived/")


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
