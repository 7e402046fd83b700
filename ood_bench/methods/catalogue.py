"""What is known of every shipped method, from its class and its config: one file for programs, one page for people."""

import inspect
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf

from ood_bench.methods.base import Detector, build_detector
from ood_bench.methods.posthoc import RowsDetector
from ood_bench.papers.methods import FILE, Method, in_words
from ood_bench.utils.configs import conf_dir, options

PAGE = "docs/methods.md"
_HEAD = """\
# Methods

Made by `python -m ood_bench.methods` from the classes in `ood_bench/methods` and their configs; do not edit.
A score is higher for in-distribution images, always. *Grid* is what `tune=aps`, `validation_ood` and `per_set` search
for a method that is given one value of each hyperparameter; `ood-bench list method NAME` shows one method.
"""
_LEARNS = "ID training images"


def catalogue() -> dict[str, Method]:
    """Every shipped method by config name, sorted."""
    return {name: _known(name, about) for name, about in options("method").items()}


def _known(name: str, about: str) -> Method:
    config: Any = OmegaConf.to_container(OmegaConf.load(conf_dir() / "method" / f"{name}.yaml"))
    config = {key: value for key, value in config.items() if key != "defaults"}
    kind: type[Detector] = get_class(config["_target_"])
    shipped = {key: value for key, value in config.items() if key not in ("_target_", "train")}
    detector = build_detector(name, {**shipped, "_target_": config["_target_"]}) if "train" not in config else None
    learns = isinstance(detector, RowsDetector) and detector.learns
    grid = getattr(kind, "published_grid", {})
    return Method(
        about=about,
        definition=_definition(kind),
        needs=(*kind.needs, *([_LEARNS] if learns and _LEARNS not in kind.needs else [])),
        hyperparameters={key: shipped[key] for key in shipped if key not in ("outliers", "validation")},
        grid={key: list(values) for key, values in grid.items()},
        deviations=tuple(detector.deviations()) if detector else (),
        source=kind.source,
    )


def _definition(kind: type[Detector]) -> str:
    """The docstring up to its list of attributes, as Markdown."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:")[0]
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")
    return "\n\n".join(re.sub(r"\s*\n(?!- )\s*", " ", one) for one in text.strip().split("\n\n"))


def as_json(found: dict[str, Method]) -> str:
    """What :func:`ood_bench.papers.methods.methods` reads."""
    return json.dumps({name: asdict(one) for name, one in found.items()}, indent=1, ensure_ascii=False) + "\n"


def as_markdown(found: dict[str, Method]) -> str:
    """The page of all methods."""
    rows = [
        f"| [{name}](#{name}) | {one.about} | {', '.join(one.needs)} | {one.source.year if one.source else ''} |"
        for name, one in found.items()
    ]
    table = "\n".join(["| method | what it is | needs | year |", "| --- | --- | --- | --- |", *rows])
    return "\n".join([_HEAD, table, "", *(_section(name, one) for name, one in found.items())])


def _section(name: str, one: Method) -> str:
    items = []
    if one.source is not None:
        paper = f"[{one.source.words}]({one.source.link})" if one.source.link else one.source.words
        items.append(f"- Paper: {paper}")
        items.append(f"- Code: {one.source.code_words or 'none by the authors is known'}")
    items.append(f"- Needs: {', '.join(one.needs)}")
    if one.hyperparameters:
        items.append(f"- Shipped: {in_words(one.hyperparameters, '`')}")
    if one.grid:
        items.append(f"- Grid: {in_words(one.grid, '`')}")
    items += [f"- Deviation: {sentence}" for sentence in one.deviations]
    return "\n".join([f"## {name}", "", one.definition, "", *items, ""])


def write() -> int:
    """Writes ``methods.json`` and, in a checkout, the page; exit status 0."""
    found = catalogue()
    FILE.write_text(as_json(found), encoding="utf-8")
    page = Path(__file__).resolve().parents[2] / PAGE
    if page.parent.is_dir():
        page.write_text(as_markdown(found), encoding="utf-8")
    return 0
