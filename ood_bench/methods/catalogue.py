"""What is known of every shipped method, from its class and its config: one file for programs, one page for people."""

import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra.utils import get_class
from omegaconf import OmegaConf

from ood_bench.methods.base import Detector, build_detector
from ood_bench.methods.posthoc import RowsDetector
from ood_bench.papers.definitions import Measured, measured
from ood_bench.papers.methods import FILE, Method, in_words
from ood_bench.utils.configs import conf_dir, options

PAGE = "docs/methods.md"
_HEAD = """\
# Methods

Made by `python -m ood_bench.methods` from the classes in `ood_bench/methods` and their configs; do not edit.
A score is higher for in-distribution images, always. *Grid* is what `tune=aps`, `validation_ood` and `per_set` search
for a method that is given one value of each hyperparameter; `ood-bench list method NAME` shows one method.
"""
_OTHERS = """\
## Other definitions

Where libraries compute something else under a name, `method.NAME.definition` chooses whose it is, and records and
tables name it. This is what that changed in mean AUROC, in percent, the largest difference first; in brackets its 95 %
interval by DeLong. Variants that a hyperparameter chooses (ASH's `kind`) or that are methods of their own (`ash_map`,
`scale_map`, `nac_layers`, `gradnorm_all`) are rows of the tables of results.
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


def as_markdown(found: dict[str, Method], others: Sequence[Measured] = ()) -> str:
    """The page of all methods, with what other definitions of them changed."""
    rows = [
        f"| [{name}](#{name}) | {one.about} | {', '.join(one.needs)} | {one.source.year if one.source else ''} |"
        for name, one in found.items()
    ]
    table = "\n".join(["| method | what it is | needs | year |", "| --- | --- | --- | --- |", *rows])
    sections = [_section(name, one, [other for other in others if other.method == name]) for name, one in found.items()]
    return "\n".join([_HEAD, *([_differences(others)] if others else []), table, "", *sections])


def _differences(others: Sequence[Measured]) -> str:
    rows = [
        f"| [{one.method}](#{one.method}) | {one.label} | {one.shipped:.2f} | {one.other:.2f} | {one.points} "
        f"| {one.model} on {one.id}, {one.sets} OOD sets |"
        for one in sorted(others, key=lambda one: (-abs(one.difference), one.place))
    ]
    head = ["| method | as | shipped | as that | difference | measured with |", "| --- | --- | --: | --: | --: | --- |"]
    return "\n".join([_OTHERS, *head, *rows, "", "## All methods", ""])


def _section(name: str, one: Method, others: Sequence[Measured]) -> str:
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
    items += [f"- {other.words}" for other in others]
    return "\n".join([f"## {name}", "", one.definition, "", *items, ""])


def write() -> int:
    """Writes ``methods.json`` and, in a checkout, the page; exit status 0."""
    found = catalogue()
    FILE.write_text(as_json(found), encoding="utf-8")
    page = Path(__file__).resolve().parents[2] / PAGE
    if page.parent.is_dir():
        page.write_text(as_markdown(found, measured()), encoding="utf-8")
    return 0
