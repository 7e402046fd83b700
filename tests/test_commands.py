"""What README, docs and workflows show works as it is written."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from ood_bench.cli.help import COMMANDS
from ood_bench.config import compose_settings

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def _commands() -> list[str]:
    """Every ``ood-bench …`` that stands on a line of its own in README, docs and workflows."""
    sources = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    texts = [path.read_text(encoding="utf-8") for path in (*sources, *WORKFLOWS)]
    found = [
        one for text in texts for one in re.findall(r"^(?: +|.*/)ood-bench ((?:[^#\n\\]|\\\n)+)", text, re.MULTILINE)
    ]
    commands = [" ".join(command.replace("\\\n", " ").split()) for command in found]
    return sorted({command for command in commands if "my_conf" not in command})


@pytest.mark.parametrize("command", _commands())
def test_shown_commands_are_understood(command):
    """Commands have the arguments that are shown, and runs compose."""
    words = shlex.split(command)
    if words[0] in COMMANDS:
        importlib.import_module(COMMANDS[words[0]].module).build_parser().parse_args(words[1:])
    elif "--help" not in words:
        not_composed = ("hydra", "$", "paper=glob(")
        overrides = [word for word in words if "=" in word and not word.startswith(not_composed)]
        assert compose_settings([re.sub(r"^([\w.]+)=(\w+),.*", r"\1=\2", word) for word in overrides]).method


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_ask_make_for_targets_that_it_has(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"- run: make ([a-z-]+)", path.read_text()))
    assert asked
    assert asked <= targets
