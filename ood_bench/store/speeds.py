"""How fast classifiers were trained, and how accurate they became, from their cards in the store."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from ood_bench.models.classifier import CARD


def speeds(store: Path) -> pd.DataFrame:
    """One row for each classifier of a store that was trained here, oldest first; unknown values are empty."""
    return pd.DataFrame([_row(card) for card in trained_cards(store)])


def trained_cards(store: Path) -> list[dict[str, Any]]:
    """Cards of the classifiers that were trained here, oldest first; what is damaged is of no use and left out."""
    cards = []
    for path in sorted((store / "classifiers").glob(f"*/{CARD}"), key=lambda path: path.stat().st_mtime):
        with contextlib.suppress(OSError, ValueError):
            cards.append(json.loads(path.read_text(encoding="utf-8")))
    return [card for card in cards if card.get("history")]


def _row(card: dict[str, Any]) -> dict[str, Any]:
    spec, speed = card["spec"], card.get("speed") or {}
    rate = speed.get("images_per_second")
    return {
        "model": spec["model"]["name"],
        "recipe": card["recipe"],
        "seed": spec["seed"],
        "epochs": len(card["history"]),
        "id_accuracy": round(card["id_accuracy"], 2),
        "minutes": round(card["trained_seconds"] / 60, 2),
        "images_per_second": None if rate is None else round(rate),
        "share_of_peak": speed.get("share_of_peak"),
        "precision": speed.get("precision"),
        "compiled": spec["recipe"].get("compile_mode", "default") if spec["recipe"]["compile"] else "no",
        "device": speed.get("device"),
        "key": card["key"],
    }
