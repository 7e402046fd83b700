"""The two ends of a ladder: a cell as its record has it, or by another protocol."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.explain.cells import EXACT, PAPER, KeptCell, Pair, RowPair
from ood_bench.explain.rebuilt import Rebuilt, remembered
from ood_bench.methods.base import Setting
from ood_bench.protocols.base import Outcome, Protocol, build_protocol
from ood_bench.scoring.kept import NotKeptError
from ood_bench.utils.configs import config_files, searched
from ood_bench.utils.suggest import did_you_mean


@dataclass(frozen=True)
class End:
    """One evaluation of a cell.

    Attributes:
        cell: what is kept of it.
        title: the evaluation in words.
        convention: its metric convention.
        options: the convention's options.
        rows: which rows are scored.
        rows_in_words: the same in words.
        setting: the detector's setting; none for the record's own.
        precision: what is ranked.
        tuned_on: what the choice of the setting saw.
        ranked: the scores, where they cannot be had for other rows, as those of a regression.
        lacks: why the setting is the record's own where the protocol would choose one; empty where it does not.
        recorded: whether the record holds this evaluation.
    """

    cell: KeptCell
    title: str
    convention: str
    options: Mapping[str, Any]
    rows: RowPair
    rows_in_words: str
    setting: Setting | None
    precision: str
    tuned_on: str = "nothing"
    ranked: Pair | None = None
    lacks: str = ""
    recorded: bool = False

    @property
    def values(self) -> Setting:
        """The detector's setting; empty where it has none beside its hyperparameters."""
        return self.cell.setting if self.setting is None else self.setting

    def setting_in_words(self, names: Iterable[str] = ()) -> str:
        """The setting, with hyperparameters of these names, and what chose it."""
        configured = self.cell.record.hyperparameters
        setting = {name: configured[name] for name in names if name in configured} | dict(self.values)
        values = ", ".join(f"{name}={value}" for name, value in setting.items())
        return f"{values or 'as configured'} (tuned on {self.tuned_on})"


def protocol_named(words: str, classes: int, paper: str = "", own: Sequence[Path] = ()) -> Protocol:
    """The protocol of ``NAME[:TUNE][,KEY=VALUE...]``, as in ``plain:per_set,id_rows=300``.

    Args:
        words: see above.
        classes: of the ID set.
        paper: a block whose config sets the protocol's options, if it is the block's.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is no such protocol, rule or option.
    """
    first, *rest = words.split(",")
    name, _, tune = first.partition(":")
    used, rule = _used_by(paper, own) if paper else ({}, "")
    if name == used.get("name"):
        node, tune = dict(used), tune or rule
    else:
        known = config_files("protocol", own)
        if name not in known:
            raise ConfigError(f"no protocol {name!r}{did_you_mean(name, known)}", f"known: {', '.join(known)}")
        file = OmegaConf.to_container(OmegaConf.load(known[name]), resolve=False)
        node = {str(key): value for key, value in file.items()}  # type: ignore[union-attr]
    if "classes" in node:
        node["classes"] = classes
    for word in rest:
        key, equals, _ = word.partition("=")
        if not equals:
            raise ConfigError(f"{words}: {word!r} is not KEY=VALUE", "write them as in odin,skip=0")
        node[key] = OmegaConf.from_dotlist([word])[key]
    return build_protocol(node, tune or "published")


def _used_by(paper: str, own: Sequence[Path]) -> tuple[dict[str, Any], str]:
    """Options of the protocol that a block uses, and its tuning rule."""
    settings = compose_settings([*searched(own), f"paper={paper}"])
    return settings.protocol, settings.tune.name


def own_end(cell: KeptCell, protocol: Protocol) -> End:
    """The evaluation that the record holds.

    Args:
        cell: the cell.
        protocol: the record's protocol; the rows are those of the score file where there is one.
    """
    how = cell.record.evaluation
    rows = cell.file.rows if cell.file is not None else _rows(cell, protocol)
    title = f"{cell.record.protocol}, as recorded"
    end = End(
        cell, title, how.convention, {}, rows, how.rows, None, cell.precision(protocol), how.tuned_on, recorded=True
    )
    return _with_options(end, protocol)


def end_by(cell: KeptCell, protocol: Protocol, words: str) -> End:
    """The evaluation by another protocol than the record's: its rows, its choice of a setting, its convention.

    Raises:
        ConfigError: if the protocol refuses the sets.
    """
    inside, outside = remembered(cell.record.data.id_test), remembered(cell.record.data.ood)
    protocol.attach({cell.record.ood: outside})
    protocol.check_sets(inside, outside)
    rows = _rows(cell, protocol)
    count = f"{len(rows[0]):,} ID and {len(rows[1]):,} OOD rows of {words}"
    end = End(cell, words, protocol.convention, {}, rows, count, None, cell.precision(protocol))
    if isinstance(cell.banks, Rebuilt):
        try:
            protocol.check(cell.record.method, cell.detector)
            outcome = protocol.run(cell.record.method, cell.detector, *_stage(cell.banks))
            return _of_outcome(end, outcome)
        except (NotKeptError, ConfigError) as error:  # nothing chooses among settings, or not from what is kept
            end = replace(end, lacks=f"the setting by {words}: {error.message}")
    return _with_options(end, protocol)


def _stage(banks: Rebuilt) -> tuple[Any, Any, Any]:
    banks.fit()
    return banks.scorer, banks.test, banks.ood


def _rows(cell: KeptCell, protocol: Protocol) -> RowPair:
    """The rows that a protocol scores."""
    sets = remembered(cell.record.data.id_test), remembered(cell.record.data.ood)
    views = protocol.scored(cell.record.method, cell.detector, *sets)
    inside, outside = (np.arange(len(view)) if view.rows is None else view.rows for view in views)
    return inside, outside


def _of_outcome(end: End, outcome: Outcome) -> End:
    """The end with what a protocol has found, which other rows can be scored by if whole sets give the same ranks."""
    rows = tuple(
        one if given is None else given
        for one, given in zip(end.rows, (outcome.id_rows, outcome.ood_rows), strict=True)
    )
    ranked = outcome.convention_scores or (outcome.id_scores, outcome.ood_scores)
    setting = None if dict(outcome.setting) == dict(end.cell.setting) else dict(outcome.setting)
    found = replace(
        end,
        options=outcome.convention_options,
        rows=(rows[0], rows[1]),
        rows_in_words=outcome.rows,
        setting=setting,
        tuned_on=outcome.tuned_on,
    )
    same = [_equal] if found.options else [_equal, _alike]  # options say a grid, for which ranks are not enough
    for close, precision in itertools.product(same, (EXACT, PAPER)):
        if close(ranked, end.cell.known(setting, precision).at(found.rows)):
            return replace(found, precision=precision)
    return replace(found, precision=f"as {end.title} ranks them", ranked=ranked)


def _equal(one: Pair, other: Pair) -> bool:
    return all(np.array_equal(*sides) for sides in zip(one, other, strict=True))


def _alike(one: Pair, other: Pair) -> bool:
    """Whether two pairs of scores rank rows in the same way, ties included."""
    first, second = (np.unique(np.concatenate(pair), return_inverse=True)[1] for pair in (one, other))
    return bool(np.array_equal(first, second))


def _with_options(end: End, protocol: Protocol) -> End:
    """The end with its convention's options, which may depend on the scores."""
    cell = end.cell
    try:
        ranked = cell.known(end.setting, end.precision).at(end.rows)
    except NotKeptError:
        try:
            exact = cell.known(end.setting, EXACT).at(end.rows)
        except NotKeptError:
            exact = cell.known(None, EXACT).scores
        ranked = (np.exp(np.minimum(exact[0], 0)), np.exp(np.minimum(exact[1], 0)))
    return replace(end, options=protocol.convention_options(cell.record.method, cell.setting, ranked))
