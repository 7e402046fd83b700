"""The workflows for GitHub ask for things that exist."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ood_bench.config import compose_settings

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(path):
    jobs = OmegaConf.to_container(OmegaConf.create(path.read_text().replace("${{", "<").replace("}}", ">")))["jobs"]
    return {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_make_knows_its_targets(path):
    asked = [run.split()[1] for runs in commands(path).values() for run in runs if run.startswith("make ")]
    assert asked
    assert set(asked) <= TARGETS


def test_lint_tests_cluster_and_tables_are_separate_jobs():
    found = commands(ROOT / ".github/workflows/ci.yml")
    assert found["lint"] == ["make lint"]
    assert found["test"] == ["make test"]
    assert found["cluster"] == ["make test-cluster"]
    assert found["tables"][:2] == ["make tables", "git diff --exit-code --stat"]


def test_the_scheduled_sweep_composes():
    (sweep,) = (run for run in commands(ROOT / ".github/workflows/gpu.yml")["sweep"] if " -m ood_bench -m " in run)
    words = [re.sub(r"^([\w.]+)=(\w+),.*", r"\1=\2", word) for word in sweep.split(" -m ood_bench -m ")[1].split()]
    settings = compose_settings(words)
    assert settings.paper is not None
    assert settings.device == "cuda"
