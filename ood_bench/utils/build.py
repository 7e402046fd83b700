"""Makes the object that a config describes: a detector, a protocol, an image source, a recipe, a loss, a network."""

import functools
import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, TypeVar

from hydra.utils import get_class
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ood_bench.errors import ConfigError
from ood_bench.utils.faults import faults, has_unknown_key
from ood_bench.utils.source import own_source

Built = TypeVar("Built")


class Strict:
    """Base of the dataclasses that configs describe: :func:`build` refuses unknown keys, NaN and infinities."""

    __pydantic_config__: ClassVar[ConfigDict] = {"extra": "forbid", "allow_inf_nan": False}


def build(what: str, base: type[Built], config: Mapping[str, Any], **given: Any) -> Built:
    """Makes the object that a config describes.

    Fields of dataclasses are checked against their types; other classes check their own arguments.

    Args:
        what: what it is, for messages, as in ``"method odin"``.
        base: the object's class, or a base of it where the config names the class.
        config: the fields, and ``_target_`` with the class's import path if it is not ``base`` itself.
        given: arguments that are not the config's to choose.

    Raises:
        ConfigError: if the class is unknown or not a ``base``, a key is unknown, or a value has the wrong type.
    """
    options = {**{str(key): value for key, value in config.items() if key != "_target_"}, **given}
    names_class = "_target_" in config or inspect.isabstract(base)
    target = _class_of(what, base, config.get("_target_")) if names_class else base
    if is_dataclass(target):
        return _checked(what, target, options)
    try:
        return target(**options)
    except (LookupError, TypeError, ValueError, RuntimeError, AssertionError, AttributeError) as error:
        raise ConfigError(f"{what}: cannot build {target.__module__}.{target.__qualname__}: {error}") from error


def _class_of(what: str, base: type[Built], path: Any) -> type[Built]:
    try:
        target: Any = get_class(path)
    except (AttributeError, ImportError, TypeError, ValueError) as error:
        raise ConfigError(f"{what}: cannot find the class {path}: {error}") from error
    if not issubclass(target, base):
        raise ConfigError(f"{what}: {path} is not a subclass of {base.__module__}.{base.__qualname__}")
    own_source([target])  # its files are looked at now, as they were just imported
    return target


@functools.lru_cache(maxsize=256)
def _adapter(target: Any) -> TypeAdapter[Any]:
    """What checks the fields of a dataclass; making it takes ten times as long as a check."""
    return TypeAdapter(target)


def _checked(what: str, target: Any, options: Mapping[str, Any]) -> Any:
    try:
        return _adapter(target).validate_python(options)
    except ValidationError as error:
        known = [item.name for item in fields(target) if item.init]
        listed = f" (known keys: {', '.join(known) or 'none'})" if has_unknown_key(error) else ""
        raise ConfigError(f"{what}: {faults(error, _keys(target))}{listed}") from error


def _keys(target: Any, place: str = "") -> set[str]:
    """Names of a dataclass's fields, and dotted ones of the fields of the dataclasses that are its fields."""
    items = [item for item in fields(target) if item.init]
    nested = (_keys(item.type, f"{place}{item.name}.") for item in items if is_dataclass(item.type))
    return {f"{place}{item.name}" for item in items}.union(*nested)
