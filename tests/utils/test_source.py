"""Keys see the code of classes from outside the package, and nothing of that of released ones."""

import importlib
from collections import Counter

import pytest

from ood_bench.methods.msp import Msp
from ood_bench.utils.source import _files, classes_in, own_source


@pytest.fixture
def load(write_own):
    """Writes files and gives the class ``Mine`` of the module ``own_package.mine``, as a new process would see it."""

    def write(files):
        write_own(files)
        return importlib.import_module("own_package.mine").Mine

    return write


FILES = {
    "own_package/__init__.py": "",
    "own_package/mine.py": "import numpy\nimport torch\nfrom . import blocks\n\nclass Mine:\n    pass\n",
    "own_package/blocks.py": "from own_helper import help_me\n",
    "own_helper.py": "import own_package.mine\n\ndef help_me():\n    return 1\n",
    "own_other.py": "",
}


def test_only_classes_from_outside_have_a_source(load):
    mine = load(FILES)
    assert own_source([Msp, importlib.import_module("torch").nn.Linear]) == {}
    found = own_source([mine])
    assert list(found) == ["source"]
    assert len(found["source"]) == 16
    assert own_source([Msp, mine]) == found
    assert Msp().kept_as("msp") == f"msp-{Msp.revision}"
    assert sorted(_files(mine)) == ["own_helper", "own_package", "own_package.blocks", "own_package.mine"]


def test_an_edit_of_the_file_or_of_one_that_it_imports_changes_the_source(load):
    before = own_source([load(FILES)])
    assert own_source([load(FILES)]) == before
    assert own_source([load({"own_other.py": "changed = True\n"})]) == before
    for name in ("own_package/mine.py", "own_package/blocks.py", "own_helper.py"):
        assert own_source([load({**FILES, name: FILES[name] + "changed = True\n"})]) != before


def test_a_process_keeps_the_source_of_the_class_that_it_runs(load, tmp_path):
    mine = load(FILES)
    before = own_source([mine])
    (tmp_path / "own_helper.py").write_text("changed = True\n")
    assert own_source([mine]) == before


def test_without_a_file_there_is_no_source(load):
    assert own_source([type("Mine", (), {"__module__": "own_notebook"})]) == {}


def test_a_file_that_cannot_be_parsed_counts_by_its_bytes(load):
    before = own_source([load(FILES)])
    broken = load({**FILES, "own_helper.py": "def\n", "own_package/blocks.py": "def late():\n    import own_helper\n"})
    assert own_source([broken]) != before


def test_the_classes_of_a_config_are_found_at_any_depth():
    config = {
        "_target_": "collections.Counter",
        "tower": {"_target_": "collections.OrderedDict"},
        "parts": [{"_target_": "no_such.Module"}, "text"],
    }
    assert [one.__name__ for one in classes_in(config)] == [Counter.__name__, "OrderedDict"]
