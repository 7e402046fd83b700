"""Files of ``torch.save``, read by ``torch.load`` with an unpickler that imports nothing, calls nothing, sets nothing.

Python's own unpickler calls whatever a file names. This one keeps names as text and objects as inert records. Since it
can run nothing, its refusals only tell a network from an attack: a file that mentions the standard library, or calls
anything but classes, is not what it claims to be.
"""

import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor

from ood_bench.checkpoints.container import AGAIN
from ood_bench.errors import ArtifactError

_INSTEAD = "Nothing of it was run. Ask its authors for a plain state dict, or for safetensors"
_PYTHON_2 = {"__builtin__", "copy_reg", "commands", "cPickle", "cStringIO", "popen2", "urllib2"}
_STANDARD_LIBRARY = sys.stdlib_module_names | _PYTHON_2
_MOST = 16  # arguments of a call that is data, and dimensions of a tensor
_LONGEST = 500
# Names outside torch's classes that honest checkpoints hold; a call of one of them leaves an inert record.
_RECORDED = {
    "argparse.Namespace",
    "collections.Counter",
    "collections.defaultdict",
    "datetime.datetime",
    "pathlib.Path",
    "pathlib.PosixPath",
    "numpy.dtype",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    "torch.device",
    "torch.nn.backends.thnn._get_thnn_function_backend",
}


@dataclass(frozen=True)
class Name:
    """Module and name of a class or function that a pickle mentions; nothing of that name is looked up."""

    dotted: str


@dataclass(eq=False)
class Inert:
    """An object of a class that is only known by name.

    Attributes:
        name: its class, or the function that would have made it.
        state: what would have become its attributes.
    """

    name: Name
    state: Any = None

    def append(self, _: Any) -> None:
        """Drops an item that a class derived from a list would have kept."""


def _first(first: Any = None, *_: Any) -> Any:
    return first


def _mapping(pairs: Any = ()) -> dict[str, Any]:
    """Python 3 fills an ordered dictionary after making it, Python 2 made it of a list of pairs."""
    made = {key: value for key, value in pairs if type(key) is str}
    if pairs:
        pairs.clear()  # one long list that is used again and again would fill the memory
    return made


def _latin1(text: Any, encoding: Any) -> Any:
    if encoding not in ("latin1", "latin-1"):
        raise ArtifactError("its pickle encodes text in an unusual way: it is refused")
    return text


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any, dtype: torch.dtype | None = None) -> Tensor:
    if len(size) > _MOST:
        raise ValueError(f"a tensor of {len(size)} dimensions")
    whole = torch.empty(0, dtype=dtype or storage.dtype).set_(storage.untyped())
    part = whole.as_strided(size, stride, offset)  # raises if a value lies outside the storage
    if part.numel() > whole.numel():  # a stride of 0 would make a tensor of any size out of one value
        raise ValueError(f"a tensor of {tuple(size)} in a storage of {whole.numel()} values")
    return part


_MADE: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _mapping,
    "_codecs.encode": _latin1,
    "torch.Size": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.autograd.variable.Variable": _first,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": lambda *args: _tensor(*args[:4], dtype=args[6]),
    **{f"{module}.{kind}": _first for module in ("builtins", "__builtin__") for kind in ("bytes", "set", "frozenset")},
}
"""What stands for the results of the calls that are data."""


def _called(name: Any, args: Any, known: Mapping[str, Callable[..., Any]]) -> Any:
    """What stands for the result of a call: data, or an inert record of a class (spelled with a capital)."""
    if not isinstance(name, Name):
        raise ArtifactError(f"its pickle calls a {type(name).__name__}, which is no name: it is refused")
    if name.dotted == "torch._tensor._rebuild_from_type_v2":  # a tensor that has attributes
        return _called(args[0], args[2], known)
    if (make := known.get(name.dotted)) is not None:
        return make(*args[:_MOST])
    if name.dotted in _RECORDED or name.dotted.rsplit(".", 1)[-1].lstrip("_")[:1].isupper():
        return Inert(name)
    if name.dotted == "torch._utils._rebuild_qtensor":
        raise ArtifactError("it holds quantised tensors, which are refused: export the float weights")
    raise ArtifactError(
        f"its pickle wants to call the function {name.dotted}, which is not among those that checkpoints need. "
        f"{_INSTEAD}"
    )


_INSTRUCTIONS = pickle._Unpickler.dispatch
# Only protocol 0, in which torch.save does not write, needs the first four; no checkpoint needs the others.
_REFUSED = b"".join((pickle.PUT, pickle.GET, pickle.DICT, pickle.PERSID, pickle.EXT1, pickle.EXT2, pickle.EXT4))
_REFUSED += b"".join((pickle.NEWOBJ_EX, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER))


class Counted(dict[int, Any]):
    """What the unpickler does at each instruction, for so many of them."""

    left = 2_000_000  # a network takes some ten thousand; each can take a hundred bytes of memory

    def __getitem__(self, instruction: int) -> Any:
        self.left -= 1
        if self.left < 0:
            raise ArtifactError("its pickle has more instructions than a network takes: it is refused")
        return super().__getitem__(instruction)


class RestrictedUnpickler(pickle._Unpickler):
    """Makes plain data, tensors, names and inert records of a pickle.

    Dictionaries keep text keys only: no network has others, and to hash what a file holds can take for ever. Sets are
    lists for the same reason.

    Attributes:
        made: what stands for the results of the calls that are data, by the name that is called.
    """

    made: ClassVar[Mapping[str, Callable[..., Any]]] = _MADE
    stack: list[Any]
    pop_mark: Callable[[], list[Any]]
    claim: Callable[[str, int], None]

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a class or function: its name, or torch's own object for a dtype and the untyped storage.

        Raises:
            ArtifactError: if it is one of the standard library's that is not data, or endless.
        """
        if len(module) + len(name) > _LONGEST:
            raise ArtifactError(f"its pickle mentions a name of more than {_LONGEST} letters: it is refused")
        dotted = f"{module}.{name}"
        if module.split(".", maxsplit=1)[0] in _STANDARD_LIBRARY and dotted not in {*_RECORDED, *self.made}:
            raise ArtifactError(
                f"its pickle mentions {dotted}, which no network needs and which could run commands if it were loaded "
                f"the usual way. {_INSTEAD}"
            )
        if dotted == "torch.storage.UntypedStorage":
            return torch.UntypedStorage
        dtype = vars(torch).get(name) if module == "torch" else None
        return dtype if isinstance(dtype, torch.dtype) else Name(dotted)

    def _reduce(self) -> None:
        args = self.stack.pop()
        self.stack[-1] = _called(self.stack[-1], args, self.made)

    def _instantiate(self, name: Any, args: list[Any]) -> None:  # of the two instructions of Python 1
        self.stack.append(_called(name, args, self.made))

    def _new(self) -> None:
        self.stack.pop()  # arguments
        if not isinstance(name := self.stack[-1], Name):
            raise ArtifactError(f"its pickle makes an object of a {type(name).__name__}, no name: it is refused")
        self.stack[-1] = Inert(name)

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Name):
            raise ArtifactError(f"its pickle wants to change {target.dotted} itself: it is refused")
        if isinstance(target, Inert):
            target.state = state  # the state of anything else (metadata of a dictionary, flags of a tensor) is dropped

    def _set_item(self) -> None:
        self._fill([self.stack.pop(-2), self.stack.pop()])

    def _set_items(self) -> None:
        self._fill(self.pop_mark())

    def _fill(self, flat: list[Any]) -> None:
        target, pairs = self.stack[-1], zip(flat[::2], flat[1::2], strict=True)
        if isinstance(target, dict):
            target.update((key, value) for key, value in pairs if type(key) is str)
        elif not isinstance(target, Inert):
            raise TypeError(f"items set in a {type(target).__name__}")

    def _persistent(self) -> None:
        match self.stack[-1][:5], self.stack[-1][5:7]:  # the rest is none, or name, start and size of a part
            case ("module", Name() as name, *_), _:
                self.stack[-1] = name
            case ("storage", kind, str() as key, str(), int() as count), () | (None,) | ((str(), int(), int()),):
                self.claim(key, count * getattr(kind, "dtype", torch.uint8).itemsize)
                self.stack[-1] = self.persistent_load(self.stack[-1])
            case _:
                raise ArtifactError("its pickle refers to something outside that is no storage: it is refused")

    def _refuse(self) -> None:
        raise ArtifactError("its pickle uses an instruction that no checkpoint needs: it is refused")

    dispatch: ClassVar[dict[int, Any]] = {
        **_INSTRUCTIONS,
        **dict.fromkeys(_REFUSED, _refuse),
        pickle.EMPTY_SET[0]: _INSTRUCTIONS[pickle.EMPTY_LIST[0]],
        pickle.FROZENSET[0]: _INSTRUCTIONS[pickle.LIST[0]],
        pickle.ADDITEMS[0]: _INSTRUCTIONS[pickle.APPENDS[0]],
        pickle.REDUCE[0]: _reduce,
        pickle.NEWOBJ[0]: _new,
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.BINPERSID[0]: _persistent,
    }


class PickleModule:
    """What ``torch.load`` takes for the module ``pickle``, for one file.

    Args:
        room: most bytes that all storages together may claim, so that nothing is allocated for a lie.
        sizes: bytes of each storage, where the layout tells them.
    """

    __name__ = "pickle"

    def __init__(self, room: int, sizes: Mapping[str, int]) -> None:
        allowed = {"claim": self._claim, "dispatch": Counted(RestrictedUnpickler.dispatch)}
        self.Unpickler = type("Unpickler", (RestrictedUnpickler,), allowed)
        self._room, self._sizes = room, sizes
        self._claimed: dict[str, int] = {}
        self._loaded = 0

    def _claim(self, key: str, size: int) -> None:
        if key not in self._claimed:
            self._room -= size
        if not 0 <= size <= self._sizes.get(key, size) or self._room < 0 or self._claimed.setdefault(key, size) != size:
            raise ArtifactError("truncated or damaged: it holds less than a tensor's storage claims", AGAIN)

    def load(self, file: BinaryIO, **options: Any) -> Any:
        """Reads one of the four pickles around the legacy layout's network; the last one names all storages."""
        value = self.Unpickler(file, **options).load()
        self._loaded += 1
        if self._loaded == 4:
            listed = isinstance(value, list) and all(type(name) is str for name in value)
            if not listed or set(value) != self._claimed.keys():
                raise ArtifactError("damaged: it does not list its storages", AGAIN)
        return value
