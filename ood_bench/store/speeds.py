"""How fast classifiers were trained, and how accurate they became, from their cards in the store."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ood_bench.models.card import CARD, read_card
from ood_bench.store.inventory import kind_of

if TYPE_CHECKING:
    import pandas as pd


def speeds(store: Path) -> "pd.DataFrame":
    """One row for each classifier of a store that was trained here, oldest first; unknown values are empty."""
    import pandas as pd  # noqa: PLC0415 - a sweep's plan reads cards alone, and it takes long to import

    return pd.DataFrame([_row(card) for card in trained_cards(store)])


def trained_cards(store: Path) -> list[dict[str, Any]]:
    """Cards of the classifiers that were trained here, oldest first; what is damaged is of no use and left out."""
    return [card for _, card in sorted(_cards(store), key=lambda one: one[0])]


def _cards(store: Path) -> Iterator[tuple[float, dict[str, Any]]]:
    """Usable cards with the times at which they were written."""
    for path in (store / "classifiers").glob(f"*/{CARD}"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            card, written = read_card(path.parent), path.stat().st_mtime
            if kind_of("classifiers", path.parent) == "classifiers" and card.get("history"):
                _row(card)
                seconds_an_image(card)
                yield written, card


def seconds_an_image(card: dict[str, Any]) -> float | None:
    """What training took for one image and epoch; none where the card does not say how many images there were."""
    if not (data := card.get("data")):
        return None
    return float(card["trained_seconds"]) / max(len(card["history"]) * data["n"], 1)


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
