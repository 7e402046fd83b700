import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ood_bench.results import Record


@pytest.fixture(scope="session")
def sample_text() -> str:
    return (Path(__file__).parent / "sample_record.json").read_text()


@pytest.fixture
def fields(sample_text: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(sample_text)
    return content


@pytest.fixture
def make(fields: dict[str, Any]) -> Callable[..., Record]:
    def made(**changes: Any) -> Record:
        content = {key: value for key, value in copy.deepcopy(fields).items() if key != "schema"}
        return Record.of(content | changes)

    return made
