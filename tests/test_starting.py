"""How soon the front door answers: help imports none of the libraries that take seconds."""

import subprocess
import sys

from ood_bench.cli.help import COMMANDS

HEAVY = {"torch", "torchvision", "timm", "matplotlib", "pandas", "sklearn", "scipy"}
CODE = f"""
import sys
from ood_bench.cli.main import main
for words in [["--help"], *([name, "--help"] for name in {list(COMMANDS)})]:
    try:
        main(words)
    except SystemExit:
        pass
sys.stderr.write(" ".join(sys.modules))
import ood_bench.report.tables
sys.stderr.write("; torch " + str("torch" in sys.modules))
"""


def test_help_of_every_command_imports_no_large_library_and_tables_need_no_torch(tmp_path):
    found = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [name for name in COMMANDS if f"usage: ood-bench {name} " not in found.stdout] == []
    modules, tables = found.stderr.split("; ")
    assert HEAVY & set(modules.split()) == set()
    assert tables == "torch False"
