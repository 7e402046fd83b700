"""A fresh ResNet-20 on a few embedded images, with both libraries."""

from pathlib import Path

import pytest

from benchmarks.ours import Ours
from benchmarks.subjects import Subject, embedded_subject
from benchmarks.theirs import Theirs


@pytest.fixture(scope="session")
def subject() -> Subject:
    """Six images of each set, and 24 to fit on."""
    return embedded_subject(6)


@pytest.fixture
def ours(subject: Subject, tmp_path: Path) -> Ours:
    """This library with an empty scratch folder."""
    return Ours(subject.classifier, subject.train, tmp_path)


@pytest.fixture(scope="session")
def theirs(subject: Subject) -> Theirs:
    """pytorch-ood with batches that do not fit the sets evenly."""
    return Theirs(subject.classifier, subject.train, batch_size=4)
