"""What README shows works as it is written."""

import re
from pathlib import Path

import pytest

import ood_bench
from ood_bench.config import compose_settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = ["experiment=quickstart", "ood=uniform", "train.epochs=1", "scoring.resamples=0"]


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert match, f"README has no {language} block"
    return match[1]


@pytest.fixture
def own_method(tmp_path, monkeypatch):
    """README's method and config in a folder of their own, which is also the working directory."""
    (tmp_path / "entropy.py").write_text(_block("python"), encoding="utf-8")
    config = tmp_path / "my_conf/method/entropy.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(_block("yaml"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"hydra.searchpath=[file://{tmp_path}/my_conf]"


def test_the_method_of_your_own_runs_beside_the_shipped_ones(own_method):
    methods = "method=[msp,entropy]"
    plain = ood_bench.run([own_method, *QUICK, methods])
    assert list(plain["method"]) == ["msp", "entropy"]
    warmer = ood_bench.run([own_method, *QUICK, methods, "method.entropy.temperature=5"])
    assert plain.loc[1, "auroc"] != warmer.loc[1, "auroc"]
    assert plain.loc[0, "auroc"] == warmer.loc[0, "auroc"]


def _commands() -> list[str]:
    runs = re.findall(r"^ +python -m ood_bench (?!--)(?:-m )?([^#\n]+)", README, re.MULTILINE)
    return [" ".join(command.split()).replace("DATA", "data") for command in runs]


@pytest.mark.parametrize("command", [command for command in _commands() if "my_conf" not in command])
def test_its_run_commands_compose(command):
    overrides = [re.sub(r"^([\w.]+)=(\w+),.*", r"\1=\2", word) for word in command.split()]
    assert compose_settings(overrides).method
