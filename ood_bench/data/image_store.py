"""The store of decoded image sets: read a source once, open a memory-mapped array ever after."""

import contextlib
import json
import logging
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np

from ood_bench.data.imageset import ImageSet, fingerprint, with_left_out
from ood_bench.data.source import Source
from ood_bench.errors import ArtifactError, DataError
from ood_bench.utils.files import content_key, set_aside, staged_folder, write_atomically
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_FORMAT = 1
_IMAGES, _LABELS, _META, _SEEN = "images.npy", "labels.npy", "meta.json", "checked"


class ImageStore:
    """Decoded image sets under one folder, each keyed by what determines its content.

    Args:
        root: the store; image sets lie in ``<root>/images/<name>-<key>``.
    """

    def __init__(self, root: Path) -> None:
        self._folder = Path(root) / "images"

    def open(self, source: Source, data_root: Path, *, stream: bool = False) -> ImageSet:
        """The set that ``source`` describes, read now if this is its first use.

        Several processes may ask for the same set at once: one reads, the others wait. An entry that is not
        whole (a full disk, a crash) is renamed to ``.torn`` and read again.

        Args:
            source: what to open.
            data_root: folder that holds the data sets' files.
            stream: whether sets of image files stay undecoded, and out of the store.

        Raises:
            DataError: if the files are missing or cannot be read.
            ArtifactError: if the store cannot be written.
        """
        if stream and (found := source.stream(data_root)) is not None:
            return found
        identity = source.identity(data_root)
        entry = self._folder / f"{source.name}-{content_key(identity)}"
        with contextlib.suppress(ArtifactError):
            if (found := _load(entry, source, identity)) is not None:
                return found
        with locked(entry):
            try:
                if (found := _load(entry, source, identity)) is not None:
                    return found
            except ArtifactError as error:
                _log.warning("%s; it is renamed to .torn and made again", error)
                set_aside(entry)
            self._make(entry, source, data_root, identity)
        if (found := _load(entry, source, identity)) is None:
            raise ArtifactError(f"{entry} vanished right after it was written")
        return found

    def _make(self, entry: Path, source: Source, data_root: Path, identity: dict[str, Any]) -> None:
        began = time.monotonic()
        whole = source.read(data_root)
        with staged_folder(entry) as staged:
            _save(staged, whole, identity)
        _log.info("%s: %d images stored in %s (%.1f s)", whole.title, len(whole), entry, time.monotonic() - began)


def _save(folder: Path, whole: ImageSet, identity: dict[str, Any]) -> None:
    np.save(folder / _IMAGES, np.ascontiguousarray(whole.images))
    if whole.labels is not None:
        np.save(folder / _LABELS, whole.labels)
    meta = {
        "format": _FORMAT,
        "name": whole.name,
        "shape": list(whole.images.shape),
        "class_names": list(whole.class_names),
        "fingerprint": whole.fingerprint,
        "left_out": whole.left_out,
        "sizes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "identity": identity,
    }
    (folder / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _load(entry: Path, source: Source, identity: dict[str, Any]) -> ImageSet | None:
    """The stored set, or none if nothing is stored.

    Raises:
        ArtifactError: if the entry is there but not whole, or another set's, or its pixels were changed.
    """
    if not entry.exists():
        return None
    try:
        meta = json.loads((entry / _META).read_text(encoding="utf-8"))
        sizes = {name: (entry / name).stat().st_size for name in meta["sizes"]}
        images = np.load(entry / _IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / _LABELS, allow_pickle=False) if _LABELS in sizes else None
        names = tuple(meta["class_names"])
        left_out = meta.get("left_out", 0)
        variant = with_left_out(source.full_variant, left_out)
        found = ImageSet(source.name, images, labels, meta["fingerprint"], variant, names, left_out)
        if meta["identity"] != json.loads(json.dumps(identity)):
            raise ValueError(f"it holds {meta['name']} as another source gives it")  # noqa: TRY301 - one message for all
    except (DataError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{entry} is not whole: {error}") from error
    if (meta["format"], meta["sizes"], tuple(meta["shape"])) != (_FORMAT, sizes, images.shape):
        raise ArtifactError(f"{entry} is not whole: its files hold {sizes}, images {images.shape}")
    _check_pixels(entry, found)
    return found


def _check_pixels(entry: Path, found: ImageSet) -> None:
    """Hashes pixels and labels, on each machine at the first use and whenever a file of the entry was touched since.

    Raises:
        ArtifactError: if they are not those that were written.
    """
    files = sorted(path for path in entry.iterdir() if path.name in (_IMAGES, _LABELS, _META))
    seen = entry / f"{_SEEN}-{socket.gethostname()}.json"
    state = [
        [path.name, (stat := path.stat()).st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns] for path in files
    ]
    with contextlib.suppress(OSError, ValueError):
        if json.loads(seen.read_text(encoding="utf-8")) == state:
            return
    if fingerprint(found.images, found.labels) != found.fingerprint:
        raise ArtifactError(f"{entry} is not whole: its pixels or labels are not those that were written")
    with contextlib.suppress(ArtifactError):  # somebody else's store, which may only be read
        write_atomically(seen, json.dumps(state).encode(), durable=False)
