"""Runs the code blocks of README.md and docs/ for ``make docs``, in order, each page in an empty folder of its own.

Indented blocks and ``sh`` are run by bash. ``python`` and ``yaml`` are written to the file that the line before names,
as in "`my_paper.py`:"; Python without one is run. ``text`` and ``bibtex`` are shown only. Comments before a block,
which the site does not show, say more:

- ``<!-- given: NAMES -->``: what a reader has before it; a function of `docs_given.py` makes each.
- ``<!-- with: WORDS=>OTHERS ... -->``: OTHERS is run in place of WORDS that stand for something of the reader's.
- ``<!-- small: REASON -->``: it is run with small images and networks (`docs_small.py`).
- ``<!-- not run: REASON -->``: it cannot be run here; its commands are checked (`docs_check.py`).
"""

import functools
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import docs_check
from docs_program import serving

ROOT = Path(__file__).resolve().parents[1]
BY_TESTS = {"your_own.md": "tests/test_your_own.py", "trained_method.md": "tests/test_trained_method.py"}
"""Pages that a test runs, with changes that make them short."""
SHOWN = ("text", "bibtex")
_COMMENT = re.compile(r"<!-- (given|with|small|not run): (.+) -->$")
_NAMED = re.compile(r"`([\w./]+\.\w+)`.*:$")


@dataclass
class Block:
    """A block of code of a page.

    Attributes:
        line: number of its first line, from 1.
        language: sh, python, yaml, or what is only shown.
        code: its text, without indentation.
        file: where it is to be written, if anywhere.
        reason: why it cannot be run here, if so.
        small: why it is run with small images and networks, if so.
        stands_for: what is run in place of words of it.
        given: names of what the reader has before.
    """

    line: int
    language: str
    code: str
    file: str = ""
    reason: str = ""
    small: str = ""
    stands_for: dict[str, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    @property
    def run_code(self) -> str:
        """What is run: the code with other words, where some stand for something of the reader's."""
        code = self.code + "\n"
        for words, others in self.stands_for.items():
            if words not in code:
                raise DocsError(f"line {self.line}: there is no {words} in it")
            code = code.replace(words, others)
        return code


class DocsError(Exception):
    """A block that failed, or that cannot be read."""


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page in Markdown, in their order.

    Raises:
        DocsError: if a fence has no language or no end, or a comment stands before no block.
    """
    lines = text.splitlines()
    before, comments, at = "", dict[str, str](), 0
    while at < len(lines):
        start, line = at, lines[at]
        at += 1
        if line.startswith(("```", "    ")):
            at = _end(lines, start)
            fenced = line.startswith("```")
            code = lines[start + 1 : at - 1] if fenced else [one[4:] for one in lines[start:at]]
            block = Block(start + 1, line[3:] if fenced else "sh", "\n".join(code).rstrip())
            if not block.language:
                raise DocsError(f"line {block.line}: say the block's language")
            named = _NAMED.match(before)
            if named and block.language != "sh":
                block.file = named[1]
            block.reason, block.small = comments.get("not run", ""), comments.get("small", "")
            block.given = comments.get("given", "").split()
            block.stands_for = dict(one.split("=>", 1) for one in shlex.split(comments.get("with", "")))
            yield block
            before, comments = "", {}
        elif comment := _COMMENT.match(line):
            comments[comment[1]] = comment[2]
        elif line:
            if comments:
                break
            before = line
    if comments:
        raise DocsError(f"line {at}: the comment before it belongs to no block")


def _end(lines: list[str], start: int) -> int:
    """The line after a block, empty ones after an indented block included."""
    at = start + 1
    if lines[start].startswith("```"):
        if "```" not in lines[at:]:
            raise DocsError(f"line {at}: this block has no end")
        return lines.index("```", at) + 1
    while at < len(lines) and (not lines[at] or lines[at].startswith("    ")):
        at += 1
    return at


def run(block: Block, folder: Path, programs: Path | None = None) -> None:
    """Runs a block, or writes its file; of one that cannot be run, checks the commands.

    Args:
        block: the block.
        folder: where it is run.
        programs: folder of :func:`docs_program.serving`; without one, only blocks that are run as they are.

    Raises:
        DocsError: if it fails, with the end of what it printed.
    """
    if block.file:
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.run_code, encoding="utf-8")
        return
    shells = {"sh": ["bash", "-eo", "pipefail", "-c"], "python": ["python", "-c"]}
    if block.language not in shells:
        raise DocsError(f"line {block.line}: {block.language} is not run, so name its file in the line before")
    if (block.reason or block.small) and (programs is None or block.language != "sh"):
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if programs is not None:
        path = f"{programs / ('check' if block.reason else 'small' if block.small else 'run')}{os.pathsep}{path}"
    commands = [[*shells[block.language], (docs_check.BEFORE if block.reason else "") + block.run_code]]
    if block.given:
        commands.insert(0, ["python", str(ROOT / "scripts/docs_given.py"), *block.given])
    for command in commands:
        done = subprocess.run(  # noqa: S603 - our own pages
            command,
            cwd=folder,
            env={"OMP_NUM_THREADS": "1", **os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DocsError(f"line {block.line}: exit status {done.returncode}\n{block.code}\n{done.stdout[-4000:]}")


def run_page(text: str, folder: Path, programs: Path | None = None) -> Counter[str]:
    """Runs a page's blocks in a folder; see :func:`run`.

    Returns:
        How many were run (under ""), and how many were not, by reason.
    """
    counted: Counter[str] = Counter()
    for block in blocks(text):
        if block.language not in SHOWN:
            counted[block.reason] += 1
            run(block, folder, programs)
    return counted


def main() -> None:
    """Runs all pages, or those that are named, two at a time, and prints what was run and what was not."""
    named = [Path(name).resolve() for name in sys.argv[1:]]
    pages = named or [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages.sort(key=lambda page: page.name not in ("papers.md", "tutorial.md"))  # the longest first
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as programs, serving(Path(programs)), ThreadPoolExecutor(2) as pool:
        try:
            total = sum(pool.map(functools.partial(_counted, programs=Path(programs)), pages), Counter())
        except DocsError as error:
            pool.shutdown(cancel_futures=True)
            sys.exit(str(error))
    print(f"ran {total.pop('', 0)} blocks in {time.monotonic() - began:.0f} s; checked only, or run by tests:")  # noqa: T201
    for reason, count in sorted(total.items()):
        print(f"{count:5} {reason}")  # noqa: T201


def _counted(page: Path, programs: Path) -> Counter[str]:
    text = page.read_text(encoding="utf-8")
    if page.name in BY_TESTS:
        count = sum(block.language not in SHOWN for block in blocks(text))
        return Counter({f"{page.name} is run by {BY_TESTS[page.name]}": count})
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            counted = run_page(text, Path(folder), programs)
        except DocsError as error:
            raise DocsError(f"{page.relative_to(ROOT)}, {error}") from error
    if counted[""]:
        print(f"{page.relative_to(ROOT)}: ran {counted['']} blocks in {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201
    return counted


if __name__ == "__main__":
    main()
