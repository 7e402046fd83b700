"""What stands under a table: how its numbers were made, footnotes, classifiers, chosen settings."""

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ood_bench.report.format import NOTHING, bullet, markdown_table, number, paragraph
from ood_bench.report.rows import Row
from ood_bench.results import Record
from ood_bench.results.schema import Network

_TRAINED_COLUMNS = ("Classifier", "recipe", "epochs", "networks", "ID accuracy", "methods")
_SHORT = 12


def methods_of(some: Sequence[Row], every: Sequence[Row]) -> str:
    """``some`` of ``every`` row in words: ``"all methods"``, or labels, with OOD sets where not all of a method's."""
    if len(some) == len(every):
        return "all methods"
    names = []
    for label in dict.fromkeys(row.label for row in every):
        meant = [row for row in some if row.label == label]
        if len(meant) == sum(row.label == label for row in every):
            names.append(label)
        elif meant:
            names.append(f"{label} on {', '.join(dict.fromkeys(row.ood_title for row in meant))}")
    return ", ".join(names)


def _by_text(rows: Sequence[Row], texts: Callable[[Record], Iterable[str]]) -> dict[str, list[Row]]:
    """Which rows each text is true of, in order of first appearance."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        for text in dict.fromkeys(text for record in row.records for text in texts(record)):
            found.setdefault(text, []).append(row)
    return found


def _item(title: str, rows: Sequence[Row], texts: Callable[[Record], Iterable[str]]) -> str:
    """A list item; with sub-items that name the methods where a text is not true of all."""
    found = _by_text(rows, texts)
    if len(found) == 1:
        return bullet(f"**{title}:** {next(iter(found))}")
    return _listed(title, [(text, meant if len(meant) < len(rows) else []) for text, meant in found.items()], rows)


def _listed(title: str, texts: Iterable[tuple[str, Sequence[Row]]], rows: Sequence[Row]) -> str:
    """A list item with sub-items; those with rows of their own name them."""
    lines = [f"{text.rstrip('.')} *({methods_of(meant, rows)})*" if meant else text for text, meant in texts]
    return "\n".join([bullet(f"**{title}:**"), *(bullet(line, 1) for line in lines)])


def how_made(rows: Sequence[Row]) -> str:
    """How the numbers of these rows were made: scored rows, metric convention, tuning, images; a Markdown list."""
    return "\n".join(
        [
            _item("Scored rows", rows, lambda one: [one.evaluation.rows]),
            _item("Row counts", rows, lambda one: [f"{one.n_id:,} ID and {one.n_ood:,} OOD"]),
            _item("Metric convention", rows, lambda one: [_convention(one)]),
            _item("Tuning saw", rows, lambda one: [one.evaluation.tuned_on]),
            _images(rows),
        ]
    )


def _convention(record: Record) -> str:
    how = record.evaluation
    return f"`{how.convention}`, {how.positive.upper()} is the positive class. {how.description}"


def _images(rows: Sequence[Row]) -> str:
    """The image sets by role; methods are named where not all used a set, or used other images by the same name."""
    found: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        for record in row.records:
            for role, used in record.data.by_role:
                pixels = f"fingerprint `{used.fingerprint[:_SHORT]}`" if used.fingerprint else "pixels not known"
                text = f"{role} {used.title}, {used.n:,} images, {pixels}"
                users = found.setdefault((role, used.title), {}).setdefault(text, [])
                if not any(row is one for one in users):
                    users.append(row)
    lines = []
    for (role, _), texts in sorted(found.items()):
        for text, users in texts.items():
            plain = len(texts) == 1 and (role == "OOD set" or len(users) == len(rows))
            lines.append((text, [] if plain else users))
    return _listed("Images", lines, rows)


@dataclass(frozen=True)
class Footnotes:
    """Numbered sentences under a table.

    Attributes:
        deviations: known differences from the paper's protocol, with the rows that they concern.
        notes: other remarks that the program made.
        found: notes of people.
        rows: the rows that were run, in order.
    """

    deviations: dict[str, list[Row]]
    notes: dict[str, list[Row]]
    found: dict[str, list[Row]]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Footnotes":
        """Collects the sentences of the rows' records, each once."""
        ran = tuple(row for row in rows if row.records)
        deviations = _by_text(ran, lambda record: record.deviations)
        notes = _by_text(ran, lambda record: [note for note in record.notes if note not in deviations])
        found: dict[str, list[Row]] = {}
        for row in ran:
            for text in row.remarks:
                found.setdefault(text, []).append(row)
        return cls(deviations, notes, found, ran)

    def marks(self, row: Row) -> str:
        """The numbers that belong to a row, as in ``" [1, 3]"``; empty for none."""
        texts = [*self.deviations.values(), *self.notes.values(), *self.found.values()]
        numbers = [str(index) for index, meant in enumerate(texts, 1) if any(row is one for one in meant)]
        return f" [{', '.join(numbers)}]" if numbers else ""

    def listed(self) -> str:
        """The sentences as numbered Markdown lists with headings."""
        parts = ["## Known differences from the paper's protocol", self._list(self.deviations, 1)]
        if self.notes:
            parts += ["## Remarks", self._list(self.notes, 1 + len(self.deviations))]
        if self.found:
            start = 1 + len(self.deviations) + len(self.notes)
            parts += ["## What was found out", self._list(self.found, start)]
        return "\n\n".join(parts)

    def _list(self, texts: dict[str, list[Row]], start: int) -> str:
        if not texts:
            return "None recorded."
        return "\n".join(
            paragraph(f"{text} *({methods_of(meant, self.rows)})*", f"{index}. ", "   ")
            for index, (text, meant) in enumerate(texts.items(), start)
        )


def _networks(row: Row) -> tuple[Network, ...]:
    """The distinct networks of a row, sorted."""
    found = {network.identity: network for record in row.records for network in record.checkpoint.networks}
    return tuple(sorted(found.values(), key=lambda network: (network.recipe, network.seed, network.identity)))


def classifiers(rows: Sequence[Row]) -> str:
    """Table of the trained classifiers with their ID accuracy, mean ± std over distinct networks."""
    groups: dict[tuple[str, str, int, tuple[str, ...]], list[Row]] = {}
    accuracies: dict[tuple[str, str, int, tuple[str, ...]], list[float]] = {}
    counts: dict[tuple[str, str, int, tuple[str, ...]], int] = {}
    for row in rows:
        networks = _networks(row)
        for kind in sorted({(network.model, network.recipe, network.epochs) for network in networks}):
            alike = [network for network in networks if (network.model, network.recipe, network.epochs) == kind]
            key = (*kind, tuple(network.identity for network in alike))
            groups.setdefault(key, []).append(row)
            counts[key] = len(alike)
            accuracies[key] = [one.id_accuracy for one in alike if one.id_accuracy is not None]
    lines = []
    for key in sorted(groups, key=lambda key: (key[0], key[1], key[2], len(key[3]), key[3])):
        values = accuracies[key]
        std = f" ± {number(statistics.stdev(values), 2)}" if len(values) > 1 else ""
        accuracy = f"{number(statistics.fmean(values), 2)}{std}" if len(values) == counts[key] else NOTHING
        lines.append([key[0], key[1], str(key[2]), str(counts[key]), accuracy, methods_of(groups[key], rows)])
    return markdown_table(_TRAINED_COLUMNS, lines, left={0, 1, 5})


def settings(rows: Sequence[Row]) -> str:
    """The hyperparameters that rows ran with (single values only), with seeds where they differ; empty for none."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        chosen: dict[str, list[str]] = {}
        for record in row.records:
            chosen.setdefault(_chosen(record), []).append(str(record.seed))
        if len(chosen) == 1:
            text = next(iter(chosen))
        else:
            text = "; ".join(f"{one or 'none'} (seed {', '.join(seeds)})" for one, seeds in chosen.items())
        if text:
            found.setdefault(text, []).append(row)
    return "\n".join(bullet(f"{methods_of(meant, rows)}: {text}") for text, meant in found.items())


def _chosen(record: Record) -> str:
    single = {key: one for key, one in record.hyperparameters.items() if not isinstance(one, list | dict)}
    return ", ".join(f"{key} = {json.dumps(one, ensure_ascii=False)}" for key, one in sorted(single.items()))
