"""The house as docs/architecture.md draws it: what stands at the root, and imports that run downwards only."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
AT_THE_ROOT = {"__init__", "__main__", "config", "errors"}


def test_nothing_else_is_loose_at_the_package_root():
    assert {path.stem for path in (ROOT / "ood_bench").glob("*.py")} == AT_THE_ROOT


def test_no_import_runs_upwards_and_none_in_circles():
    """The layers stand in pyproject.toml under tool.importlinter, and every package has to be on one of them."""
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
