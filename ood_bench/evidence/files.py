"""Files of scores: what they hold for each image set, whatever their layout."""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ood_bench.data.imageset import Array, Labels
from ood_bench.errors import DataError
from ood_bench.evidence.pickles import read_pickle

ID: Final = "id"
"""What the ID test set is called here; OOD sets keep the names that their files have."""
VALIDATION: Final = "id_val"
"""What ID validation rows are called here, on which a threshold may be set."""
_NAMES: Final = {
    **dict.fromkeys(("id", "id_test", "id/test", "test"), ID),
    **dict.fromkeys(("id_val", "id/val"), VALIDATION),
}
_COLUMNS: Final = {
    "network": ("network_prediction",),
    "prediction": ("prediction", "pred"),
    "score": ("confidence", "conf", "score"),
    "label": ("label", "gt"),
}
_LAYOUTS: Final = (
    ".npz with PART/prediction, PART/confidence, PART/label (or pred, conf, label of one set); .npy [N] scores, "
    "[N, 2] scores and labels, or [N, 3] predictions, scores and labels; .csv with a column `score`; .pkl of OpenOOD"
)


@dataclass(frozen=True, eq=False)
class SetScores:
    """Scores of one image set, a row an image, in the order of its list.

    Attributes:
        scores: float64 ``[n]``, higher means more in-distribution.
        labels: int64 ``[n]``, -1 for OOD; none where the file has none.
        predictions: int64 ``[n]``, those beside the scores, likewise. A method that changes features may alter them.
        network: int64 ``[n]``, those of the network itself, likewise.
    """

    scores: Array
    labels: Labels | None = None
    predictions: Labels | None = None
    network: Labels | None = None


def read_scores(path: Path) -> dict[str, SetScores]:
    """The scores in one file, by image set; parts of groups (``near/tin``) go by the set's name (``tin``).

    Raises:
        DataError: if the file is not there, of another layout, or holds arrays that do not fit together.
        ArtifactError: if a pickle holds anything that scores are not.
    """
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    readers = {".npz": _npz, ".npy": _npy, ".csv": _csv, ".pkl": _pkl, ".pickle": _pkl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: a file of scores ends in {', '.join(readers)}", _LAYOUTS)
    found: dict[str, SetScores] = {}
    for part, columns in reader(path):
        name = _NAMES.get(part) or (part.rsplit("/", 1)[-1] if part.startswith(("near/", "far/")) else part)
        if name in found:
            raise DataError(f"{path}: holds the scores of {name} twice")
        found[name] = _checked(f"{path}, {part}", columns)
    if not found:
        raise DataError(f"{path}: holds no scores that are understood", _LAYOUTS)
    return found


_SETS = ("set", "part")
"""Columns that name the set of a row."""
_Columns = Mapping[str, Any]
_Parts = Iterator[tuple[str, _Columns]]


def _npz(path: Path) -> _Parts:
    arrays = _loaded(path)
    parts: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        part, _, column = key.rpartition("/")
        parts.setdefault(part or path.stem, {})[column] = array
    yield from parts.items()


def _npy(path: Path) -> _Parts:
    array = _loaded(path)[""]
    if array.ndim == 1:
        yield path.stem, {"score": array}
    elif array.ndim == 2 and array.shape[1] in (2, 3):
        names = ("prediction", "score", "label")[-array.shape[1] :]
        yield path.stem, dict(zip(names, array.T, strict=True))
    else:
        raise DataError(f"{path}: an array of shape {list(array.shape)}", _LAYOUTS)


def _loaded(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        content = np.load(path, allow_pickle=False)
        return dict(content) if isinstance(content, Mapping) else {"": content}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as NumPy's {path.suffix}: {error}") from error


def _csv(path: Path) -> _Parts:
    try:
        table = pd.read_csv(path)
        name = next((one for one in _SETS if one in table.columns), None)
        if name is not None:  # as it stands: a set may be called NA, or 01
            table[name] = pd.read_csv(path, usecols=[name], dtype=str, keep_default_na=False)[name]
    except (OSError, ValueError) as error:  # pandas' own errors are of this kind
        raise DataError(f"{path}: cannot be read as CSV: {error}") from error
    if name is None:
        yield path.stem, {str(column): table[column].to_numpy() for column in table.columns}
        return
    if lacking := [line for line, part in enumerate(table[name], 2) if not part.strip()]:
        lines = ", ".join(map(str, lacking[:3])) + (f" and {len(lacking) - 3:,} more" if len(lacking) > 3 else "")
        hint = "name the set in every line; merged cells of a spreadsheet leave all but the first one empty"
        raise DataError(f"{path}: no {name} in line {lines}", hint)
    for part, rows in table.groupby(name, sort=False):
        yield str(part), {str(column): rows[column].to_numpy() for column in rows.columns if column != name}


def _pkl(path: Path) -> _Parts:
    """OpenOOD's ``{"id": {"test": [pred, conf, gt]}, "ood": {"near": {name: [...]}, "far": {...}}, "csid": {...}}``.

    Groups may also stand at the top. ``id_preds`` are the network's own predictions.
    """
    content = read_pickle(path)
    content = content if isinstance(content, dict) else {}
    outside = content.get("ood", content)
    groups = {group: outside.get(group) for group in ("near", "far")} if isinstance(outside, dict) else {}
    nested = {ID: content.get("id"), "csid": content.get("csid"), **groups}
    for group, sets in nested.items():
        for name, arrays in sets.items() if isinstance(sets, dict) else ():
            if isinstance(arrays, list) and len(arrays) == 3:
                network = {"network_prediction": content.get("id_preds")} if (group, name) == (ID, "test") else {}
                yield f"{group}/{name}", dict(zip(("prediction", "score", "label"), arrays, strict=True)) | network


def _checked(place: str, columns: _Columns) -> SetScores:
    """One part's columns as arrays of one length."""
    arrays = {}
    for name, words in _COLUMNS.items():
        value = next((columns[word] for word in words if columns.get(word) is not None), None)
        if value is not None:
            arrays[name] = _numbers(f"{place}: {name}", value)
    if "score" not in arrays:
        raise DataError(f"{place}: has no scores, but {', '.join(map(str, columns)) or 'nothing'}", _LAYOUTS)
    if len({len(array) for array in arrays.values()}) != 1:
        raise DataError(f"{place}: {', '.join(f'{len(array):,} {name}s' for name, array in arrays.items())}")
    if missing := int(np.isnan(arrays["score"]).sum()):
        raise DataError(f"{place}: {missing} of {len(arrays['score']):,} scores are NaN, which has no rank")
    whole: Sequence[Labels | None] = [
        _whole(f"{place}: {name}", arrays.get(name)) for name in ("label", "prediction", "network")
    ]
    return SetScores(arrays["score"], *whole)


def _numbers(place: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.ndim != 1 or array.dtype.kind not in "iufb":
        raise DataError(f"{place}: an array of {array.dtype} {list(array.shape)}, where numbers [N] are needed")
    return array.astype(np.float64)


def _whole(place: str, array: Array | None) -> Labels | None:
    if array is None:
        return None
    if not np.array_equal(array, np.round(array)):
        raise DataError(f"{place}s are not whole numbers")
    return array.astype(np.int64)
