"""Lists the files below a folder without opening any, and says by name what stands in the way."""

import contextlib
import os
import stat
from collections.abc import Iterator

from ood_bench.errors import DataError

EXTENSIONS = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def walk(
    folder: str, prefix: str, deep: bool, above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, os.stat_result | None]]:
    """Relative paths (with slashes) of the files below ``folder``, in the file system's order, without hidden ones.

    Links are followed. The second value is the state of an image file, and none for files of other kinds, which are not
    looked at.

    Args:
        folder: where to look.
        prefix: what the paths begin with: nothing, or the path of ``folder`` with a slash.
        deep: whether to look into sub-folders.
        above: device and inode of the folders that ``folder`` was reached through.

    Raises:
        DataError: if a folder cannot be read or holds itself through a link, or an image is a link without target or
            no ordinary file.
    """
    with _clear_errors(folder, "give yourself the right to read it"):
        state = os.stat(folder)
        with os.scandir(folder) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    here = (state.st_dev, state.st_ino)
    if here in above:
        raise DataError(f"{folder}: a link to a folder that it lies in", "remove the link")
    for entry in entries:
        path = prefix + entry.name
        if _is_folder(entry):
            if deep:
                yield from walk(entry.path, f"{path}/", deep, above | {here})
        elif path.lower().endswith(EXTENSIONS):
            yield path, _state(entry)
        else:
            yield path, None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):  # a link to itself
        return entry.is_dir()
    return False


def _state(entry: os.DirEntry[str]) -> os.stat_result:
    with _clear_errors(entry.path, "remove the link, or put the file there" if entry.is_symlink() else "remove it"):
        state = entry.stat()
    if not stat.S_ISREG(state.st_mode):
        raise DataError(f"{entry.path}: a pipe, socket or device under an image's name", "remove it")
    return state


@contextlib.contextmanager
def _clear_errors(path: str, hint: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})", hint) from error
