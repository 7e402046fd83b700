"""What ``ood-bench --help`` and ``ood-bench list`` show."""

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ood_bench
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import options
from ood_bench.utils.console import existing, one_message
from ood_bench.utils.suggest import did_you_mean


class Command(NamedTuple):
    """A command: the module with its ``main``, and what it does."""

    module: str
    about: str


COMMANDS = {
    "list": Command("ood_bench.cli.help", "options of a group; list method NAME says what one computes"),
    "new": Command("ood_bench.cli.new", "files of your own: ID or OOD set, model, method, paper"),
    "data": Command("ood_bench.data.__main__", "image sets: list, verify, fetch"),
    "checkpoints": Command("ood_bench.checkpoints.__main__", "published networks: list, fetch, verify, import"),
    "report": Command("ood_bench.report.__main__", "tables, plots and page from the records"),
    "scores": Command("ood_bench.evidence.__main__", "score files as records; audit of published numbers"),
    "compare": Command("ood_bench.report.compare", "paired tests of methods on the same images"),
    "explain": Command("ood_bench.explain.__main__", "why a number differs: a ladder of choices, all conventions"),
    "status": Command("ood_bench.sweep.status", "progress of sweeps"),
    "store": Command("ood_bench.store.__main__", "check, clear (gc) and export what is stored"),
}

GROUPS = {
    "model": "network, with its taps",
    "id": "in-distribution set, with its normalisation",
    "ood": "one or more OOD sets: ood=mnist, 'ood=[mnist,kmnist]'",
    "method": "one or more methods: method=msp, 'method=[msp,odin]'",
    "train": "recipe, if the classifier is not trained yet",
    "protocol": "rows, tuning, metric convention",
    "tune": "tuning rule",
    "paper": "a block of a paper's table, as a whole",
    "experiment": "a ready-made run",
}

_OVERVIEW = """\
ood-bench {version}: reproduces out-of-distribution (OOD) detection papers

usage:
  ood-bench [-m] GROUP=OPTION KEY=VALUE ...  run; -m: all combinations of a,b,c
  ood-bench COMMAND ...                      see ood-bench COMMAND --help

examples:
  ood-bench experiment=quickstart            embedded data, a minute on a CPU
  ood-bench method=odin ood=lsun_crop data.root=DATA
  ood-bench -m paper=fssd_fashionmnist seed=0,1,2 dry_run=true

commands:
{commands}

groups, with their number of options (ood-bench list GROUP shows them):
{groups}

values with = , ( ) ~ need quotes inside: 'checkpoint="epoch=1.ckpt"'
--cfg job shows all keys with their values; --hydra-help lists Hydra's flags
"""


def overview() -> str:
    """The whole program on one screen."""
    commands = "\n".join(f"  {name:11}  {command.about}" for name, command in COMMANDS.items())
    return _OVERVIEW.format(version=ood_bench.__version__, commands=commands, groups=_groups())


def _groups() -> str:
    return "\n".join(f"  {group:11} {len(options(group)):3}  {about}" for group, about in GROUPS.items())


def choices_of(option: str) -> str:
    """How a word that is the name of options is chosen: ``train=quickstart or experiment=quickstart``; else empty."""
    return " or ".join(f"{group}={option}" for group in GROUPS if option in options(group))


def explain(group: str, own: Sequence[Path] = ()) -> str:
    """The options of a group, one line each; cut to the width of the terminal if there is one.

    Args:
        group: the group's name.
        own: folders of configs beside the shipped one.

    Raises:
        ConfigError: if there is no such group.
    """
    if group not in GROUPS:
        hint = (
            f"to choose that option, write {option}" if (option := choices_of(group)) else "choose " + ", ".join(GROUPS)
        )
        raise ConfigError(f"there is no group {group!r}{did_you_mean(group, GROUPS)}", hint)
    found = options(group, own)
    width = max(map(len, found))
    lines = [f"{name:{width}}  {about}" for name, about in found.items()]
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        lines = [line if len(line) <= columns else f"{line[: columns - 1]}…" for line in lines]
    return "\n".join([f"{group}: {GROUPS[group]}", "", *lines, ""])


def explain_method(name: str) -> str:
    """What is known of one method: definition, paper, code, needs, hyperparameters; wrapped.

    Raises:
        ConfigError: if no such method is shipped.
    """
    from ood_bench.papers.methods import in_words, methods  # noqa: PLC0415 - its package imports pandas

    if name not in methods():
        raise ConfigError(f"there is no method {name!r}{did_you_mean(name, methods())}", "ood-bench list method")
    one = methods()[name]
    said = {
        "paper": one.source.words if one.source else "",
        "code": one.source.code_words if one.source else "",
        "needs": ", ".join(one.needs),
        "shipped": in_words(one.hyperparameters),
        "grid": in_words(one.grid),
    }
    lines = [f"{key}: {text}" for key, text in said.items() if text]
    lines += [f"deviation: {sentence}" for sentence in one.deviations]
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    paragraphs = [f"{name}: {one.about}", *one.definition.split("\n\n")]
    wrapped = ["\n".join(textwrap.wrap(paragraph, width)) for paragraph in paragraphs]
    return (
        "\n\n".join([*wrapped, "\n".join(textwrap.fill(line, width, subsequent_indent="  ") for line in lines)]) + "\n"
    )


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench list", description="Shows groups, or the options of one group.")
    parser.add_argument("group", nargs="?", help=", ".join(GROUPS))
    parser.add_argument(
        "--config-dir", type=Path, action="append", default=[], metavar="DIR", help="options of your own, too"
    )
    parser.add_argument("name", nargs="?", help="a method, to read what it computes, its paper, its grid")
    return parser


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs ``ood-bench list``; exit status 0, or 2 for an unknown group."""
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    own = [existing("--config-dir", folder) for folder in chosen.config_dir]
    if chosen.name is not None and chosen.group != "method":
        parser.error("only a method has more to say: ood-bench list method NAME")
    if chosen.name is not None:
        sys.stdout.write(explain_method(chosen.name))
    else:
        sys.stdout.write(f"{_groups()}\n" if chosen.group is None else explain(chosen.group, own))
    return 0
