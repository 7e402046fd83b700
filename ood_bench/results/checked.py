"""Files below ``results`` as objects: quick where the content is right, every fault with its place where it is not."""

import json
import re
from collections.abc import Mapping
from functools import cache
from math import isfinite
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from ood_bench.results.schema import Part
from ood_bench.utils.suggest import did_you_mean

_LONGEST, _EMPTY = 60, "must not be empty"
_AT = re.compile(r" - at `.*`$", re.DOTALL)
_WANTED = re.compile(r"Expected `(.*?)`(, got .*| )?", re.DOTALL)
_TYPES = {
    "str": "a text",
    "int": "an integer",
    "float": "a number",
    "array": "a list",
    "bool": "true or false",
    "object": "an object",
}
_P = TypeVar("_P", bound=Part)
_Found = list[tuple[str, str]]


class ContentError(ValueError):
    """Content that is not what it should be.

    Attributes:
        found: the place and the fault in words, of every fault; the place is empty for the whole.
    """

    def __init__(self, found: _Found) -> None:
        super().__init__(found)
        self.found = found

    def text(self, most: int) -> str:
        """The first faults in one line, and how many more there are."""
        texts = [f"{place}: {text}" if place else text for place, text in self.found[:most]]
        return "; ".join([*texts, f"and {len(self.found) - most} more"] if len(self.found) > most else texts)

    def __str__(self) -> str:
        return self.text(len(self.found))


def decoded(content: bytes, kind: type[_P]) -> _P:
    """JSON text as an object of ``kind``.

    Raises:
        ContentError: if it is not JSON, or does not follow ``kind``.
    """
    try:
        return _decoder(kind).decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ContentError(_faults_of_text(content, kind) or [("", f"not whole JSON ({error})")]) from error


def checked(content: Mapping[str, Any], kind: type[_P]) -> _P:
    """A mapping as an object of ``kind``; what is in it may be mappings or parts.

    Raises:
        ContentError: if it does not follow ``kind``, a number is not finite, or a value has no place in JSON.
    """
    plain = _plain(content)
    if found := _faults(plain, kind, ""):
        raise ContentError(found)
    return msgspec.convert(plain, kind)


@cache
def _decoder(kind: type[_P]) -> msgspec.json.Decoder[_P]:
    return msgspec.json.Decoder(kind)


def _plain(value: Any) -> Any:
    """Parts as mappings, tuples as lists, NumPy's float64 as Python's, all the way down."""
    if isinstance(value, Part):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return float(value) if isinstance(value, float) else value


def _faults_of_text(content: bytes, kind: Any) -> _Found:
    try:
        plain = json.loads(content)  # which reads NaN, too
    except (ValueError, RecursionError) as error:
        return [("", f"not whole JSON ({error})")]
    return _faults(plain, kind, "")


def _faults(value: Any, kind: Any, place: str) -> _Found:
    """Every fault of a value of plain JSON types; outer ones only where there are no inner ones."""
    bare = _bare(kind)
    if value is None and bare is not kind and NoneType in get_args(kind):
        return []
    found: _Found = []
    if isinstance(value, dict) and isinstance(bare, type) and issubclass(bare, Part):
        found = _faults_of_part(value, bare, place)
    elif isinstance(value, dict) and get_origin(bare) is dict:
        of_keys, of_values = get_args(bare)
        for key, one in value.items():
            found += _faults(key, of_keys, _below(place, key)) or _faults(one, of_values, _below(place, key))
    elif isinstance(value, list) and get_origin(bare) is list:
        for number, one in enumerate(value):
            found += _faults(one, get_args(bare)[0], _below(place, number))
    elif isinstance(value, str) and (pattern := _pattern(kind)) and not re.fullmatch(pattern, value):
        found = [(place, f"must match {pattern}, is {_shown(value)}" if value.strip() else _EMPTY)]
    elif bare is Any:
        found = [(place, fault)] if (fault := _no_json(value)) else []
    elif isinstance(value, float) and not isfinite(value):
        found = [(place, f"must be a finite number, is {value}")]
    return found or _own_fault(value, kind, place)


def _faults_of_part(value: dict[str, Any], kind: type[Part], place: str) -> _Found:
    known = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    found: _Found = []
    for name, field in known.items():
        if name in value:
            found += _faults(value[name], field.type, _below(place, name))
        elif field.required:
            found.append((_below(place, name), "field required"))
    unknown = [key for key in value if key not in known]
    return found + [(_below(place, key), f"unknown key{did_you_mean(str(key), known)}") for key in unknown]


def _own_fault(value: Any, kind: Any, place: str) -> _Found:
    """What is wrong with a value as a whole."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = _AT.sub("", str(error))
    else:
        return []
    if not (wanted := _WANTED.match(text)):
        return [(place, f"{text[0].lower()}{text[1:]}")]
    if isinstance(value, str) and not value.strip():
        return [(place, _EMPTY)]
    types = " or ".join(_TYPES.get(one, one) for one in wanted[1].split(" | "))
    rest = "" if wanted[2] and wanted[2].startswith(",") else text[wanted.end(1) + 1 :]
    return [(place, f"must be {types}{rest}, is {_shown(value)}")]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _no_json(value: Any) -> str:
    """Why a value, or one inside it, has no place in JSON."""
    if isinstance(value, dict):
        if strange := [key for key in value if not isinstance(key, str)]:
            return f"a key must be a text, is {strange[0]!r}"
        return next(filter(None, map(_no_json, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_no_json, value)), "")
    if isinstance(value, float):
        return "" if isfinite(value) else "holds NaN or an infinity; write null or leave the key out"
    return "" if value is None or isinstance(value, (str, int)) else f"{type(value).__name__} has no place in JSON"


def _bare(kind: Any) -> Any:
    """A type without its limits and without none."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    some = [one for one in get_args(kind) if one is not NoneType]
    return _bare(some[0]) if NoneType in get_args(kind) and len(some) == 1 else kind


def _pattern(kind: Any) -> str:
    """The pattern in the ``extra`` of a type's limits, if there is one."""
    if get_origin(kind) is Annotated:
        return next((one.extra["pattern"] for one in get_args(kind)[1:] if one.extra), "")
    return next(filter(None, map(_pattern, get_args(kind))), "") if NoneType in get_args(kind) else ""


def _below(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)
