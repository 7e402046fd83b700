r"""Writes ``results/explain/*-conventions.json``: methods of a block under all conventions, from committed scores.

    python -m benchmarks.multiverses

The scores are those of ``results/explain/scores``: of each method's first network.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.ladders import rounded
from ood_bench.explain.cells import EXACT, PAPER
from ood_bench.explain.commands import multiverse_json
from ood_bench.explain.multiverse import multiverse
from ood_bench.explain.ranked import Ranked
from ood_bench.papers.block import load_blocks
from ood_bench.results import Record, RecordStore

METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "fssd_fashionmnist": ("auroc", "aupr_in", "fpr80"),
    "odin_densenet_cifar10": ("fpr95", "auroc", "aupr_out"),
    "odin_densenet_cifar100": ("fpr95", "auroc", "aupr_out"),
}
"""Metrics by block: those of its ladders."""
_NAMES: Final = {EXACT: "exact", PAPER: "float32"}


def ranked(path: Path) -> dict[str, Ranked]:
    """A cell's scores of its first network at the record's rows, by what is ranked."""
    with np.load(path) as file:
        kept = {what: name for what, name in _NAMES.items() if f"id-{name}-0" in file}
        return {what: Ranked(file[f"id-{name}-0"], file[f"ood-{name}-0"]) for what, name in kept.items()}


def of_block(name: str, results: Path) -> list[dict[str, Any]]:
    """A block's methods on the OOD sets of which every method's scores are there, metric by metric."""
    (block,) = (one for one in load_blocks() if one.name == name)
    cells: dict[str, dict[str, tuple[Record, Path]]] = {}
    for record in RecordStore(results).load():
        path = results / "explain/scores" / f"{record.cell_key}.npz"
        if block.holds(record) and path.is_file():
            cells.setdefault(record.method, {})[record.data.ood.title] = record, path
    sets = sorted(set.intersection(*map(set, cells.values())))
    scores = {method: [ranked(found[one][1]) for one in sets] for method, found in sorted(cells.items())}
    first = next(iter(cells.values()))[sets[0]][0]
    contents = []
    for metric in METRICS[name]:
        found = multiverse(scores, metric)
        title = f"{block.title}, {', '.join(sets)}: {len(found.universes)} conventions, seed {first.seed}"
        contents.append(multiverse_json(found, f"paper={name}", title, first.cell_key))
    return contents


def main() -> int:
    """Writes the files."""
    results = Path("results")
    for name in METRICS:
        text = json.dumps(rounded(of_block(name, results)), indent=1, sort_keys=True)
        (results / "explain" / f"{name}-conventions.json").write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
