"""The store of decoded image sets: read a source once, open a memory-mapped array ever after."""

import contextlib
import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.data.source import Source
from ood_bench.errors import ArtifactError, DataError
from ood_bench.utils.files import clear_io_errors, content_key, staged_folder
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_FORMAT = 1
_IMAGES, _LABELS, _META = "images.npy", "labels.npy", "meta.json"


class ImageStore:
    """Decoded image sets under one folder, each keyed by what determines its content.

    Args:
        root: the store; image sets lie in ``<root>/images/<name>-<key>``.
    """

    def __init__(self, root: Path) -> None:
        self._folder = Path(root) / "images"

    def open(self, source: Source, data_root: Path) -> ImageSet:
        """The set that ``source`` describes, read now if this is its first use.

        Several processes may ask for the same set at once: one reads, the others wait. An entry that is not
        whole (a full disk, a crash) is renamed to ``.torn`` and read again.

        Args:
            source: what to open.
            data_root: folder that holds the data sets' files.

        Raises:
            DataError: if the files are missing or cannot be read.
            ArtifactError: if the store cannot be written.
        """
        identity = source.identity(data_root)
        entry = self._folder / f"{source.name}-{content_key(identity)}"
        with contextlib.suppress(ArtifactError):
            if (found := _load(entry, source)) is not None:
                return found
        with locked(entry):
            try:
                if (found := _load(entry, source)) is not None:
                    return found
            except ArtifactError as error:
                _log.warning("%s; it is renamed to .torn and made again", error)
                _keep_torn(entry)
            self._make(entry, source, data_root, identity)
        if (found := _load(entry, source)) is None:
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
        "sizes": {path.name: path.stat().st_size for path in sorted(folder.iterdir())},
        "identity": identity,
    }
    (folder / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _load(entry: Path, source: Source) -> ImageSet | None:
    """The stored set, or none if nothing is stored.

    Raises:
        ArtifactError: if the entry is there but not whole.
    """
    if not entry.exists():
        return None
    try:
        meta = json.loads((entry / _META).read_text(encoding="utf-8"))
        sizes = {name: (entry / name).stat().st_size for name in meta["sizes"]}
        images = np.load(entry / _IMAGES, mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / _LABELS, allow_pickle=False) if _LABELS in sizes else None
        names = tuple(meta["class_names"])
        found = ImageSet(source.name, images, labels, meta["fingerprint"], source.full_variant, names)
    except (DataError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{entry} is not whole: {error}") from error
    if (meta["format"], meta["sizes"], tuple(meta["shape"])) != (_FORMAT, sizes, images.shape):
        raise ArtifactError(f"{entry} is not whole: its files hold {sizes}, images {images.shape}")
    return found


def _keep_torn(entry: Path) -> None:
    """Renames a damaged entry, so that a new one can be written and the old one examined."""
    torn = entry.with_name(f"{entry.name}.torn")
    with clear_io_errors("rename", entry):
        shutil.rmtree(torn, ignore_errors=True)
        entry.rename(torn)
