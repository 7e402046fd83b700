"""``python -m ood_bench.cli.reference`` writes ``docs/reference`` from configs, classes and commands."""

import argparse
import importlib
import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields as struct_fields

from ood_bench.cli.help import COMMANDS, GROUPS
from ood_bench.utils.configs import conf_dir, options

FOLDER = Path("docs/reference")
_MADE = "Made by `python -m ood_bench.cli.reference`; do not edit."
_ENVIRONMENT = ("OOD_BENCH_DATA", "OOD_BENCH_CHECKPOINTS")
_ENTRY = re.compile(r"^(\w+): (.*)$")


def pages() -> dict[str, str]:
    """Content of every page, by file name."""
    found = {
        "settings.md": _settings(),
        "options.md": _options(),
        "sources.md": _sources(),
        "recipe.md": _recipe(),
        "record.md": _record(),
        "conventions.md": _conventions(),
        "commands.md": _commands(),
    }
    return {name: f"{text.rstrip()}\n" for name, text in found.items()}


def _page(title: str, about: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _MADE, about, *parts])


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    """Text that is one cell of a table; what is code has no pipes."""
    return text if text.startswith("`") else text.replace("|", "&#124;").replace("<", "&lt;")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _settings() -> str:
    """Every key of ``conf/config.yaml`` with its default and its comment."""
    rows, above = list[list[str]](), list[str]()
    for line in (conf_dir() / "config.yaml").read_text(encoding="utf-8").partition("\nseed:")[2].splitlines():
        text = f"seed:{line}" if not rows and not above else line
        if not (found := re.match(r"( *)([\w]+):\s*(.*?)(?:\s+#\s*(.*))?$", text)):
            continue
        indent, key, value, comment = found.groups()
        value, comment = ("", value.removeprefix("# ")) if value.startswith("#") else (value, comment)
        if not indent and key == "hydra":
            break
        above = [*above[: len(indent) // 2], key]
        rows.append([_code(".".join(above)), _code(value), comment or ""])
    return _page(
        "Settings",
        "Each is set on the command line as `KEY=VALUE`: `seed=[0,1,2]`, `scoring.resamples=0`. "
        "`ood-bench --cfg job ...` shows all keys of a run with their values, those of the chosen options too.",
        _table(["key", "default", "meaning"], rows),
    )


def _options() -> str:
    parts = []
    for group, about in GROUPS.items():
        rows = [[_code(name), line] for name, line in options(group).items()]
        parts += [f"## {group}", f"{about[0].upper()}{about[1:]}.", _table([_code(f"{group}="), ""], rows)]
    return _page("Options of every group", "`ood-bench list GROUP` shows the same in the terminal.", *parts)


def _described(kind: Any) -> dict[str, str]:
    """What the docstrings of a class and its bases say of their attributes."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        lines = inspect.cleandoc(one.__doc__ or "").partition("\nAttributes:\n")[2].splitlines()
        name = ""
        for line in lines:
            if line and not line.startswith(" "):
                break
            if entry := _ENTRY.match(line[4:]):
                name, found[entry[1]] = entry[1], entry[2]
            elif name and line.strip():
                found[name] += f" {line.strip()}"
    return {name: _plain(text) for name, text in found.items()}


def _plain(text: str) -> str:
    """A docstring's markup as Markdown."""
    return re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text).replace("``", "`")


def _summary(kind: Any) -> str:
    text = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:")[0]
    return _plain("\n\n".join(" ".join(one.split()) for one in text.strip().split("\n\n")))


def _annotation(annotation: Any) -> str:
    """A type as a reader knows it: names without modules, no pipes."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", inspect.formatannotation(annotation)).replace(" | ", " or ")


def _fields(kind: Any) -> Iterator[tuple[str, str, str]]:
    """Name, type and default of every field of a dataclass, a struct of msgspec or a pydantic model."""
    types = get_type_hints(kind)  # without what pydantic adds
    if is_dataclass(kind):
        for item in fields(kind):
            default = "" if item.default is MISSING else repr(item.default)
            yield item.name, _annotation(types[item.name]), default if item.default_factory is MISSING else "..."
        return
    if issubclass(kind, Struct):
        for one in struct_fields(kind):
            default = "" if one.required else "..." if one.default is NODEFAULT else repr(one.default)
            yield one.encode_name, _annotation(types[one.name]), default
        return
    for name, one in kind.model_fields.items():
        default = "..." if one.default_factory else "" if one.is_required() else repr(one.default)
        yield one.alias or name, _annotation(types[name]), default


def _fields_table(kind: Any, leave_out: Sequence[str] = ()) -> str:
    described = _described(kind)
    rows = [
        [_code(name), _code(annotation), _code(default), described.get(name, described.get(f"{name}_version", ""))]
        for name, annotation, default in _fields(kind)
        if name not in leave_out
    ]
    return _table(["key", "type", "default", "meaning"], rows)


def _sources() -> str:
    from ood_bench.data.sources import KINDS  # noqa: PLC0415 - importing the readers takes a second

    parts = []
    for kind, source in KINDS.items():
        parts += [f"## kind: {kind}", _summary(source), _fields_table(source, ("name", "variant"))]
    return _page(
        "Kinds of image sources",
        "The node `source` of an OOD set and the nodes `train` and `test` of an ID set have `kind` and the keys of "
        "that kind. Paths are below `data.root`, or begin with a slash. `name` and `variant` are those of the set.",
        *parts,
    )


def _recipe() -> str:
    from ood_bench.training.recipe import Recipe  # noqa: PLC0415 - importing torch takes seconds

    nested = []
    for item in fields(Recipe):
        if is_dataclass(item.type):
            nested += [f"## {item.name}", _summary(item.type), _fields_table(item.type)]
    return _page(
        "Recipes",
        "What a file of `conf/train` may say; on the command line `train.KEY=VALUE`.",
        _fields_table(Recipe),
        *nested,
    )


def _record() -> str:
    from ood_bench.results import Record, schema  # noqa: PLC0415 - importing NumPy takes a while

    kinds = [one for one in vars(schema).values() if isinstance(one, type) and one.__module__ == schema.__name__]
    parts = [part for kind in kinds if kind is not schema.Part for part in _part(kind)]
    about = (
        "One JSON file for each cell, below `results/records`; `ood-bench store export FILE.csv` makes a table of them."
    )
    return _page("Records", about, _fields_table(Record), *parts)


def _part(kind: Any) -> list[str]:
    return [f"## {kind.__name__}", _summary(kind), _fields_table(kind)]


def _conventions() -> str:
    from ood_bench.metrics import conventions  # noqa: PLC0415 - importing scipy takes a second

    rows = [
        [_code(one.name), {"id": "ID", "ood": "OOD"}[one.positive], _plain(one.description)] for one in conventions._ALL
    ]
    return _page(
        "Metric conventions",
        "How scores become numbers in one paper's code. A protocol names one; every record has the exact metrics "
        "beside it. Formulas: [metrics](../metrics.md). Which protocol has which: [protocols](../protocols.md).",
        _table(["convention", "positive", "what it computes"], rows),
    )


def _commands() -> str:
    before = {name: os.environ.pop(name) for name in _ENVIRONMENT if name in os.environ}
    try:
        parts = [part for name in COMMANDS for part in _command(name)]
    finally:
        os.environ.update(before)
    return _page("Commands", "`ood-bench COMMAND --help` shows the same.", *parts)


def _command(name: str) -> Iterator[str]:
    parser = importlib.import_module(COMMANDS[name].module).build_parser()
    yield from _parser(f"ood-bench {name}", parser, parser.description or "", "##")


def _parser(title: str, parser: argparse.ArgumentParser, about: str, level: str) -> Iterator[str]:
    yield f"{level} {title}"
    yield about
    rows, below = [], dict[str, Any]()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            texts: Mapping[str, str] = {one.dest: one.help or "" for one in action._choices_actions}
            below = {word: (one, texts.get(word, "")) for word, one in action.choices.items()}
        elif "--help" not in action.option_strings:
            rows.append([_code(_shown(action)), _help(action, parser)])
    if rows:
        yield _table(["argument", "meaning"], rows)
    for word, (one, text) in below.items():
        yield from _parser(f"{title} {word}", one, f"{text[:1].upper()}{text[1:]}.", f"{level}#")


def _shown(action: argparse.Action) -> str:
    value = (
        action.metavar
        or ("" if action.choices is None else " or ".join(map(str, action.choices)))
        or action.dest.upper()
    )
    if not action.option_strings:
        return str(value)
    return action.option_strings[-1] + (f" {value}" if action.nargs != 0 else "")


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    return (action.help or "") % {**vars(action), "prog": parser.prog}


def main() -> int:
    """Writes every page that changed; exit status 0."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
