"""Scores of evaluated cells, kept in the artifact store so that methods can be compared image by image later."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ood_bench.data.imageset import Array, ImageSet, Rows
from ood_bench.errors import DamagedError
from ood_bench.utils.files import clear_io_errors, write_atomically

_DIGEST = "sha256"


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of one cell, and which images they belong to.

    Attributes:
        id: float64 ``[n_id]``, higher means more in-distribution.
        ood: float64 ``[n_ood]``.
        id_rows: int64 ``[n_id]``, row numbers in the whole ID test set, or none where the protocol does not say.
        ood_rows: int64 ``[n_ood]``, likewise.
    """

    id: Array
    ood: Array
    id_rows: Rows | None
    ood_rows: Rows | None


def rows_of(scores: Array, rows: Rows | None, images: ImageSet) -> Rows | None:
    """Row numbers of scores: those given, all rows in order if there is a score for each image, else none."""
    if rows is None and len(scores) == len(images):
        return np.arange(len(images), dtype=np.int64)
    return rows if rows is not None and len(rows) == len(scores) else None


class ScoreStore:
    """One file a cell in the folder ``root``, named by its key; float64, because rounding would make ties."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def path(self, cell_key: str) -> Path:
        """Where the scores of a cell lie."""
        return self.root / f"{cell_key}.safetensors"

    def write(self, cell_key: str, scores: Scores) -> None:
        """Keeps the scores of a cell.

        Raises:
            ArtifactError: if the store cannot be written.
        """
        arrays = {"id": scores.id, "ood": scores.ood}
        for name, rows in (("id_rows", scores.id_rows), ("ood_rows", scores.ood_rows)):
            if rows is not None:
                arrays[name] = rows.astype(np.int32)
        arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        content = save({**arrays, _DIGEST: _digest(cell_key, arrays)})
        write_atomically(self.path(cell_key), content, durable=False)

    def read(self, cell_key: str) -> Scores | None:
        """The scores of a cell, or none if the store has none.

        Raises:
            DamagedError: if the file is not what was written, or another cell's.
            ArtifactError: if it cannot be read.
        """
        path = self.path(cell_key)
        if not path.exists():
            return None
        with clear_io_errors("read scores", path):
            content = path.read_bytes()
        try:
            arrays = load(content)
            if not np.array_equal(arrays.pop(_DIGEST, np.empty(0)), _digest(cell_key, arrays)):
                raise ValueError("they are not those that were written")  # noqa: TRY301 - one message for all damage
            rows = {name: arrays[name].astype(np.int64) for name in ("id_rows", "ood_rows") if name in arrays}
            return Scores(arrays["id"], arrays["ood"], rows.get("id_rows"), rows.get("ood_rows"))
        except (SafetensorError, KeyError, ValueError) as error:
            hint = "delete it, and make it again with scoring.details=all"
            raise DamagedError(f"{path}: no usable scores ({error}): {hint}") from error


def _digest(cell_key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """SHA-256, uint8 ``[32]``, of the cell's key and all arrays."""
    digest = hashlib.sha256(cell_key.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)
