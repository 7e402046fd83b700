"""Makes the object that a config file describes: a detector, a protocol."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from hydra.utils import get_class
from pydantic import TypeAdapter, ValidationError

from ood_bench.errors import ConfigError, faults

Built = TypeVar("Built")


def build(what: str, base: type[Built], config: Mapping[str, Any]) -> Built:
    """Makes the dataclass object that a config file describes.

    Args:
        what: what it is, for messages, as in ``"method odin"``.
        base: the class that ``_target_`` must be derived from.
        config: ``_target_`` and the fields.

    Raises:
        ConfigError: if the class is unknown or not a ``base``, a key is unknown, or a value has the wrong type.
    """
    options = {key: value for key, value in config.items() if key != "_target_"}
    try:
        target: Any = get_class(config["_target_"])
    except (ImportError, KeyError, ValueError) as error:
        raise ConfigError(f"{what}: cannot find the class {config.get('_target_')}: {error}") from error
    if not issubclass(target, base):
        named = f"{base.__module__}.{base.__qualname__}"
        raise ConfigError(f"{what}: {config['_target_']} is not a subclass of {named}")
    try:
        return TypeAdapter(target).validate_python(options)  # type: ignore[no-any-return]
    except ValidationError as error:
        known = ", ".join(item.name for item in fields(target) if item.init)
        raise ConfigError(f"{what}: {faults(error)} (known keys: {known or 'none'})") from error
