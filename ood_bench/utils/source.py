"""What keys hold of the code of classes from outside the package: a hash of the files that define them."""

import ast
import functools
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.utils import get_class

from ood_bench.utils.files import content_key

_RELEASED = frozenset({"ood_bench", "torch", "torchvision", "timm"})
"""Packages whose code no key holds: theirs has revisions and versions."""
_INSTALLED = frozenset({"site-packages", "dist-packages"})


def own_source(classes: Iterable[type]) -> dict[str, str]:
    """``source`` with 16 hex digits for a key; empty where all classes are released ones, or have no file.

    The files are that of the class, and those that it imports unless they were installed. They count as they were when
    the process first saw the class: a later edit changes neither what the process runs nor its keys.

    Args:
        classes: what computes the artifact.
    """
    files: dict[str, str] = {}
    for one in classes:
        files |= _files(one)
    return {"source": content_key(files)} if files else {}


def classes_in(config: Any) -> list[type]:
    """The classes that a config names as ``_target_``, at any depth; who builds them says which cannot be found."""
    if isinstance(config, Mapping):
        mine = _class_at(config["_target_"]) if "_target_" in config else []
        return mine + [one for value in config.values() for one in classes_in(value)]
    if isinstance(config, Sequence) and not isinstance(config, str | bytes):
        return [one for value in config for one in classes_in(value)]
    return []


def _class_at(path: Any) -> list[type]:
    try:
        return [get_class(path)]
    except (AttributeError, ImportError, TypeError, ValueError):
        return []


@functools.cache
def _files(target: type) -> Mapping[str, str]:
    """SHA-256 of the class's file and of those that it imports, by module."""
    name = target.__module__
    if name.partition(".")[0] in _RELEASED:
        return {}
    try:
        file = inspect.getsourcefile(target)
    except (OSError, TypeError):  # defined in a notebook, or at a prompt
        return {}
    found: dict[str, str] = {}
    waiting = [(name, Path(file))] if file and Path(file).is_file() else []
    while waiting:
        name, place = waiting.pop()
        if name not in found:
            content = place.read_bytes()
            found[name] = hashlib.sha256(content).hexdigest()
            package = name if place.name == "__init__.py" else name.rpartition(".")[0]
            waiting += [(one, path) for one in _imports(content, package) if (path := _own_file(one)) is not None]
    return found


def _imports(content: bytes, package: str) -> Iterator[str]:
    """Names of the modules that a file imports, and of what may be modules."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".") if node.level else []
            parents = parents[: len(parents) + 1 - node.level] if node.level else parents
            base = ".".join([*parents, *filter(None, [node.module])])
            yield base
            yield from (f"{base}.{item.name}" for item in node.names)


def _own_file(name: str) -> Path | None:
    """The file of a module that is neither installed nor part of Python; nothing is imported to find it."""
    top, *rest = name.split(".")
    if not top or top in _RELEASED or top in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    inside = [Path(folder).joinpath(*rest) for folder in spec.submodule_search_locations or ()]
    places = [file for path in inside for file in (path.with_name(f"{path.name}.py"), path / "__init__.py")]
    if not rest:
        places = [Path(spec.origin)] if spec.origin else []
    found = next((file for file in places if file.suffix == ".py" and file.is_file()), None)
    return None if found is None or _INSTALLED & set(found.parts) else found
