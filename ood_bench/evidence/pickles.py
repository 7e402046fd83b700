"""Pickles of NumPy arrays, as OpenOOD writes its scores, read without running anything in them."""

import io
import pickle
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.checkpoints.unpickle import Counted, PickleModule, RestrictedUnpickler
from ood_bench.errors import ArtifactError

_CODE = re.compile(r"[iuf][1248]|b1")
_ORDERS = "<>|="


@dataclass
class _Type:
    """A dtype of plain numbers, whose byte order comes after it."""

    code: str
    order: str = "="

    def set(self, state: Any) -> None:
        """Takes the byte order, the second value of NumPy's state."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in tuple(_ORDERS):
            raise ArtifactError("its pickle holds an array of an unusual type: it is refused")
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's own object."""
        return np.dtype(self.order + self.code)


@dataclass
class _Array:
    """An array whose content may come after it."""

    array: npt.NDArray[Any] | None = None

    def set(self, state: Any) -> None:
        """Takes NumPy's state: version, shape, type, whether by columns, content."""
        _, shape, kind, by_columns, content = state
        self.array = _shaped(content, kind, shape, "F" if by_columns else "C")


def _shaped(content: Any, kind: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    data = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return np.frombuffer(data, kind.dtype).reshape(shape, order="F" if order == "F" else "C").copy()


def _type(code: Any, *_: Any) -> _Type:
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise ArtifactError(
            f"its pickle holds an array of type {str(code)[:20]!r}, which scores are not: it is refused"
        )
    return _Type(code)


def _storage(content: Any) -> Any:
    """The storage of a tensor, a file of ``torch.save`` inside the pickle."""
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    return torch.load(io.BytesIO(raw), "cpu", PickleModule(len(raw), {}), weights_only=False, encoding="latin1")


class _Unpickler(RestrictedUnpickler):
    """Makes arrays of numbers, too."""

    made: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **RestrictedUnpickler.made,
        "torch.storage._load_from_bytes": _storage,
        "numpy.dtype": _type,
        **{f"numpy.{core}.multiarray._reconstruct": lambda *_: _Array() for core in ("core", "_core")},
        **{
            f"numpy.{core}.numeric._frombuffer": lambda content, kind, shape, order: _Array(
                _shaped(content, kind, shape, order)
            )
            for core in ("core", "_core")
        },
    }

    read: Callable[[int], bytes]

    def _set_state(self) -> None:
        if isinstance(self.stack[-2], _Type | _Array):
            state = self.stack.pop()
            self.stack[-1].set(state)
        else:
            self._build()

    def _bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        self.stack.append(self.read(size))  # no more than the file has

    dispatch: ClassVar[dict[int, Any]] = {
        **RestrictedUnpickler.dispatch,
        pickle.BUILD[0]: _set_state,
        pickle.BYTEARRAY8[0]: _bytearray,
        pickle.BINPERSID[0]: RestrictedUnpickler._refuse,
    }


def read_pickle(path: Path) -> Any:
    """The content of a pickle of dictionaries, lists and arrays of numbers; nothing that it names is looked up.

    Raises:
        ArtifactError: if it holds anything that scores are not, or is damaged.
    """
    try:
        with path.open("rb") as file:
            content = io.BytesIO(file.read())
        counted = {"dispatch": Counted(_Unpickler.dispatch)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storages; what is wrong with a file raises
            return _plain(type("Unpickler", (_Unpickler,), counted)(content, encoding="latin1").load())
    except ArtifactError as error:
        raise ArtifactError(f"{path}: {error}") from error
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever the unpickler makes of a damaged file
        raise ArtifactError(f"{path}: not a pickle of arrays ({type(error).__name__}: {error})") from error


def _plain(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.array
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
