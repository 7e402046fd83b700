"""What README, docs and workflows show works as it is written."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

import ood_bench
from ood_bench.cli.help import COMMANDS
from ood_bench.config import compose_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
QUICK = ["experiment=quickstart", "ood=uniform", "train.epochs=1", "scoring.resamples=0"]


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert match, f"README has no {language} block"
    return match[1]


@pytest.fixture
def own_method(tmp_path, monkeypatch):
    """README's method and config in a folder of their own, which is also the working directory."""
    (tmp_path / "tempered_entropy.py").write_text(_block("python"), encoding="utf-8")
    config = tmp_path / "my_conf/method/tempered_entropy.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(_block("yaml"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"hydra.searchpath=[file://{tmp_path}/my_conf]"


def test_the_method_of_your_own_runs_beside_the_shipped_ones(own_method):
    methods = "method=[msp,tempered_entropy]"
    plain = ood_bench.run([own_method, *QUICK, methods])
    assert list(plain["method"]) == ["msp", "tempered_entropy"]
    warmer = ood_bench.run([own_method, *QUICK, methods, "method.tempered_entropy.temperature=5"])
    assert plain.loc[1, "auroc"] != warmer.loc[1, "auroc"]
    assert plain.loc[0, "auroc"] == warmer.loc[0, "auroc"]


def _commands() -> list[str]:
    """Every ``ood-bench …`` that stands on a line of its own in README, in most docs and in the workflows."""
    sources = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("cluster.md", "speed.md", "verdicts.md"))]
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
        overrides = [word for word in words if "=" in word and not word.startswith(("hydra", "$"))]
        assert compose_settings([re.sub(r"^([\w.]+)=(\w+),.*", r"\1=\2", word) for word in overrides]).method


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_ask_make_for_targets_that_it_has(path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    asked = set(re.findall(r"- run: make ([a-z-]+)", path.read_text()))
    assert asked
    assert asked <= targets
