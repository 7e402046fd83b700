"""What a long pass has done so far, saved every minute, so that it goes on where it was killed."""

import io
import logging
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ood_bench.data.views import Array
from ood_bench.utils.files import write_atomically

_log = logging.getLogger(__name__)
_EVERY = 60.0


class Parts:
    """Scores of the first images of a pass, in one file that is gone when the pass is done.

    Args:
        path: the file; nobody else may write it meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._saved = path, time.monotonic()

    def load(self, scores: Sequence[Array]) -> int:
        """Fills arrays ``[..., n]`` with what an earlier pass left behind.

        Args:
            scores: the arrays, in the order in which they are always given.

        Returns:
            The number of images that are done.
        """
        if not self._path.exists():
            return 0
        try:
            with np.load(self._path) as file:
                found = [file[f"arr_{number}"] for number in range(len(scores))]
            for array, part in zip(scores, found, strict=True):
                array[..., : part.shape[-1]] = part
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            _log.warning("%s is damaged (%s): the pass starts anew", self._path, error)
            return 0
        done = int(found[0].shape[-1])
        _log.info("going on after %d images: %s", done, self._path.name)
        return done

    def save(self, scores: Sequence[Array], done: int, *, now: bool = False) -> None:
        """Saves what is done, once a minute.

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
            write_atomically(self._path, buffer.getvalue(), durable=False)
            self._saved = time.monotonic()

    def drop(self) -> None:
        """Removes the file, once the scores are kept elsewhere."""
        self._path.unlink(missing_ok=True)
