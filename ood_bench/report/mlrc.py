"""``ood-bench report --form mlrc``: a paper's block as a report in the sections of the ML Reproducibility Challenge.

All of it comes from records, published numbers, configs and notes; nothing is typed.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ood_bench.errors import ConfigError
from ood_bench.papers.block import load_blocks
from ood_bench.report import document, notes
from ood_bench.report.document import Heading, Items, Part, Table, Text
from ood_bench.report.footnotes import Footnotes, methods_of
from ood_bench.report.format import NOTHING, decimals, metric_title, number, spread
from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.report.mlrc_setup import compute, images, ladders, searches, weights
from ood_bench.report.rows import Row
from ood_bench.report.sections import Section, sections
from ood_bench.report.verdicts import Judgement, flags_in_words
from ood_bench.results import Record, RecordStore
from ood_bench.utils.suggest import did_you_mean

FOLDER = "mlrc"
"""Where the reports of a results folder stand."""
_Cell = tuple[Row, str, Judgement]


def report(name: str, results: Path, margins: Margins = DEFAULT, own: Sequence[Path] = ()) -> dict[str, str]:
    """The report on one block as Markdown and as LaTeX, by file name.

    Args:
        name: of the block, as in ``conf/paper``.
        results: a folder of results.
        margins: differences from published numbers that do not matter.
        own: folders of configs with further papers.

    Raises:
        ConfigError: if there is no such block, or nothing of it was run.
        RecordError: if records contradict each other.
        ArtifactError: if a ladder cannot be read.
    """
    every = sections(RecordStore(results).load(), load_blocks(own=own), margins)
    every = notes.attached(every, notes.load(results), results / notes.FILE)
    blocks = {section.block.name: section for section in every if section.kind == "paper" and section.block}
    if name not in blocks:
        raise ConfigError(f"there is no paper={name}{did_you_mean(name, blocks)}", "ood-bench list paper shows all")
    section = blocks[name]
    if not section.ran:
        raise ConfigError(f"{results} has no record of paper={name}", f"run ood-bench paper={name}")
    title = f"Reproducibility report: {section.title}"
    parts = list(_parts(section, results))
    return {f"{name}.md": document.markdown(title, parts), f"{name}.tex": document.latex(title, parts)}


def _parts(section: Section, results: Path) -> Iterable[Part]:
    records = [record for row in section.ran for record in row.records]
    cells = _cells(section)
    yield from _summary(section, records)
    yield from _claims(section, cells)
    yield from _results(section, cells)
    yield from ladders(results, records)
    yield from _methodology(section)
    yield from searches(section.ran)
    yield Heading("Experimental setup")
    yield from images(records)
    yield from weights(records)
    yield from compute(records)
    yield from _left_out(section, cells)


def _cells(section: Section) -> list[_Cell]:
    """Every published number of the block with the verdict on it."""
    return [
        (row, metric, section.judge(row, metric))
        for row in section.rows
        for metric in section.metrics
        if section.printed(row, metric) is not None
    ]


def _summary(section: Section, records: Sequence[Record]) -> Iterable[Part]:
    networks = {one.identity: one for record in records for one in record.checkpoint.networks}
    published = sum(one.recipe == "imported" for one in networks.values())
    seeds = ", ".join(map(str, sorted({record.seed for record in records})))
    yield Heading("Reproducibility summary")
    yield Heading("Scope of reproducibility", 2)
    source = section.block.reference if section.block else ""
    yield Text(
        f"{section.title}: classifier {section.model}, ID set {section.id}, protocol {section.protocol}. "
        f"Published: {source}."
    )
    yield Heading("Methodology", 2)
    yield Text(
        f"Records: {len(records)}; seeds: {seeds}; networks trained here: {len(networks) - published}, published by "
        f"others: {published}; scored on {', '.join(sorted({record.environment.device for record in records}))}."
    )
    yield Heading("Results", 2)
    yield Text(f"Of the published numbers: {section.verdicts}. A difference that does not matter: {section.margins}.")


def _claims(section: Section, cells: Sequence[_Cell]) -> Iterable[Part]:
    yield Heading("Claims tested")
    yield Text(
        "Each published number is a claim. Ours is mean ± standard deviation over networks (their number), in percent; "
        "the verdicts follow `docs/verdicts.md`."
    )
    lines = []
    for row, metric, judged in cells:
        printed, stat = section.printed(row, metric) or "", row.stat(metric)
        places = decimals(printed)
        ours = (spread(stat, places), _difference(stat.mean, printed)) if stat else (NOTHING, NOTHING)
        lines.append([row.label, row.ood_title, metric_title(metric), printed, *ours, judged.verdict.conclusion])
    header = ("Method", "OOD set", "Metric", "Paper", "Ours", "Difference", "Verdict")
    yield Table(header, lines, numbers=(3, 4, 5))
    if section.block and (known := [*section.block.notes, *flags_in_words(section.block)]):
        yield Text("On the published numbers:")
        yield Items(known)


def _difference(mean: float, printed: str) -> str:
    return number(mean - float(printed), decimals(printed), sign=True)


def _results(section: Section, cells: Sequence[_Cell]) -> Iterable[Part]:
    yield Heading("Results that differ or are undecided")
    differing = [cell for cell in cells if cell[2].verdict.conclusion in ("not reproduced", "undecided")]
    if not differing:
        yield Text("There is none.")
    else:
        differing.sort(key=lambda cell: cell[2].verdict.conclusion)
        lines = [
            [row.label, row.ood_title, metric_title(metric), judged.verdict.conclusion, judged.reason]
            for row, metric, judged in differing
        ]
        yield Table(("Method", "OOD set", "Metric", "Verdict", "Reason"), lines)
    if found := Footnotes.of(section.rows).found:
        yield Heading("What was found out", 2)
        yield Items(_told(found, section))


def _told(texts: dict[str, list[Row]], section: Section) -> list[str]:
    """Sentences with the methods that they are about."""
    return [f"{text.rstrip('.')} ({methods_of(rows, section.ran)})" for text, rows in texts.items()]


def _methodology(section: Section) -> Iterable[Part]:
    yield Heading("Methodology")
    block = section.block
    if block and block.says:
        yield Text("The paper and its code:")
        yield Items([f"{aspect}: {' '.join(words.split())}" for aspect, words in block.says.items()])
    yield Text("Here:")
    here: dict[str, list[Row]] = {}
    for row in section.ran:
        for how in {record.evaluation: None for record in row.records}:
            convention = f"Metric convention `{how.convention}`, {how.positive.upper()} positive: {how.description}"
            for text in (f"Scored rows: {how.rows}", f"Tuning saw: {how.tuned_on}", convention):
                rows = here.setdefault(text, [])
                rows += [row] if not any(row is one for one in rows) else []
    yield Items(_told(here, section))
    footnotes = Footnotes.of(section.rows)
    yield Heading("Known differences from the paper's protocol", 2)
    yield Items(_told(footnotes.deviations, section)) if footnotes.deviations else Text("None recorded.")
    if footnotes.notes:
        yield Heading("Remarks", 2)
        yield Items(_told(footnotes.notes, section))


def _left_out(section: Section, cells: Sequence[_Cell]) -> Iterable[Part]:
    """What has no verdict, and why."""
    without: dict[str, dict[str, list[str]]] = {}
    block = section.block
    for row, metric, judged in cells:
        if judged.verdict.conclusion not in ("not run", "not comparable"):
            continue
        reason = judged.reason
        if block and not row.records and row.method in block.published_only:
            reason = "the paper and its code do not say how to run it"
        said = without.setdefault(f"{judged.verdict.conclusion}: {reason}", {})
        said.setdefault(f"{row.label} on {row.ood_title}", []).append(metric_title(metric))
    yield Heading("What was not run or not compared, and why")
    if not without:
        yield Text("Every published number has a verdict.")
        return
    yield Items([f"{reason} ({_listed(found, len(section.metrics))})" for reason, found in without.items()])


def _listed(cells: dict[str, list[str]], every: int) -> str:
    """Cells in words, with the metrics that are meant where it is not every one."""
    named = [cell if len(metrics) == every else f"{cell}: {', '.join(metrics)}" for cell, metrics in cells.items()]
    return "; ".join(named)
