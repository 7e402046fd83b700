"""What a checkpoint's pickle may mention, and what its calls stand for. Nothing that it names is ever imported.

Since the interpreter can run nothing, this is about telling a network from an attack: a file that mentions the
standard library, or calls anything but classes, is not what it claims to be, and is refused with that reason.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from ood_bench.checkpoints.inert import Inert, Name
from ood_bench.errors import ArtifactError

# Modules of Python 2 that are gone, or go by another name.
_PYTHON_2 = frozenset({"__builtin__", "copy_reg", "commands", "cPickle", "cStringIO", "popen2", "urllib2"})
_STANDARD_LIBRARY = sys.stdlib_module_names | _PYTHON_2

# Names outside torch's classes that honest checkpoints hold; a call of one of them leaves an inert record.
_RECORDED = frozenset(
    {
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
)


def _first(args: tuple[Any, ...]) -> Any:
    return args[0]


def _listed(args: tuple[Any, ...]) -> list[Any]:
    return list(*args)


def _mapping(args: tuple[Any, ...]) -> dict[str, Any]:
    """Python 3 fills an ordered dictionary after making it, Python 2 made it of a list of pairs."""
    pairs = args[0] if args else []
    return {key: value for key, value in pairs if isinstance(key, str)}


def _latin1(args: tuple[Any, ...]) -> bytes:
    text, encoding = args
    if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
        raise ArtifactError("its pickle encodes text in an unusual way: it is refused")
    return text.encode("latin-1")


_Maker = Callable[[tuple[Any, ...]], Any]
_DATA: Mapping[str, _Maker] = {
    "collections.OrderedDict": _mapping,
    "_codecs.encode": _latin1,
    "torch.Size": lambda args: tuple(args[0]),
    "torch.nn.parameter.Parameter": _first,
    "torch.autograd.variable.Variable": _first,
    "torch._utils._rebuild_parameter": _first,
    **{f"{module}.{kind}": _listed for module in ("builtins", "__builtin__") for kind in ("set", "frozenset")},
}


def admit(name: Name) -> None:
    """Refuses names of the standard library, but for a few that are data.

    Raises:
        ArtifactError: if the name is refused.
    """
    known = name.dotted in _DATA or name.dotted in _RECORDED
    if name.module.split(".")[0] in _STANDARD_LIBRARY and not known:
        raise ArtifactError(
            f"its pickle mentions {name.dotted}, which no network needs and which could run commands if it were loaded "
            "the usual way. Nothing of it was run. Ask its authors for a plain state dict, or for safetensors"
        )


def constructor(tensors: Mapping[str, _Maker]) -> Callable[[Name, tuple[Any, ...]], Any]:
    """What stands for the result of a call that a pickle asks for.

    Args:
        tensors: for names of functions that rebuild tensors, what to make of their arguments.

    Returns:
        A function of name and arguments. It makes data for the few names that are data, inert records for classes
        (names spelled with a capital) and raises an :class:`ArtifactError` for every other function.
    """
    data = {**_DATA, **tensors}

    def construct(name: Name, args: tuple[Any, ...]) -> Any:
        if (make := data.get(name.dotted)) is not None:
            return make(args)
        last = name.qualname.rsplit(".", 1)[-1].lstrip("_")
        if name.dotted in _RECORDED or last[:1].isupper():
            return Inert(name, args)
        raise ArtifactError(
            f"its pickle wants to call the function {name.dotted}, which is not among those that checkpoints need. "
            "Nothing of it was run. Ask its authors for a plain state dict, or for safetensors"
        )

    return construct
