"""The command line's overrides over what else changes a composed config."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

_ABSENT = object()


def changed_below(composed: Mapping[str, Any], changes: Iterable[tuple[str, Any]], overrides: Sequence[str]) -> Any:
    """A composed config with changes laid over it, and the keys that the command line names over those.

    Args:
        composed: nested mappings and lists, with the overrides in them.
        changes: dotted keys with their new values, which replace the old ones as a whole.
        overrides: the command line's overrides; a key that they name keeps its value in ``composed``.
    """
    before, after = OmegaConf.create(dict(composed)), OmegaConf.create(dict(composed))
    for key, value in changes:
        OmegaConf.update(after, key, value, merge=False, force_add=True)
    for key in named_keys(overrides):
        if key.split(".")[0] in composed:
            _copy(key, before, after)
    return OmegaConf.to_container(after)


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


def _copy(key: str, source: DictConfig, target: DictConfig) -> None:
    """Sets a dotted key of ``target`` to its value in ``source``, or removes it if ``source`` has none."""
    value = OmegaConf.select(source, key, default=_ABSENT)
    parent, _, last = key.rpartition(".")
    if value is not _ABSENT:
        OmegaConf.update(target, key, value, merge=False, force_add=True)
    elif (holder := OmegaConf.select(target, parent)) is not None:  # none where the whole node was deselected
        holder.pop(last, None)
