"""Settings that only some jobs of a sweep know: of methods and OOD sets, or of what a swept paper selects."""

from collections.abc import Sequence

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from ood_bench.utils.compose import parsed

Words = Sequence[str]
_GROUPS = ("method", "ood")
_WHOLE = ("paper", "experiment")
_OF_WHOLE = ("id", "model", "protocol", "train", "tune")
"""Groups of which a paper or experiment selects an option."""
_NULL = "__null__"
"""Stands for null, which Hydra's ``choice`` does not take."""


def for_jobs_only(words: Words) -> list[str]:
    """A sweep's overrides, with settings that may be unknown without the swept values as ``choice(VALUE)``.

    Hydra first composes a configuration without the swept values, in which ``method=msp,energy`` selects neither, and
    ``paper=one,other`` no protocol. A choice of one value is swept, too, and so reaches the jobs only.
    """
    found = [_parsed(word) for word in words]
    swept = {one.key_or_group for one in found if one is not None and one.is_sweep_override()}
    groups = (*_GROUPS, *_OF_WHOLE) if swept & {*_WHOLE} else _GROUPS
    return [word if one is None else _as_choice(word, one, groups) for word, one in zip(words, found, strict=True)]


def _parsed(word: str) -> Override | None:
    try:
        return parsed(word)
    except HydraException:  # Hydra says what is wrong with it
        return None


def _as_choice(word: str, override: Override, groups: Words) -> str:
    if override.is_delete() or override.is_sweep_override() or not any(_node(group, override) for group in groups):
        return word
    value = _NULL if override.value() is None else override.get_value_element_as_str()
    return f"{override.get_key_element()}=choice({value})" if value else word


def for_selected(jobs: Sequence[Words]) -> list[Words]:
    """The jobs of :func:`for_jobs_only`, each without the settings of nodes that it does not select and another does.

    With ``method=msp,energy method.energy.temperature=2`` the job of MSP has no ``method.energy``.
    A job that does not choose on the command line keeps all: what a config selects for it is not known here.

    Args:
        jobs: overrides of every job.
    """
    found = [[parsed(word) for word in words] for words in jobs]
    for group in _GROUPS:
        selections = [_selected(group, overrides) for overrides in found]
        known = set[str]().union(*(names for names in selections if names is not None))
        found = [
            overrides if names is None else [one for one in overrides if _node(group, one) not in known - names]
            for names, overrides in zip(selections, found, strict=True)
        ]
    return [[_word(one) for one in overrides] for overrides in found]


def _word(override: Override) -> str:
    return f"{override.get_key_element()}=null" if override.value() == _NULL else str(override.input_line)


def _selected(group: str, overrides: Sequence[Override]) -> set[str] | None:
    """Names that a job's overrides select of a group; none if they select nothing."""
    chosen = [one.value() for one in overrides if one.key_or_group == group and one.package is None]
    if not chosen or chosen[-1] is None:
        return None
    return {str(name) for name in (chosen[-1] if isinstance(chosen[-1], list) else [chosen[-1]])}


def _node(group: str, override: Override) -> str | None:
    """The name in ``GROUP.NAME.key=value``; none for other overrides."""
    first, *rest = (override.package or override.key_or_group).split(".")
    return rest[0] if first == group and rest else None
