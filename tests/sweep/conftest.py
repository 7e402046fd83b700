from pathlib import Path

import pytest

from ood_bench.config import compose_settings
from ood_bench.sweep.plan import job_of


@pytest.fixture
def toy(quick):
    """Overrides of the cheapest run without its method."""
    return [word for word in quick if word != "method=msp"]


@pytest.fixture
def job(toy):
    """Makes a job of the toy run with further overrides."""

    def made(*words):
        return job_of([*toy, *words], compose_settings([*toy, *words]))

    return made


@pytest.fixture
def store():
    return Path("outputs/quickstart/store")
