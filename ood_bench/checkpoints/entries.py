"""Which of the networks in a checkpoint's file is read, and which others it holds."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ood_bench.checkpoints.unpickle import Inert
from ood_bench.errors import ArtifactError
from ood_bench.utils.suggest import did_you_mean

# Under which of its keys a training script puts the network, in the order of trust; the second row's only where there
# is no other, because averaged weights lie beside those that were trained.
_NESTS = ("state_dict", "model_state_dict", "net", "model", "network", "backbone", "params")
_LATER = ("weights", "module", "state_dict_ema", "ema_state_dict", "model_ema", "ema_model", "ema", "params_ema")
_DEEPEST, _MOST_PLACES, _LONGEST_KEY = 8, 1000, 100
_MOST_LETTERS = 10_000_000  # of all names in a module, so that a small file does not fill the memory
_LISTED = 12


@dataclass(frozen=True)
class Contents:
    """A network that was read from a file.

    Attributes:
        tensors: its tensors, by the names of the file.
        entry: keys that lead to it, joined by dots; empty if the whole file is one network.
        others: entries that hold other networks, or what looks like one.
    """

    tensors: dict[str, Tensor]
    entry: str
    others: tuple[str, ...]


def find_network(tree: Any, entry: str | None = None) -> Contents:
    """Finds a network in what a file holds.

    Args:
        tree: mappings, tensors and inert records.
        entry: keys, joined by dots, of where to look; none to look where training scripts put it.

    Raises:
        ArtifactError: if there is none, or no such entry.
    """
    places = _places(tree)
    networks = [path for path, node in places.items() if path and "optim" not in path and _size(node)]
    if entry is not None and entry not in places:
        known = f"it holds {', '.join(networks[:_LISTED])}" if networks else "it holds a single network"
        raise ArtifactError(f"no entry {entry}{did_you_mean(entry, networks)}; {known}")
    path, node = _descend(entry or "", tree if entry is None else places[entry], networks)
    tensors = _of_module(node) if isinstance(node, Inert) else _direct(node)
    enough = len(tensors) / 2
    others = [one for one in networks if places[one] is not node and _size(places[one]) >= enough]
    return Contents(tensors, path, tuple(others))


def _places(tree: Any) -> dict[str, Any]:
    """What could hold a network, by its keys joined by dots, the outer ones first; looked into once if held twice."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    pending: deque[tuple[tuple[str, ...], Any]] = deque([((), tree)])
    while pending and len(found) < _MOST_PLACES:
        path, node = pending.popleft()
        if not isinstance(node, Mapping | Inert):
            continue
        found.setdefault(".".join(path), node)
        if isinstance(node, Mapping) and id(node) not in seen and len(path) < _DEEPEST:
            seen.add(id(node))
            pending.extend(((*path, key), value) for key, value in node.items() if len(key) < _LONGEST_KEY)
    return found


def _direct(node: Any) -> dict[str, Tensor]:
    return {key: value for key, value in node.items() if isinstance(value, Tensor)}


def _size(node: Any) -> float:
    """Number of tensors of more than one value right in a mapping or pickled module; endless for one with parts."""
    if not isinstance(node, Inert):
        return sum(value.ndim > 0 for value in _direct(node).values())
    state = node.state if isinstance(node.state, dict) else {}
    parts = [*_items(state.get("_parameters")), *_items(state.get("_buffers"))]
    return math.inf if state.get("_modules") else sum(isinstance(value, Tensor) for _, value in parts)


def _descend(path: str, tree: Any, networks: list[str]) -> tuple[str, Any]:
    """Where training scripts put the network below an entry: the path and what lies there."""
    for _ in range(_DEEPEST):
        if isinstance(tree, Inert):
            return path, tree
        if not isinstance(tree, Mapping):
            break
        known = _NESTS if _size(tree) else (*_NESTS, *_LATER)
        nests = {f"{path}.{key}" if path else key: key for key in known if isinstance(tree.get(key), Mapping | Inert)}
        full = [one for one in nests if any(f"{name}.".startswith(f"{one}.") for name in networks)]
        if not nests:
            if _direct(tree):
                return path, tree
            raise ArtifactError(_nothing(tree, networks))
        path = (full or list(nests))[0]
        tree = tree[nests[path]]
    raise ArtifactError(f"holds a {type(tree).__name__}, not the weights of a network")


def _nothing(tree: Mapping[str, Any], networks: list[str]) -> str:
    keys = ", ".join(f"{key:.40}" for key in list(tree)[:_LISTED])
    message = f"no tensors under any of {', '.join(_NESTS)}; its keys: {keys or 'none'}"
    named = ", ".join(networks[:_LISTED])
    return f"{message}. Networks lie under {named}: choose one by --entry (checkpoint_entry)" if networks else message


def _of_module(root: Inert) -> dict[str, Tensor]:
    """State dict of a pickled module, from the dictionaries that every torch module keeps its parts in."""
    found: dict[str, Tensor] = {}
    pending, letters = [("", root)], 0
    while pending:
        prefix, module = pending.pop()
        state = module.state if isinstance(module.state, dict) else {}
        parts = [*_items(state.get("_parameters")), *_items(state.get("_buffers"))]
        children = _items(state.get("_modules"))
        letters += sum(len(prefix) + len(name) + 1 for name, _ in [*parts, *children])
        if letters > _MOST_LETTERS:
            raise ArtifactError(f"holds names of more than {_MOST_LETTERS} letters, or a module that holds itself")
        found |= {f"{prefix}{name}": value for name, value in parts if isinstance(value, Tensor)}
        pending += [(f"{prefix}{name}.", child) for name, child in reversed(children) if isinstance(child, Inert)]
    if not found:
        raise ArtifactError(f"holds an object of {root.name.dotted} without any weights")
    return found


def _items(part: Any) -> list[tuple[str, Any]]:
    return list(part.items()) if isinstance(part, dict) else []
