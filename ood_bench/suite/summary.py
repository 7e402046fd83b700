"""What the suite has so far: speeds of the trainings as CSV, and a short table in the terminal."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ood_bench.models.classifier import CARD
from ood_bench.report.format import NOTHING
from ood_bench.results import RecordStore, frame
from ood_bench.utils.files import write_atomically

SPEEDS = "speeds.csv"


def _row(card: dict[str, Any]) -> dict[str, Any]:
    """One network's line; those trained before speeds were measured have none."""
    spec, speed = card["spec"], card.get("speed", {})
    return {
        "model": spec["model"]["name"],
        "recipe": card["recipe"],
        "seed": spec["seed"],
        "epochs": len(card["history"]),
        "id_accuracy": round(card["id_accuracy"], 2),
        "minutes": round(card["trained_seconds"] / 60, 2),
        "images_per_second": round(speed["images_per_second"]) if speed else None,
        "share_of_peak": speed.get("share_of_peak"),
        "precision": speed.get("precision"),
        "compiled": spec["recipe"].get("compile_mode", "default") if spec["recipe"]["compile"] else "no",
        "device": speed.get("device"),
        "key": card["key"],
    }


def write_speeds(results: Path, store: Path) -> None:
    """Writes ``speeds.csv`` beside the records: a line for each trained network that they name.

    Args:
        results: folder of the records.
        store: store with the networks' cards.
    """
    used = {network.key for record in RecordStore(results).load() for network in record.checkpoint.networks}
    cards = [json.loads(path.read_text()) for path in sorted((store / "classifiers").glob(f"*/{CARD}"))]
    rows = [_row(card) for card in cards if card.get("key") in used]
    if rows:
        write_atomically(results / SPEEDS, pd.DataFrame(rows).to_csv(index=False).encode())


def show(results: Path, console: Console) -> None:
    """Draws the speeds, then the mean AUROC over seeds for each network, protocol and method, a column an OOD set.

    Args:
        results: folder of the records.
        console: where to draw.
    """
    if (results / SPEEDS).is_file():
        rows = pd.read_csv(results / SPEEDS)
        shown = ["model", "recipe", "seed", "id_accuracy", "minutes", "images_per_second", "share_of_peak", "compiled"]
        console.print(_table("networks", rows[shown]))
    records = frame(RecordStore(results).load())
    chosen = records[records["variant"] == ""]
    if len(chosen):
        names = ["model", "protocol", "method"]
        means = chosen.pivot_table(index=names, columns="ood", values="auroc", aggfunc="mean").reset_index()
        console.print(_table("AUROC in percent, mean over seeds", means))


def _table(title: str, rows: pd.DataFrame) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD)
    for name in rows.columns:
        table.add_column(str(name), justify="left" if rows[name].dtype == object else "right", overflow="fold")
    for line in rows.itertuples(index=False):
        table.add_row(*(_text(value) for value in line))
    return table


def _text(value: Any) -> str:
    if pd.isna(value):
        return NOTHING
    return f"{value:.2f}" if isinstance(value, float) else str(value)
