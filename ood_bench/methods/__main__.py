"""``python -m ood_bench.methods`` writes ``methods.json`` and docs/methods.md, for programs and for people.

With ``--measured RESULTS`` it first writes ``definitions.csv``, from records of methods by several definitions.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ood_bench.errors import ConfigError
from ood_bench.methods.catalogue import write
from ood_bench.methods.definitions import compared
from ood_bench.papers import definitions
from ood_bench.results import RecordStore
from ood_bench.results.scores import ScoreStore
from ood_bench.utils.console import existing, one_message


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; exit status 0, or 2 for what the user has to fix."""
    parser = argparse.ArgumentParser(prog="python -m ood_bench.methods", description="Writes what is known of methods.")
    parser.add_argument("--measured", type=Path, metavar="DIR", help="results with methods by several definitions")
    parser.add_argument("--store", type=Path, metavar="DIR", help="artifact store, for intervals")
    chosen = parser.parse_args(arguments)
    if chosen.measured is not None:
        records = RecordStore(existing("--measured", chosen.measured)).load()
        scores = None if chosen.store is None else ScoreStore(existing("--store", chosen.store) / "scores")
        if not (found := compared(records, scores)):
            raise ConfigError(
                f"{chosen.measured} has no method that two definitions scored on the same sets",
                f"ood-bench -m experiment=definitions results.root={chosen.measured}",
            )
        definitions.FILE.write_text(definitions.as_csv(found), encoding="utf-8")
    return write()


if __name__ == "__main__":
    sys.exit(main())
