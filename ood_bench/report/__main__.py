"""``ood-bench report``: tables and page again from the records, or a check that they are up to date."""

import argparse
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from ood_bench.report.margins import DEFAULT, Margins
from ood_bench.utils.console import existing, one_message, plain_log
from ood_bench.utils.files import write_atomically

_log = logging.getLogger("ood_bench.report")


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="ood-bench report",
        description="Makes tables, page and plots of published numbers beside ours from a folder of records.",
    )
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    parser.add_argument(
        "--config-dir", type=Path, action="append", default=[], metavar="DIR", help="a folder with papers of your own"
    )
    parser.add_argument(
        "--readme",
        type=Path,
        metavar="FILE",
        help="also bring what stands between `<!-- table:NAME -->` and `<!-- /table -->` in FILE up to date",
    )
    for name, metrics, points in (("--margin", "most metrics", DEFAULT.usual), ("--fpr-margin", "FPRs", DEFAULT.fpr)):
        parser.add_argument(
            name,
            type=_points,
            default=points,
            metavar="POINTS",
            help=f"difference from a published number that does not matter, of {metrics}; default: {points:g}",
        )
    parser.add_argument("paper", nargs="?", metavar="paper=NAME", help="the block that --form is about")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--check", action="store_true", help="write nothing; exit with 1 if any file is out of date")
    action.add_argument(
        "--set-aside", type=Path, metavar="FILE", help="move a record to DIR/set-aside, then make the tables"
    )
    action.add_argument(
        "--form",
        choices=["mlrc"],
        help="write a reproducibility report on one block, Markdown and LaTeX, to DIR/mlrc: --form mlrc paper=NAME",
    )
    return parser


def _points(text: str) -> float:
    """A margin in points."""
    if not 0 <= (points := float(text)) < math.inf:
        raise argparse.ArgumentTypeError("a margin is a number of points, 0 or more")
    return points


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives 1 if ``--check`` found a difference, 2 for what the user has to fix, else 0."""
    plain_log()
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    key, _, name = (chosen.paper or "").partition("=")
    if (chosen.form is None) != (chosen.paper is None) or (chosen.paper and (key != "paper" or not name)):
        parser.error("a form is of one block, and a block has a form: --form mlrc paper=NAME")
    existing("--results", chosen.results)
    own = [existing("--config-dir", folder) for folder in chosen.config_dir]
    from ood_bench.report import mlrc, tables  # noqa: PLC0415 - matplotlib and pandas take seconds to import
    from ood_bench.results import RecordStore  # noqa: PLC0415

    margins = Margins(chosen.margin, chosen.fpr_margin)
    if chosen.form is not None:
        for file, text in mlrc.report(name, chosen.results, margins, own).items():
            path = chosen.results / mlrc.FOLDER / file
            write_atomically(path, text.encode())
            _log.info("wrote %s", path)
        return 0
    if chosen.check:
        differences = tables.check(chosen.results, chosen.readme, margins, own)
        for line in differences:
            _log.error("%s", line)
        if differences:
            _log.error("run `ood-bench report` with the same options to write them again")
        return 1 if differences else 0
    if chosen.set_aside is not None:
        _log.info("moved to %s", RecordStore(chosen.results).set_aside(chosen.set_aside))
    changed = tables.write(chosen.results, chosen.readme, margins, own)
    for path in changed:
        _log.info("wrote %s" if path.exists() else "removed %s", path)
    if not changed:
        _log.info("tables, page and plots in %s are up to date", chosen.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
