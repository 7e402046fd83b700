"""``ood-bench compare``: paired tests of methods on the same images, or ranks over networks."""

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ood_bench.errors import ConfigError
from ood_bench.utils.configs import default_data_root
from ood_bench.utils.console import existing, one_message, plain_log
from ood_bench.utils.files import write_atomically

if TYPE_CHECKING:
    from ood_bench.results import Record

_log = logging.getLogger("ood_bench.report.paired")


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(
        prog="ood-bench compare",
        description="Tests every two methods that scored the same images: DeLong's test and a paired bootstrap.",
    )
    store = Path(default_data_root()) / "store"
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    parser.add_argument("--store", type=Path, default=store, metavar="DIR", help=f"artifact store; default: {store}")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument(
        "--means", action="store_true", help="mean AUROC over OOD sets, each method against its network's best"
    )
    instead.add_argument(
        "--ranks", action="store_true", help="ranks over networks, with tests and a plot; needs no scores"
    )
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; gives 0, or 2 for what the user has to fix, such as scores that were not kept."""
    plain_log()
    chosen = build_parser().parse_args(arguments)
    existing("--results", chosen.results)
    from ood_bench.report import means, paired  # noqa: PLC0415 - importing scipy and pandas takes seconds
    from ood_bench.results import RecordStore  # noqa: PLC0415
    from ood_bench.results.scores import ScoreStore  # noqa: PLC0415

    records = RecordStore(chosen.results).load()
    if chosen.ranks:
        return _rank(records, chosen.results)
    scores = ScoreStore(chosen.store / "scores")
    if chosen.means:
        files = means.csv_files(means.tests(records, scores))
    else:
        files = paired.csv_files(paired.tests(records, scores, chosen.resamples))
    if not files:
        raise ConfigError(
            f"{chosen.results} has no two records whose scores are in {chosen.store}",
            "score the cells again with scoring.details=all and the same store.root",
        )
    for name, text in files.items():
        path = chosen.results / paired.PAIRED / name
        write_atomically(path, text.encode())
        _log.info("wrote %s: %d tests", path, text.count("\n") - 1)
    return 0


def _rank(records: "Iterable[Record]", results: Path) -> int:
    """``--ranks``: tables and plots of every ranking, and what each cannot say."""
    from ood_bench.report import paired, rank_plot, ranks  # noqa: PLC0415 - importing matplotlib takes a second

    found = ranks.rankings(records)
    if not found:
        raise ConfigError(
            f"{results} has no three methods that two networks scored on all of their OOD sets",
            "ranks are taken over networks: run more seeds, or more checkpoints",
        )
    files = {f"{paired.PAIRED}/{name}": text.encode() for name, text in ranks.csv_files(found).items()}
    files |= {f"plots/{name}": content for name, content in rank_plot.of(found).items()}
    for name, content in files.items():
        write_atomically(results / name, content)
        _log.info("wrote %s", results / name)
    for (protocol, images), ranking in found.items():
        _log.info("%s, %s: %s", protocol, images or "all ID sets", ranking.summary)
    return 0
