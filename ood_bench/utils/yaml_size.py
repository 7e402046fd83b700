"""YAML files: of bounded size, since aliases can stand for billions of values, and with errors that name the place."""

import functools
from typing import Any

import yaml  # type: ignore[import-untyped]
from omegaconf import _utils

from ood_bench.errors import ConfigError

MOST = 100_000
"""Values of one file, aliases counted as often as they are used; the largest shipped config has some hundreds."""


def bound_yaml() -> None:
    """Makes OmegaConf, and so Hydra, refuse files of more than :data:`MOST` values instead of expanding them for ever.

    OmegaConf has no setting for it. Its loader is asked for anew for each file, and this puts another in its place.
    """
    _utils.get_yaml_loader = _bounded_loader


_plain_loader = _utils.get_yaml_loader


@functools.cache
def _bounded_loader() -> Any:
    plain = _plain_loader()
    bases = (yaml.cyaml.CParser, plain) if yaml.__with_libyaml__ else (plain,)

    class Bounded(*bases):  # type: ignore[misc] # parsing in C takes an eighth of the time
        def __init__(self, stream: Any) -> None:
            bases[0].__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

        def get_single_node(self) -> Any:
            try:
                node = super().get_single_node()
            except yaml.MarkedYAMLError as error:
                mark = error.problem_mark or error.context_mark
                raise ConfigError(
                    f"{mark.name}, line {mark.line + 1}: no YAML: {error.problem or error.context}",
                    "write KEY: VALUE, with VALUE in quotes if it has one of : # { } [ ]",
                ) from error
            if node is not None and _size(node, {}) > MOST:
                raise ConfigError(
                    f"{node.start_mark.name}: its aliases (*name) stand for more than {MOST:,} values",
                    "write it without them, or with fewer",
                )
            return node

    return Bounded


def _size(node: Any, known: dict[int, float]) -> float:
    """Number of values below a node; infinite if it holds itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")
        inside = node.value if isinstance(node.value, list) else ()
        nodes = [one for pair in inside for one in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_size(one, known) for one in nodes)
    return known[id(node)]
