"""What is known of every shipped method: made from the classes, and read without them."""

import subprocess
import sys
from pathlib import Path

import pytest

from ood_bench.methods.catalogue import PAGE, as_json, as_markdown, catalogue
from ood_bench.papers.definitions import measured
from ood_bench.papers.methods import FILE, methods
from ood_bench.utils.configs import options

ROOT = Path(__file__).resolve().parents[2]
FOUND = catalogue()


def test_file_and_page_are_what_the_classes_say():
    """To make them again: python -m ood_bench.methods."""
    assert FILE.read_text() == as_json(FOUND)
    assert (ROOT / PAGE).read_text() == as_markdown(FOUND, measured())


def test_the_file_gives_back_what_the_classes_say():
    assert methods() == FOUND
    assert list(methods()) == list(options("method"))


@pytest.mark.parametrize("name", FOUND)
def test_every_method_says_where_it_is_from_and_what_it_needs(name):
    known = FOUND[name]
    assert known.needs
    assert known.source is not None
    assert known.source.title
    assert 2010 < known.source.year < 2030
    assert bool(known.source.code) == bool(known.source.licence)
    assert not known.source.code.startswith("http")
    assert set(known.grid) <= set(known.hyperparameters)


def test_reading_it_does_not_import_torch():
    code = (
        "import sys; from ood_bench.cli.help import main; main(['method', 'react']); sys.exit('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0
    assert "arXiv 2111.12797" in found.stdout
