"""Notes of people on single cells: ``notes.yaml`` in a results folder, shown with the cells that they are about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ood_bench.errors import ConfigError
from ood_bench.report.format import metric_title
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section
from ood_bench.utils.faults import faults
from ood_bench.utils.suggest import did_you_mean

FILE = "notes.yaml"
"""Its name in a results folder."""
_ANY = "*"


class Note(BaseModel):
    """What somebody found out about some cells; patterns are those of file names, ``*`` stands for anything.

    Attributes:
        block: name of the paper's block; cells beyond the paper's table belong to it, too.
        model: model name.
        id: name of the ID set, or its title in tables.
        protocol: protocol name.
        method: method name.
        ood: name of the OOD set, or its title in tables.
        metric: metric name.
        text: the note, whole sentences.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    block: str = _ANY
    model: str = _ANY
    id: str = _ANY
    protocol: str = _ANY
    method: str = _ANY
    ood: str = _ANY
    metric: str = _ANY
    text: Annotated[str, Field(pattern=r"\S")]

    def said_of(self, row: Row, section: Section) -> str:
        """The note as it stands beside a row, with the metrics that it is about; empty if it is about other rows."""
        names = {
            "block": (section.block.name if section.block else "",),
            "model": (section.model,),
            "id": (section.id, row.id_title),
            "protocol": (section.protocol,),
            "method": (row.method,),
            "ood": (row.ood, row.ood_title),
        }
        return self.said(names, section.metrics)

    def said(self, names: Mapping[str, Sequence[str]], metrics: Sequence[str]) -> str:
        """The note as it stands beside a cell, with the metrics that it is about; empty if it is about other cells.

        Args:
            names: what the cell's block, model and the rest are called; one of several names is enough.
            metrics: those that are shown of it.
        """
        for field, known in names.items():
            if not any(fnmatchcase(name, getattr(self, field)) for name in known):
                return ""
        if self.metric == _ANY:
            return self.text
        mine = [metric for metric in metrics if fnmatchcase(metric, self.metric)]
        return f"{', '.join(map(metric_title, mine))}: {self.text}" if mine else ""


def load(results: Path) -> list[Note]:
    """The notes of a results folder, in order; none where there is no file.

    Raises:
        ConfigError: if the file is not a list of notes.
    """
    path = results / FILE
    if not path.is_file():
        return []
    hint = "a list of notes, each with text and any of block, model, id, protocol, method, ood, metric"
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # the YAML parser's errors and OmegaConf's share no other base
        raise ConfigError(f"{path}: cannot be read: {error}", hint) from error
    try:
        return TypeAdapter(list[Note]).validate_python(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {faults(error, Note.model_fields)}", hint) from error


def attached(every: Iterable[Section], notes: Sequence[Note], where: str | Path = FILE) -> list[Section]:
    """The sections with each note at the rows that it is about.

    Args:
        every: all sections.
        notes: all notes.
        where: the file that they come from, named in errors.

    Raises:
        ConfigError: if a note is about no cell that there is.
    """
    sections, used = list(every), set[int]()

    def remarks(row: Row, section: Section) -> tuple[str, ...]:
        said = {place: text for place, note in enumerate(notes) if (text := note.said_of(row, section))}
        used.update(said)
        return tuple(said.values())

    found = [
        replace(section, rows=tuple(replace(row, remarks=remarks(row, section)) for row in section.rows))
        for section in sections
    ]
    for place, note in enumerate(notes):
        if place not in used:
            raise _unknown(note, sections, f"{where}, note {place + 1}")
    return found


def _unknown(note: Note, sections: Sequence[Section], where: str) -> ConfigError:
    """The error for a note on no cell: the first of its names that there is not at all, or all of them."""
    rows = [(row, section) for section in sections for row in section.rows]
    known = {
        "block": {section.block.name for section in sections if section.block},
        "model": {section.model for section in sections},
        "id": {name for row, section in rows for name in (section.id, row.id_title)},
        "protocol": {section.protocol for section in sections},
        "method": {row.method for row, _ in rows},
        "ood": {name for row, _ in rows for name in (row.ood, row.ood_title)},
        "metric": {metric for section in sections for metric in section.metrics},
    }
    hint = "correct or remove it: names are those of the CSV files of tables"
    for field, names in known.items():
        pattern = getattr(note, field)
        if not any(fnmatchcase(name, pattern) for name in names):
            return ConfigError(f"{where}: no cell has {field} {pattern!r}{did_you_mean(pattern, names)}", hint)
    chosen = ", ".join(f"{field} {getattr(note, field)}" for field in known if getattr(note, field) != _ANY)
    return ConfigError(f"{where}: no cell has {chosen} together", hint)
