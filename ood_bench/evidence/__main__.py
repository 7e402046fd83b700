"""``ood-bench scores import | audit``: score files as records, and what speaks against published numbers."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.utils.configs import default_data_root
from ood_bench.utils.console import existing, one_message, plain_log

_log = logging.getLogger("ood_bench.evidence")


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench scores", description="Files of scores beside our own results.")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("import", help="make records of scores that were computed elsewhere")
    add.add_argument("files", type=Path, nargs="+", metavar="FILE", help=".npz, .npy, .csv or OpenOOD's .pkl")
    add.add_argument("--method", required=True, help="the method's name, as tables show it")
    add.add_argument("--id", required=True, help="the ID set, such as cifar10")
    add.add_argument("--protocol", default="openood_v15", help="default: openood_v15")
    add.add_argument("--model", help="the network's name; default: that of the paper's block")
    add.add_argument(
        "--config-dir", type=Path, action="append", default=[], metavar="DIR", help="a folder with papers of your own"
    )
    add.add_argument("--own", action="store_true", help="sets of your own: OOD sets are called as in the files")
    add.add_argument("--seed", type=int, default=0, help="the network's seed; default: 0")
    add.add_argument("--variant", default="", metavar="TEXT", help="sets the row apart from others of the method")
    add.add_argument(
        "--tuned-on", default="not stated", metavar="TEXT", help="what settings were chosen on, or: nothing"
    )
    add.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a hyperparameter, for the record")
    add.add_argument(
        "--id-accuracy", type=float, metavar="PERCENT", help="the network's, where the files cannot tell it"
    )
    add.add_argument("--higher", choices=("id", "ood"), default="id", help="which side has higher scores; default: id")
    add.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    store = Path(default_data_root()) / "store"
    add.add_argument("--store", type=Path, default=store, metavar="DIR", help="default: $OOD_BENCH_DATA/store")
    add.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the bootstrap; default: 1000")
    audit = commands.add_parser("audit", help="published numbers that have flags, with their reasons")
    audit.add_argument("csv", nargs="?", default="openood_v15", help="file of published numbers; default: openood_v15")
    audit.add_argument("--method", help="only of this method, as the file names it")
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; exit status 0 if all went well, 2 for what the user has to fix."""
    plain_log()
    chosen = build_parser().parse_args(arguments)
    return _import(chosen) if chosen.command == "import" else _audit(chosen)


def _import(chosen: argparse.Namespace) -> int:
    from ood_bench.evidence.benchmark import benchmark_of, own_benchmark  # noqa: PLC0415 - importing torch takes seconds
    from ood_bench.evidence.files import ID, VALIDATION  # noqa: PLC0415
    from ood_bench.evidence.records import Stated, import_scores, read_all  # noqa: PLC0415

    own = [existing("--config-dir", folder) for folder in chosen.config_dir]
    if chosen.own and not chosen.model:
        raise ConfigError("--own needs the network's name, as tables show it", "add --model NAME")
    if chosen.own:
        names = [name for name in read_all(chosen.files) if name not in (ID, VALIDATION, chosen.id)]
        benchmark = own_benchmark(chosen.id, chosen.protocol, chosen.model, names, own)
    else:
        benchmark = benchmark_of(chosen.id, chosen.protocol, own)
    stated = Stated(
        chosen.method,
        chosen.model or benchmark.model,
        chosen.seed,
        chosen.variant,
        chosen.tuned_on,
        _settings(chosen.set),
        higher_is_ood=chosen.higher == "ood",
        id_accuracy=chosen.id_accuracy,
    )
    options = {"results": chosen.results, "store": chosen.store, "resamples": chosen.resamples}
    paths = import_scores(chosen.files, benchmark, stated, **options)
    _log.info("%d records in %s; ood-bench report makes the tables", len(paths), chosen.results)
    return 0


def _settings(words: Sequence[str]) -> dict[str, Any]:
    found = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals:
            raise ConfigError(f"--set {word}: write KEY=VALUE, as in percentile=65")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found


def _audit(chosen: argparse.Namespace) -> int:
    from ood_bench import papers  # noqa: PLC0415 - importing pandas takes a second
    from ood_bench.papers.audit import flagged  # noqa: PLC0415

    rows = [(cell, flags) for cell, flags in flagged(chosen.csv) if chosen.method in (None, cell["method"])]
    for cell, flags in rows:
        place = ", ".join(
            str(cell[name]) for name in ("table", "method", "model", "id_dataset", "ood_dataset", "metric")
        )
        kinds = "; ".join(f"{flag.kind} ({flag.reason})" for flag in flags)
        sys.stdout.write(f"{place} = {cell['printed']}: {kinds}\n")
    _log.info("%d of %d published numbers have flags", len(rows), len(papers.load(chosen.csv)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
