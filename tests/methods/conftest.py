"""Gives the toys of ``tests/methods/toys.py`` to the tests of this folder."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

NAME, FILE = "ood_bench_toys", Path(__file__).resolve().parents[1] / "methods" / "toys.py"


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """The shared module, loaded once for all folders."""
    if NAME not in sys.modules:
        spec = importlib.util.spec_from_file_location(NAME, FILE)
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
    return sys.modules[NAME]
