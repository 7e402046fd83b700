from pathlib import Path

import pytest

from ood_bench.config import compose_settings
from ood_bench.sweep.plan import job_of


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Overrides of a tiny run on embedded digits, its store and results in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return [
        "experiment=quickstart",
        "ood.uniform.source.count=20",
        "ood=uniform",
        "id.train.test_fraction=0.9",
        "id.test.test_fraction=0.03",
        "train.epochs=1",
        "scoring.resamples=0",
        "device=cpu",
    ]


@pytest.fixture
def job(toy):
    """Makes a job of the toy run with further overrides."""

    def made(*words):
        return job_of([*toy, *words], compose_settings([*toy, *words]))

    return made


@pytest.fixture
def store():
    return Path("outputs/quickstart/store")
