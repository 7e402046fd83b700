"""The table files of a results folder: made from the records, written, or compared with what lies there."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from ood_bench.papers.block import Block, block_of, load_blocks
from ood_bench.report.csv_files import PAPER, sheet
from ood_bench.report.markdown import LEGEND, block_page, compared, heading, other_page
from ood_bench.report.readme import refreshed
from ood_bench.report.rows import Row, arrange, gather
from ood_bench.results import Record, RecordStore
from ood_bench.utils.files import clear_io_errors, write_atomically

_log = logging.getLogger(__name__)
_OTHER = "other"


@dataclass(frozen=True)
class Rendered:
    """What the records of a folder give.

    Attributes:
        files: content of every table file, by name.
        inserts: text for a readme, by name of the block; a block without records has one that says so.
        problems: what is wrong with files among the records, a line each.
    """

    files: dict[str, str]
    inserts: dict[str, str]
    problems: list[str]


def folder(results: Path) -> Path:
    """Where the tables of a results folder lie."""
    return Path(results) / "tables"


def render(results: Path, conf: Path | None = None) -> Rendered:
    """Makes every table file from the records, without writing any; equal records give equal bytes.

    Args:
        results: the results folder.
        conf: another folder of configs than the shipped one.

    Raises:
        ConfigError: if a block's config or its published numbers are not usable.
        RecordError: if records contradict each other.
    """
    store = RecordStore(Path(results))
    records = store.load()
    blocks = load_blocks(conf)
    files: dict[str, str] = {}
    inserts = {block.name: f"No results yet: run `python -m ood_bench paper={block.name}`." for block in blocks}
    other = [record for record in records if block_of(record, blocks) is None]
    left = other
    for block in blocks:
        mine = [record for record in records if block.holds(record)]
        if mine:
            rows = arrange(gather(mine), block)
            alone = [record for record in mine if record.ood not in block.ood]
            beyond = gather([*alone, *(record for record in other if block.concerns(record))])
            left = [record for record in left if not block.concerns(record)]
            files[f"{block.name}.md"] = block_page(block, rows, beyond)
            files[f"{block.name}.csv"] = sheet([(PAPER, rows), ("beyond", beyond)], block)
            inserts[block.name] = _insert(block, rows)
    files |= _others(left)
    return Rendered(files, inserts, [problem.reason for problem in store.problems])


def _others(records: list[Record]) -> dict[str, str]:
    if not records:
        return {}
    return {f"{_OTHER}.md": other_page(records), f"{_OTHER}.csv": sheet([("other", gather(records))], None)}


def _insert(block: Block, rows: list[Row]) -> str:
    return "\n\n".join([heading(block, rows), compared(rows, block), LEGEND])


def _readme_text(results: Path, readme: Path, rendered: Rendered) -> tuple[str, str]:
    """A readme's present text and the one that it should have."""
    with clear_io_errors("read", readme):
        present = readme.read_text(encoding="utf-8")
    inserts = dict(rendered.inserts)
    for name in inserts:
        if f"{name}.md" in rendered.files:
            link = Path(os.path.relpath(folder(results) / f"{name}.md", readme.parent)).as_posix()
            inserts[name] += f" [How the numbers were made, exact metrics and known differences]({link})."
    return present, refreshed(present, inserts, readme)


def _present(results: Path) -> dict[str, str]:
    """The table files that lie in the folder now."""
    there = sorted(path for path in folder(results).glob("*") if path.suffix in {".md", ".csv"})
    with clear_io_errors("read the tables", folder(results)):
        return {path.name: path.read_text(encoding="utf-8") for path in there}


def write(results: Path, readme: Path | None = None, conf: Path | None = None) -> list[Path]:
    """Writes the tables, and takes away those of blocks that have no records any more.

    Args:
        results: the results folder.
        readme: a Markdown file whose marked parts to bring up to date.
        conf: another folder of configs than the shipped one.

    Returns:
        The files that changed, sorted.

    Raises:
        ConfigError: if a block's config, its published numbers or the readme's markers are not usable.
        RecordError: if records contradict each other.
        ArtifactError: if a file cannot be written.
    """
    rendered = render(results, conf)
    present = _present(results)
    changed = []
    for name, content in rendered.files.items():
        if present.get(name) != content:
            write_atomically(folder(results) / name, content.encode())
            changed.append(folder(results) / name)
    made_here = {f"{stem}{suffix}" for stem in (*rendered.inserts, _OTHER) for suffix in (".md", ".csv")}
    for name in sorted(made_here & present.keys() - rendered.files.keys()):
        (folder(results) / name).unlink(missing_ok=True)
        changed.append(folder(results) / name)
    if readme is not None:
        before, after = _readme_text(results, readme, rendered)
        if before != after:
            write_atomically(readme, after.encode())
            changed.append(readme)
    return sorted(changed)


def check(results_dir: Path, readme: Path | None = None, conf: Path | None = None) -> list[str]:
    """Says where the table files differ from what the records give; a line each, nothing for no difference.

    Args:
        results_dir: the results folder.
        readme: a Markdown file whose marked parts to compare as well.
        conf: another folder of configs than the shipped one.

    Raises:
        ConfigError: as :func:`write`.
        RecordError: as :func:`write`.
    """
    rendered = render(results_dir, conf)
    present = _present(results_dir)
    lines = list(rendered.problems)
    for name in sorted(rendered.files.keys() | present.keys()):
        place = folder(results_dir) / name
        if name not in present:
            lines.append(f"{place}: is missing, though there are records for it")
        elif name not in rendered.files:
            lines.append(f"{place}: there are no records for it")
        elif rendered.files[name] != present[name]:
            lines.append(f"{place}: differs from what the records give")
    if readme is not None:
        before, after = _readme_text(results_dir, readme, rendered)
        lines += [f"{readme}: differs from what the records give"] if before != after else []
    return lines
