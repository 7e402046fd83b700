"""Torchvision and timm take seconds to import: only what uses them may do so."""

import subprocess
import sys

SCRIPT = """
import sys
from pathlib import Path

import ood_bench
from ood_bench.data.catalogue import entries

ood_bench.run([*sys.argv[1:]])
for entry in entries():
    entry.source.missing(Path("data")), entry.source.origin()
sys.exit(str({"torchvision", "timm"} & set(sys.modules)) if {"torchvision", "timm"} & set(sys.modules) else 0)
"""


def test_a_run_on_digits_imports_neither(quick):
    done = subprocess.run([sys.executable, "-c", SCRIPT, *quick], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
