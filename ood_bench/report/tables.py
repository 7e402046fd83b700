"""All that the records of a results folder give (tables, page, plots, LaTeX): made, written, or compared."""

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_bench.errors import ConfigError
from ood_bench.papers.block import Block, load_blocks
from ood_bench.report import explanations, latex, means, notes, paired, plots, sets_plot
from ood_bench.report.by_network import by_network
from ood_bench.report.csv_files import csv_text
from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.report.markdown import block_page, insert, other_page
from ood_bench.report.page import settings
from ood_bench.report.page.build import page
from ood_bench.report.sections import Section, sections
from ood_bench.report.selective import SUFFIX, selective_page
from ood_bench.results import RecordStore
from ood_bench.results.details import DetailStore
from ood_bench.utils.files import clear_io_errors, write_atomically

_log = logging.getLogger(__name__)
PAGE = "index.html"
FOLDER = "tables"
_OTHER = "other"
_OPEN = re.compile(r"^<!-- table:(?P<name>\S+) -->[ \t]*$", re.MULTILINE)
_CLOSE = re.compile(r"^<!-- /table -->[ \t]*$", re.MULTILINE)
_KINDS = {FOLDER: (".md", ".csv"), "plots": (".svg", ".png"), "latex": (".tex",)}


@dataclass(frozen=True)
class Rendered:
    """What the records of a folder give.

    Attributes:
        files: content of every file, by path below the results folder.
        inserts: text for a readme, by name of the block; a block without records has one that says so.
        problems: what is wrong with files among the records and details, a line each.
        verdicts: how often each was given, a line for each block that was run.
    """

    files: dict[str, bytes]
    inserts: dict[str, str]
    problems: list[str]
    verdicts: list[str]


def table_files(every: Sequence[Section], tested: Mapping[tuple[str, str, str, str], means.Mean]) -> dict[str, str]:
    """The Markdown and CSV files of all sections, by name; ``tested`` is what :func:`means.read` found."""
    files: dict[str, str] = {}
    groups: dict[str, list[Section]] = {}
    others = [section for section in every if section.kind != "paper"]
    for block, section in _papers(every):
        if section.ran:
            beyond = [one for one in others if one.block is block]
            others = [one for one in others if one.block is not block]
            files[f"{block.name}.md"] = block_page(block, section, [row for one in beyond for row in one.rows])
            groups[block.name] = [section, *beyond]
    others.sort(key=lambda section: (section.id, section.model, section.protocol))
    if others:
        files[f"{_OTHER}.md"], groups[_OTHER] = other_page(others), others
    for name, group in groups.items():
        files[f"{name}.csv"] = csv_text(group)
        if selective := selective_page(name, group):
            files[f"{name}{SUFFIX}"] = selective
            files[f"{name}.md"] += f"\nAURC, OSCR and other metrics of correctness: [{name}{SUFFIX}]({name}{SUFFIX}).\n"
    return files | by_network(every, tested)


def _papers(every: Sequence[Section]) -> list[tuple[Block, Section]]:
    return [(section.block, section) for section in every if section.kind == "paper" and section.block]


def render(results: Path, margins: Margins = DEFAULT, own: Sequence[Path] = ()) -> Rendered:
    """Makes every file from the records of a results folder, without writing any; equal records give equal bytes.

    Args:
        results: the folder.
        margins: differences from published numbers that do not matter.
        own: folders of configs with further papers.

    Raises:
        ConfigError: if a block's config, its published numbers, the folder's notes or its page.yaml are not usable.
        RecordError: if records contradict each other.
        ArtifactError: if a file of paired tests, or of what was explained, is not usable.
    """
    store = RecordStore(results)
    records = store.load()
    details, damaged = DetailStore(results).load(record.cell_key for record in records)
    every = notes.attached(sections(records, load_blocks(own=own), margins), notes.load(results), results / notes.FILE)
    files = {
        f"{FOLDER}/{name}": text.encode()
        for name, text in table_files(every, means.read(results / paired.PAIRED)).items()
    }
    explained = explanations.read(results / explanations.FOLDER)
    tests = paired.read(results / paired.PAIRED)
    files[PAGE] = page(every, details, tests, explained, settings=settings.load(results), results=results).encode()
    for block, section in _papers(every):
        if section.ran:
            files[f"latex/{block.name}.tex"] = latex.table(section).encode()
            files |= {f"plots/{block.name}-{kind}": made for kind, made in plots.of(section, details).items()}
    for section in every:
        if section.kind == "other" and section.metrics:
            files |= {
                f"plots/{sets_plot.name(section)}-{kind}": made for kind, made in sets_plot.plots(section).items()
            }
    files |= {f"plots/{name}": content for name, content in plots.per_block(records).items()}
    if own_results := [section for section in every if section.kind == "other"]:
        files[f"latex/{_OTHER}.tex"] = "\n".join(map(latex.own_table, own_results)).encode()
    inserts = {block.name: insert(block, section) for block, section in _papers(every)}
    verdicts = [
        f"{block.title}: {section.verdicts}; margin {margins}" for block, section in _papers(every) if section.ran
    ]
    return Rendered(files, inserts, [*(problem.reason for problem in store.problems), *damaged], verdicts)


def write(
    results: Path, readme: Path | None = None, margins: Margins = DEFAULT, own: Sequence[Path] = ()
) -> list[Path]:
    """Writes what changed, also into the marked parts of a readme, and removes files of blocks without records.

    The log says how often each verdict was given.

    Args:
        results: the folder.
        readme: a file with marked parts.
        margins: differences from published numbers that do not matter.
        own: folders of configs with further papers.

    Returns:
        The files that changed, sorted.

    Raises:
        ConfigError: if a block's config, its published numbers or the readme's markers are not usable.
        RecordError: if records contradict each other.
        ArtifactError: if a file cannot be read or written.
    """
    rendered = render(results, margins, own)
    for line in rendered.verdicts:
        _log.info("%s", line)
    wanted, present = _wanted(rendered, results, readme), _present(results, readme)
    changed = [path for path, content in wanted.items() if present.get(path) != content]
    for path in changed:
        write_atomically(path, wanted[path])
    stale = [results / name for name in _stale(rendered, results, present)]
    for path in stale:
        path.unlink(missing_ok=True)
    return sorted([*changed, *stale])


def check(results: Path, readme: Path | None = None, margins: Margins = DEFAULT, own: Sequence[Path] = ()) -> list[str]:
    """Says where files and a readme's marked parts differ from what the records give; a line each. Raises as `write`.

    A file that nothing here would make counts among the tables only; in the other folders it is left alone.
    """
    rendered = render(results, margins, own)
    wanted, present = _wanted(rendered, results, readme), _present(results, readme)
    lines = {path: "differs from what the records give" for path in wanted if present.get(path) != wanted[path]}
    lines |= dict.fromkeys(wanted.keys() - present.keys(), "is missing, though there are records for it")
    unknown = {path for path in present.keys() - wanted.keys() if path.parent == results / FOLDER}
    gone = unknown | {results / name for name in _stale(rendered, results, present)}
    lines |= dict.fromkeys(gone, "there are no records for it")
    return [*rendered.problems, *(f"{path}: {lines[path]}" for path in sorted(lines))]


def _wanted(rendered: Rendered, results: Path, readme: Path | None) -> dict[Path, bytes]:
    """What should stand in every file."""
    wanted = {results / name: content for name, content in rendered.files.items()}
    if readme is not None:
        inserts = dict(rendered.inserts)
        for name in inserts:
            if (table := f"{FOLDER}/{name}.md") in rendered.files:
                link = Path(os.path.relpath(results / table, readme.parent)).as_posix()
                inserts[name] += f" [How the numbers were made, exact metrics and known differences]({link})."
        with clear_io_errors("read", readme):
            wanted[readme] = refreshed(readme.read_text(encoding="utf-8"), inserts, readme).encode()
    return wanted


def _present(results: Path, readme: Path | None) -> dict[Path, bytes]:
    """The files of these kinds that are there now."""
    places = [results / PAGE, *([readme] if readme else [])]
    for folder, suffixes in _KINDS.items():
        places += [path for path in (results / folder).glob("*") if path.suffix in suffixes]
    with clear_io_errors("read tables, page and plots", results):
        return {path: path.read_bytes() for path in places if path.is_file()}


def _stale(rendered: Rendered, results: Path, present: Iterable[Path]) -> list[str]:
    """Files of ours that the records give no more; files that others put there stay."""
    names = (*rendered.inserts, _OTHER)
    ours = (
        *(f"{folder}/{name}." for folder in (FOLDER, "latex") for name in names),
        *(f"plots/{name}-{kind}" for name in names for kind in plots.KINDS),
        f"plots/{sets_plot.PREFIX}",
    )
    there = {path.relative_to(results).as_posix() for path in present if path.is_relative_to(results)}
    gone = there - rendered.files.keys()
    return [name for name in gone if name.startswith(ours) or name.endswith(plots.PER_BLOCK)]


def refreshed(text: str, inserts: Mapping[str, str], where: str | Path) -> str:
    """``text`` with what stands between ``<!-- table:NAME -->`` and ``<!-- /table -->`` replaced.

    Args:
        text: Markdown; both markers stand at the start of lines of their own.
        inserts: new content by name.
        where: the file that ``text`` comes from, named in errors.

    Raises:
        ConfigError: if a marker names no block, or markers do not pair up.
    """
    parts, position = [], 0
    while opening := _OPEN.search(text, position):
        name, line = opening["name"], text.count("\n", 0, opening.start()) + 1
        if name not in inserts:
            raise ConfigError(
                f"{where}, line {line}: no block {name!r}; there is {', '.join(sorted(inserts)) or 'none'}"
            )
        closing, following = _CLOSE.search(text, opening.end()), _OPEN.search(text, opening.end())
        if closing is None or (following and following.start() < closing.start()):
            raise ConfigError(f"{where}, line {line}: `<!-- table:{name} -->` has no `<!-- /table -->` after it")
        parts += [text[position : opening.end()], f"\n\n{inserts[name]}\n\n", closing[0]]
        position = closing.end()
    return "".join([*parts, text[position:]])
