"""Writes ``results/explain``: ladders of committed records, and the scores that a test computes them again from.

    python -m benchmarks.ladders --records results --store STORE \
        --openood RESULTS STORE --posthoc RESULTS STORE --write results/explain

``STORE`` has the score files of the committed records and the banks of the ODIN blocks; ``--openood`` what
``ood-bench scores import`` made of SCALE's score files; ``--posthoc`` the records of ``experiment=posthoc`` with banks.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ood_bench.data.imageset import Array
from ood_bench.explain import find, show
from ood_bench.explain.cells import EXACT, PAPER, KeptCell
from ood_bench.explain.chart import waterfall
from ood_bench.explain.explanation import Explanation
from ood_bench.explain.rebuilt import Rebuilt
from ood_bench.report.format import metric_title
from ood_bench.results import Record
from ood_bench.scoring.kept import NotKeptError

Arrays = dict[str, npt.NDArray[Any]]
BLOCKS: Final[Mapping[str, tuple[str, ...]]] = {
    "fssd_fashionmnist": ("auroc", "aupr_in", "fpr80"),
    "odin_densenet_cifar10": ("fpr95", "auroc", "aupr_out"),
    "odin_densenet_cifar100": ("fpr95", "auroc", "aupr_out"),
    "openood_cifar10": ("fpr95", "auroc", "aupr_in"),
}
"""Metrics of each block's ladders; the first is charted for cells of :data:`CHARTED`."""
CHARTED: Final = (
    "msp on gaussian, densenet_bc_100_12 on cifar10, seed 0",
    "scale on cifar100, resnet18 on cifar10, seed 0",
)
POSTHOC: Final = (
    ("ash", "cifar100", "fpr95", "plain:per_set,id_rows=300"),
    ("scale", "cifar100", "fpr95", "plain:per_set,id_rows=300"),
    ("react", "cifar100", "fpr95", "plain:per_set,id_rows=300"),
    ("msp", "cifar100", "fpr95", "openood_v15:none"),
    ("msp", "textures_subset", "fpr95", "openood_v15:none"),
    ("msp", "cifar100", "aupr_in", "fssd:none,fit_rows=100,select_rows=100"),
    ("knn", "cifar100", "auroc", "plain:none,train_rows=500"),
    ("mahalanobis_pp", "cifar100", "auroc", "plain:none,train_rows=500"),
)
"""Method, OOD set, metric and protocol of ladders on the ResNet-20 of the post-hoc table."""
SHARED: Final = ("openood_cifar10",)
"""Blocks whose scores the test has as files of their authors; those of the others are written, too."""


@dataclass(frozen=True)
class Climbed:
    """A ladder with the cell's record and those of its row's other networks."""

    record: Record
    beside: Sequence[Record]
    ladder: Explanation

    def as_json(self) -> dict[str, Any]:
        """What is written."""
        networks = [one.cell_key for one in self.beside]
        return {"other_networks": networks, **show.as_json(self.ladder)}


def of_block(name: str, results: Path, store: Path) -> Iterator[Climbed]:
    """The ladders of a block's rows, from the plain protocol to its own."""
    rows = find.rows_of(find.block_named(name), results)
    for metric in BLOCKS[name]:
        for record, beside in rows:
            yield Climbed(record, beside, find.of_record(record, beside, find.Asked(metric, "plain", "", store)))


def of_posthoc(results: Path, store: Path) -> Iterator[Climbed]:
    """The ladders of :data:`POSTHOC`."""
    for method, ood, metric, end in POSTHOC:
        (path,) = (results / "records/cifar10/resnet20/plain" / method / ood).glob("seed*.json")
        record = Record.from_json(path.read_bytes(), path)
        yield Climbed(record, [], find.of_record(record, [], find.Asked(metric, "plain", end, store)))


def page(name: str, climbed: Sequence[Climbed]) -> str:
    """Markdown: a table for each metric, then every ladder."""
    parts = [f"# {name}: why do the numbers differ?", "", "Percent; `python -m benchmarks.ladders` writes this file."]
    for metric in dict.fromkeys(one.ladder.metric for one in climbed):
        mine = [one.ladder for one in climbed if one.ladder.metric == metric]
        parts += ["", f"## {metric_title(metric)}", "", "```", show.block_table(mine).rstrip(), "```"]
        parts += [line for one in mine for line in ("", "```", show.text(one).rstrip(), "```")]
    return "\n".join(parts) + "\n"


def scores(one: Climbed, store: Path) -> Arrays:
    """What a cell's ladder is computed from, by ``SIDE-WHAT-N``: scores of network N.

    ``WHAT`` is ``exact`` or ``float32`` at the record's rows, or ``all`` at all rows where banks have them. Networks
    but the first have what the mean over networks needs: ranks among all rows together, a quarter of the bytes.
    """
    found: Arrays = {}
    for number, record in enumerate([one.record, *one.beside]):
        cell = KeptCell(record, store)
        assert cell.file is not None  # noqa: S101 - cells without scores have no ladder
        arrays: dict[str, Sequence[npt.NDArray[Any]]] = {"exact": cell.file.scores}
        if number:
            arrays["exact"] = _ranks(cell.file.scores)
        if isinstance(cell.banks, Rebuilt):
            with contextlib.suppress(NotKeptError):  # the ladder then says so
                paper = cell.known(None, PAPER).at(cell.file.rows)
                arrays["float32"] = tuple(side.astype(np.float32) for side in paper)
            if len(whole := cell.known(None, EXACT).scores[1]) > len(cell.file.scores[1]):
                arrays["all"] = cell.known(None, EXACT).scores[0], whole
        for what, pair in arrays.items():
            found |= {f"{side}-{what}-{number}": part for side, part in zip(("id", "ood"), pair, strict=True)}
    return found


def _ranks(scores: tuple[Array, Array]) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16]]:
    """Each score's place among the distinct ones of both sides."""
    places = np.unique(np.concatenate(scores), return_inverse=True)[1].astype(np.uint16)
    return places[: len(scores[0])], places[len(scores[0]) :]


def few_rows_scores(one: Climbed, store: Path) -> Arrays:
    """Scores of a cell whose method is fitted on all, and on the first few training images."""
    cell = KeptCell(one.record, store)
    few = find.split_train_rows(one.ladder.end)[1]
    both = {"exact-0": cell, f"train_rows={few}": cell.fitted_on(few)}
    return {
        f"{side}-{what}": part
        for what, fitted in both.items()
        for side, part in zip(("id", "ood"), fitted.known(None, EXACT).scores, strict=True)
    }


def settings_scores(one: Climbed, store: Path) -> Arrays:
    """Scores of all rows at every candidate of a tuned cell, as ``SIDE-NAME=VALUE``."""
    cell = KeptCell(one.record, store)
    found: Arrays = {}
    for setting in cell.detector.candidates():
        words = ",".join(f"{name}={value:g}" for name, value in setting.items())
        found |= {
            f"{side}-{words}": part for side, part in zip(("id", "ood"), cell.known(setting, EXACT).scores, strict=True)
        }
    return found


def write(name: str, climbed: Sequence[Climbed], store: Path, folder: Path) -> None:
    """Writes a block's JSON and Markdown, and the scores and charts of some cells."""
    (folder / "scores").mkdir(parents=True, exist_ok=True)
    content = json.dumps([rounded(one.as_json()) for one in climbed], indent=1, sort_keys=True)
    (folder / f"{name}.json").write_text(content + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(page(name, climbed), encoding="utf-8")
    for one in {each.record.cell_key: each for each in reversed(climbed)}.values():
        if name not in SHARED:
            end = one.ladder.end
            kept = settings_scores if "per_set" in end else few_rows_scores if "train_rows" in end else scores
            path = folder / "scores" / f"{one.record.cell_key}.npz"
            np.savez_compressed(path, allow_pickle=False, **kept(one, store))
        if one.ladder.title in CHARTED:
            (folder / f"{name}-{one.record.method}-{one.record.ood}.svg").write_bytes(waterfall(one.ladder)["svg"])


def rounded(content: Any) -> Any:
    """JSON-able content whose numbers have 12 digits: sums of floats differ in the last ones between machines."""
    if isinstance(content, Mapping):
        return {name: rounded(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [rounded(value) for value in content]
    return float(f"{content:.12g}") if isinstance(content, float) else content


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder.

    Args:
        arguments: the command line without the program's name; that of the process if none.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladders", description=__doc__)
    parser.add_argument("--records", type=Path, default=Path("results"), metavar="RESULTS")
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--openood", type=Path, nargs=2, required=True, metavar=("RESULTS", "STORE"))
    parser.add_argument("--posthoc", type=Path, nargs=2, required=True, metavar=("RESULTS", "STORE"))
    parser.add_argument("--write", type=Path, default=Path("results/explain"), metavar="FOLDER")
    chosen = parser.parse_args(arguments)
    for name in BLOCKS:
        results, store = chosen.openood if name.startswith("openood") else (chosen.records, chosen.store)
        write(name, list(of_block(name, results, store)), store, chosen.write)
    write("posthoc", list(of_posthoc(*chosen.posthoc)), chosen.posthoc[1], chosen.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
