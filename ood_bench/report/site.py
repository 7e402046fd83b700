"""The page, plots and LaTeX tables of a results folder: made from the records, written, or compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_bench.papers.block import load_blocks
from ood_bench.report import latex, per_block, plots
from ood_bench.report.page.build import PAIRED, page, paired_tests
from ood_bench.report.page.sections import sections
from ood_bench.results import RecordStore
from ood_bench.results.details import DetailStore
from ood_bench.utils.files import clear_io_errors, write_atomically

PAGE = "index.html"
_FOLDERS = {"plots": (".svg", ".png"), "latex": (".tex",)}
_KINDS = ("comparison.", "roc-", "epsilon-")
_PER_BLOCK = ("-blocks.svg", "-blocks.png")


@dataclass(frozen=True)
class Site:
    """What the records of a folder give beside its Markdown tables.

    Attributes:
        files: content by path below the results folder.
        problems: what is wrong with files among the details, a line each.
    """

    files: dict[str, bytes]
    problems: list[str]


def render(results: Path, conf: Path | None = None) -> Site:
    """Makes page, plots and LaTeX tables from the records, without writing any; equal records give equal bytes.

    Args:
        results: the results folder.
        conf: another folder of configs than the shipped one.

    Raises:
        ConfigError: if a block's config or its published numbers are not usable.
        RecordError: if records contradict each other.
        ArtifactError: if a file of paired tests is not usable.
    """
    records = RecordStore(results).load()
    details, problems = DetailStore(results).load(record.cell_key for record in records)
    every = sections(records, load_blocks(conf))
    tests = paired_tests(results / PAIRED)
    files = {PAGE: page(every, details, tests).encode()}
    for section in every:
        if section.kind == "paper" and section.block and any(row.records for row in section.rows):
            name = section.block.name
            files[f"latex/{name}.tex"] = latex.table(section).encode()
            files |= {f"plots/{name}-{kind}": content for kind, content in plots.of(section, details).items()}
    files |= {f"plots/{name}": content for name, content in per_block.charts(records).items()}
    return Site(files, problems)


def _present(results: Path) -> dict[str, bytes]:
    """The files of these kinds that lie in the folder now."""
    places = [results / PAGE]
    for folder, suffixes in _FOLDERS.items():
        places += sorted(path for path in (results / folder).glob("*") if path.suffix in suffixes)
    with clear_io_errors("read the page and its files", results):
        return {path.relative_to(results).as_posix(): path.read_bytes() for path in places if path.is_file()}


def write(results: Path, conf: Path | None = None) -> list[Path]:
    """Writes what changed, and takes away LaTeX tables and plots of blocks that have no records any more.

    Returns:
        The files that changed, sorted.

    Raises:
        ConfigError: as :func:`render`.
        RecordError: as :func:`render`.
        ArtifactError: if a file cannot be read or written.
    """
    made, present = render(results, conf).files, _present(results)
    changed = [name for name, content in made.items() if present.get(name) != content]
    for name in changed:
        write_atomically(results / name, made[name])
    stale = _stale(made, present, conf)
    for name in stale:
        (results / name).unlink(missing_ok=True)
    return sorted(results / name for name in (*changed, *stale))


def _stale(made: dict[str, bytes], present: dict[str, bytes], conf: Path | None) -> Sequence[str]:
    """Files of ours that the records give no more; whatever another hand put there stays."""
    names = [block.name for block in load_blocks(conf)]
    plots_of = tuple(f"plots/{name}-{kind}" for name in names for kind in _KINDS)
    tables_of = {f"latex/{name}.tex" for name in names}
    gone = sorted(present.keys() - made.keys())
    return [name for name in gone if name in tables_of or name.startswith(plots_of) or name.endswith(_PER_BLOCK)]


def check(results: Path, conf: Path | None = None) -> list[str]:
    """Says where page, plots and LaTeX tables differ from what the records give; a line each.

    Raises:
        ConfigError: as :func:`render`.
        RecordError: as :func:`render`.
        ArtifactError: if a file cannot be read.
    """
    site, present = render(results, conf), _present(results)
    lines = list(site.problems)
    for name, content in sorted(site.files.items()):
        if name not in present:
            lines.append(f"{results / name}: is missing, though there are records for it")
        elif present[name] != content:
            lines.append(f"{results / name}: differs from what the records give")
    return lines + [f"{results / name}: there are no records for it" for name in _stale(site.files, present, conf)]
