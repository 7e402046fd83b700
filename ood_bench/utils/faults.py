"""What pydantic finds wrong with a config, as text."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from ood_bench.utils.suggest import did_you_mean

_LONGEST = 60
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
_EMPTY = "must not be empty"
_WITHOUT_VALUE = ("missing", "value_error")


def faults(error: ValidationError, known: Iterable[str] = (), most: int = 8) -> str:
    """All faults in one line: ``key: what is wrong, is value; …``.

    Args:
        error: what pydantic raised.
        known: the keys that there are, dotted where they are nested; the nearest is named for an unknown one.
        most: how many faults are written out.
    """
    found = error.errors(include_url=False, include_context=False)
    texts = [_fault(one, known) for one in found[:most]]
    return "; ".join([*texts, f"and {len(found) - most} more"] if len(found) > most else texts)


def has_unknown_key(error: ValidationError) -> bool:
    """Whether one of the faults is a key that does not exist."""
    return any(one["type"] in _UNKNOWN for one in error.errors(include_url=False))


def _fault(one: Any, known: Iterable[str]) -> str:
    place, message = ".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")
    if one["type"] == "json_invalid":
        return f"not whole JSON ({message.removeprefix('Invalid JSON: ')})"
    if one["type"] in _UNKNOWN:
        return f"{place}: unknown key{did_you_mean(place, known)}"
    if one["type"] == "string_pattern_mismatch" and not one["input"].strip():
        message = _EMPTY
    text = f"{place}: {message[0].lower()}{message[1:]}" if place else message
    if one["type"] in _WITHOUT_VALUE or message == _EMPTY:
        return text
    value = repr(one["input"])
    return f"{text}, is {value if len(value) <= _LONGEST else value[: _LONGEST - 3] + '...'}"
