"""An interpreter of pickles that can only make data: it imports nothing, calls nothing and sets no attribute.

Python's own unpickler calls whatever a file names. This one keeps names as text and objects as
records (:mod:`ood_bench.checkpoints.inert`); the only code that a file can set off is what the caller passes in.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from ood_bench.checkpoints.inert import Inert, Name
from ood_bench.errors import ArtifactError

# fmt: off
_LITERALS = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
})
# fmt: on
_EMPTY: Mapping[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # no set is looked at, and hashing what a file holds can take for ever
}


Construct = Callable[[Name, tuple[Any, ...]], Any]
Persistent = Callable[[Any], Any]


class Interpreter:
    """Turns pickles into plain data, names and inert records; one method for each instruction that is understood.

    Args:
        admit: raises on a name that must not even be mentioned.
        construct: makes the data that stand for the result of calling a name; raises if the call is refused.
        persistent: what a persistent id stands for.
    """

    def __init__(self, admit: Callable[[Name], None], construct: Construct, persistent: Persistent) -> None:
        self._admit, self._construct, self._persistent = admit, construct, persistent
        self._stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self, file: BinaryIO) -> Any:
        """Reads one pickle, and leaves ``file`` right behind it.

        Raises:
            ArtifactError: if the pickle is truncated or malformed, or wants something that is refused.
        """
        self._stack, self._marked, self._memo = [], [], {}
        try:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "STOP":
                    return self._stack.pop()
                self._step(opcode.name, argument)
        except (ValueError, TypeError, LookupError, OverflowError, MemoryError, RecursionError) as error:
            raise ArtifactError(f"truncated or damaged ({error}): download it again") from error
        raise ArtifactError("truncated (its pickle has no end): download it again")

    def _step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            self._stack.append(argument)
        elif opcode in _EMPTY:
            self._stack.append(_EMPTY[opcode]())
        elif (handler := getattr(self, f"_op_{opcode.lower()}", None)) is not None:
            handler(argument)
        else:
            raise ArtifactError(f"its pickle uses the instruction {opcode}, which no checkpoint needs: it is refused")

    def _op_proto(self, _version: int) -> None: ...

    def _op_frame(self, _size: int) -> None: ...

    def _op_mark(self, _: None) -> None:
        self._marked.append(self._stack)
        self._stack = []

    def _pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marked.pop()
        return items

    def _op_pop_mark(self, _: None) -> None:
        self._pop_mark()

    def _op_pop(self, _: None) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def _op_dup(self, _: None) -> None:
        self._stack.append(self._stack[-1])

    def _op_put(self, index: int | None) -> None:
        self._memo[len(self._memo) if index is None else index] = self._stack[-1]

    _op_binput = _op_long_binput = _op_memoize = _op_put

    def _op_get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    _op_binget = _op_long_binget = _op_get

    def _op_list(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def _op_tuple(self, _: None) -> None:
        items = tuple(self._pop_mark())
        self._stack.append(items)

    def _tuple_of(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise IndexError("a tuple of values that are not there")
        self._stack[-count:] = [items]

    def _op_tuple1(self, _: None) -> None:
        self._tuple_of(1)

    def _op_tuple2(self, _: None) -> None:
        self._tuple_of(2)

    def _op_tuple3(self, _: None) -> None:
        self._tuple_of(3)

    def _op_dict(self, _: None) -> None:
        flat = self._pop_mark()
        self._stack.append({})
        self._set_items(flat)

    def _op_frozenset(self, _: None) -> None:
        items = self._pop_mark()
        self._stack.append(items)  # nothing here needs its uniqueness

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, Inert):
            target.items.extend(items)
        else:
            raise TypeError(f"items appended to a {type(target).__name__}")

    def _op_append(self, _: None) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _op_appends(self, _: None) -> None:
        items = self._pop_mark()
        self._extend(items)

    _op_additems = _op_appends

    def _set_items(self, flat: list[Any]) -> None:
        target, pairs = self._stack[-1], list(zip(flat[::2], flat[1::2], strict=True))
        if any(isinstance(key, tuple | frozenset) for key, _ in pairs):
            raise TypeError("a key that is no plain value")  # hashing tuples in tuples in tuples can take for ever
        if isinstance(target, dict):
            target.update(pairs)
        elif isinstance(target, Inert):
            target.items.extend(pairs)
        else:
            raise TypeError(f"items set in a {type(target).__name__}")

    def _op_setitem(self, _: None) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _op_setitems(self, _: None) -> None:
        flat = self._pop_mark()
        self._set_items(flat)

    def _named(self, module: Any, qualname: Any) -> Name:
        if not isinstance(module, str) or not isinstance(qualname, str):
            raise TypeError("a name that is not text")
        name = Name(module, qualname)
        self._admit(name)
        return name

    def _op_global(self, both: str) -> None:
        self._stack.append(self._named(*both.split(" ", 1)))

    def _op_stack_global(self, _: None) -> None:
        qualname, module = self._stack.pop(), self._stack.pop()
        self._stack.append(self._named(module, qualname))

    def _call(self, name: Any, args: Any) -> None:
        if not isinstance(name, Name):
            raise ArtifactError(f"its pickle calls a {type(name).__name__}, which is no name: it is refused")
        if not isinstance(args, tuple | list):
            raise TypeError("arguments that are no tuple")
        self._stack.append(self._construct(name, tuple(args)))

    def _op_reduce(self, _: None) -> None:
        args, name = self._stack.pop(), self._stack.pop()
        self._call(name, args)

    def _op_inst(self, both: str) -> None:
        args = self._pop_mark()
        self._call(self._named(*both.split(" ", 1)), args)

    def _op_obj(self, _: None) -> None:
        name, *args = self._pop_mark()
        self._call(name, args)

    def _op_newobj(self, _: None) -> None:
        args, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, Name):
            raise ArtifactError(f"its pickle makes an object of a {type(name).__name__}, no name: it is refused")
        self._stack.append(Inert(name, tuple(args)))

    def _op_newobj_ex(self, _: None) -> None:
        self._stack.pop()  # keyword arguments
        self._op_newobj(None)

    def _op_build(self, _: None) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Name):
            raise ArtifactError(f"its pickle wants to change {target.dotted} itself: it is refused")
        if isinstance(target, Inert):
            target.state = state  # the state of anything else (metadata of a dictionary, flags of a tensor) is dropped

    def _op_persid(self, identity: str) -> None:
        self._stack.append(self._persistent(identity))

    def _op_binpersid(self, _: None) -> None:
        identity = self._stack.pop()
        self._stack.append(self._persistent(identity))
