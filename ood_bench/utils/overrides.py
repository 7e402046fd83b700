"""The command line's overrides over what else changes a composed config."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf._utils import split_key

from ood_bench.errors import ConfigError

_ABSENT = object()


def changed_below(composed: Mapping[str, Any], changes: Iterable[tuple[str, Any]], overrides: Sequence[str]) -> Any:
    """A composed config with changes laid over it, and the keys that the command line names over those.

    Args:
        composed: nested mappings and lists, with the overrides in them.
        changes: dotted keys with their new values, which replace the old ones as a whole.
        overrides: the command line's overrides; a key that they name keeps its value in ``composed``.

    Raises:
        ConfigError: if a key names an element that its list does not have.
    """
    after = copy.deepcopy(dict(composed))
    for key, value in changes:
        try:
            _set(after, split_key(key), value)
        except (IndexError, ValueError) as error:
            message = f"configuration: {key}: its list has no such element"
            raise ConfigError(message, "give the whole list, or the number of an element, from 0") from error
    for key in named_keys(overrides):
        if key.split(".")[0] in composed:
            _take_back(composed, after, split_key(key))
    return after


def named_keys(overrides: Sequence[str]) -> Iterator[str]:
    """The dotted keys that overrides set.

    ``method=odin`` only selects. ``method.odin={temperatures: [2]}`` names ``method.odin.temperatures``, because Hydra
    merges mappings. ``ood@method.eloc.validation=isun`` names all of ``method.eloc.validation``.
    """
    for one in OverridesParser.create().parse_overrides(list(overrides)):
        key = one.package or one.key_or_group
        if "." in key:
            yield from (place for place, _ in leaves(one.value(), key, dict))


def leaves(node: Any, place: str = "", nested: Any = (dict, list)) -> Iterator[tuple[str, Any]]:
    """Every value in nested containers of some kinds, with its dotted place."""
    if not isinstance(node, nested):
        yield place, node
        return
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield from leaves(value, f"{place}.{key}" if place else str(key), nested)


def _take_back(source: Any, target: Any, path: Sequence[str]) -> None:
    """Sets a place of ``target`` to its value in ``source``, or removes it if ``source`` has none."""
    value = _at(source, path)
    if value is not _ABSENT:
        _set(target, path, copy.deepcopy(value))
    elif isinstance(holder := _at(target, path[:-1]), dict):  # else the whole node was deselected
        holder.pop(path[-1], None)


def _set(node: Any, path: Sequence[str], value: Any) -> None:
    """Sets a place in nested mappings and lists; mappings that lead there are made where they are missing."""
    for step in path[:-1]:
        if not isinstance(_at(node, [step]), dict | list):
            node[_index(node, step)] = {}
        node = node[_index(node, step)]
    node[_index(node, path[-1])] = value


def _at(node: Any, path: Sequence[str]) -> Any:
    """What lies at a place, or ``_ABSENT``."""
    for step in path:
        try:
            node = node[_index(node, step)]
        except (KeyError, IndexError, TypeError, ValueError):
            return _ABSENT
    return node


def _index(node: Any, step: str) -> Any:
    """A step of a place as its container takes it: a number for lists, and whatever key reads so for mappings."""
    if isinstance(node, list):
        return int(step)
    return step if step in node else next((key for key in node if str(key) == step), step)
