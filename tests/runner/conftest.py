"""What tests of runs share."""

import pytest

from ood_bench.training import artifact


@pytest.fixture
def trainings(monkeypatch):
    """Titles of the classifiers that are trained."""
    titles = []
    trainer = artifact.Trainer

    def record(spec, *rest):
        titles.append(spec.title)
        return trainer(spec, *rest)

    monkeypatch.setattr(artifact, "Trainer", record)
    return titles
