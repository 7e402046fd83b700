"""``ood-bench explain``: why a number differs, choice by choice, from what was kept."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ood_bench.errors import ConfigError
from ood_bench.utils.configs import default_data_root, look_in, options
from ood_bench.utils.console import existing, one_message, plain_log
from ood_bench.utils.files import write_atomically
from ood_bench.utils.suggest import did_you_mean

FOLDER = "explain"
"""Where charts and their JSON, which the page shows, lie below a results folder."""
BESIDE = "conventions"
"""Where tables of two conventions lie."""
_log = logging.getLogger("ood_bench.explain")


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="ood-bench explain",
        description="A ladder from one evaluation of a cell to another, one rung a choice, from kept scores and banks.",
    )
    add = parser.add_argument
    add(
        "what",
        nargs="*",
        metavar="CELL|paper=NAME",
        help="a cell's key or record file, two of them, or a paper's block",
    )
    store = Path(default_data_root()) / "store"
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    add("--store", type=Path, default=store, metavar="DIR", help=f"artifact store; default: {store}")
    add("--config-dir", type=Path, action="append", default=[], metavar="DIR", help="a folder with configs of your own")
    add("--metric", default="fpr95", help="default: fpr95")
    add("--from", dest="start", default="plain", metavar="PROTOCOL[:TUNE][,KEY=VALUE]", help="default: plain")
    add("--to", default="", metavar="PROTOCOL[:TUNE][,KEY=VALUE]", help="default: that of the record")
    add("--all", action="store_true", help="methods of the block, or beside the cell, under all conventions")
    add("--conventions", default="", metavar="A,B", help="tables of all methods in two metric conventions")
    add("--methods", default="", metavar="NAMES", help="which methods these tables have; default: all")
    add("--json", type=Path, metavar="FILE", help="writes everything to FILE")
    add("--no-charts", action="store_true", help=f"writes none below RESULTS/{FOLDER}")
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives 0, or 2 for what the user has to fix, such as scores that were not kept."""
    plain_log()
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    chosen.config_dir = [existing("--config-dir", folder) for folder in chosen.config_dir]
    papers = _papers(chosen.what, chosen.config_dir)
    existing("--results", chosen.results)
    existing("--store", chosen.store)
    look_in(Path.cwd())
    if chosen.conventions:
        return _two_conventions(chosen)
    if not 1 <= len(chosen.what) <= 2 or (papers and len(chosen.what) > 1):
        parser.error("name one cell, two cells, or one paper=NAME")
    if chosen.all and len(chosen.what) > 1:
        parser.error("--all takes one paper=NAME or one cell")
    from ood_bench.explain import commands  # noqa: PLC0415 - importing torch takes seconds

    if chosen.all:
        shown = commands.every_convention(chosen.what[0], chosen.results, commands.asked_for(chosen))
    elif papers:
        shown = commands.ladders(papers[0], chosen.results, commands.asked_for(chosen))
    else:
        shown = commands.ladder(chosen.what, chosen.results, commands.asked_for(chosen))
    sys.stdout.write(shown.text)
    if chosen.json is not None:
        _write(chosen.json, commands.as_bytes(shown.content))
    if not chosen.no_charts:
        for name, chart in shown.charts():
            for ending, content in chart.items():
                _write(chosen.results / FOLDER / f"{name}.{ending}", content)
    return 0


def _papers(words: Sequence[str], own: Sequence[Path]) -> list[str]:
    """The papers that are named; raises :class:`ConfigError` for one that there is not."""
    papers = [word.removeprefix("paper=") for word in words if word.startswith("paper=")]
    known = options("paper", own)
    for name in papers:
        if name not in known:
            raise ConfigError(
                f"no paper {name!r}{did_you_mean(name, known)}",
                "ood-bench list paper shows all; --config-dir DIR adds yours",
            )
    return papers


def _two_conventions(chosen: argparse.Namespace) -> int:
    from ood_bench.explain.beside import beside, two_conventions  # noqa: PLC0415 - importing torch takes seconds
    from ood_bench.explain.beside_page import files  # noqa: PLC0415
    from ood_bench.results import RecordStore  # noqa: PLC0415

    names = two_conventions(chosen.conventions)
    methods = [name for name in chosen.methods.split(",") if name]
    tables = beside(RecordStore(chosen.results).load(), chosen.store, names, methods, tuple(chosen.config_dir))
    for name, text in files(tables).items():
        _write(chosen.results / BESIDE / name, text.encode())
    return 0


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, content)
    _log.info("wrote %s", path)


if __name__ == "__main__":
    sys.exit(main())
