"""What an installation is made of, and what importing it costs."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def build(folder):
    """Builds the wheel; without ``uv`` at hand, lays the files out as pyproject.toml tells hatchling to."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:
        wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
        for package in wheel["packages"]:
            shutil.copytree(ROOT / package, folder / package)
        for source, target in wheel["force-include"].items():
            shutil.copytree(ROOT / source, folder / target)
        return
    command = [uv, "build", "--wheel", "--quiet", "--out-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    wheel.unlink()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder that holds what an installation puts into site-packages."""
    folder = tmp_path_factory.mktemp("site-packages")
    build(folder)
    return folder


def relative(folder, pattern):
    return {path.relative_to(folder).as_posix() for path in folder.rglob(pattern) if path.is_file()}


def test_every_config_is_shipped_unchanged(installed):
    shipped = relative(installed / "ood_bench/conf", "*")
    assert shipped == relative(ROOT / "conf", "*")
    assert "config.yaml" in shipped
    for name in shipped:
        assert (installed / "ood_bench/conf" / name).read_bytes() == (ROOT / "conf" / name).read_bytes()


def test_every_module_and_table_is_shipped(installed):
    ours = {name for name in relative(ROOT / "ood_bench", "*") if "__pycache__" not in name}
    theirs = {name for name in relative(installed / "ood_bench", "*") if not name.startswith("conf/")}
    assert theirs == ours
    assert any(name.startswith("papers/") and name.endswith(".csv") for name in theirs)


def test_nothing_else_is_shipped(installed):
    tops = {path.name for path in installed.iterdir() if not path.name.endswith((".dist-info", ".gitignore"))}
    assert tops == {"ood_bench", "hydra_plugins"}  # the .gitignore is uv's, for the folder that it builds into


def python(code, path, cwd):
    """Runs code with the given folder in front of the import path."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installation_finds_its_own_configs(installed, tmp_path):
    code = """
import ood_bench
from ood_bench.config import compose_settings
from ood_bench.utils.configs import conf_dir
print(ood_bench.__file__)
print(conf_dir())
print(compose_settings(["experiment=quickstart"]).id["name"])
"""
    module, folder, name = python(code, installed, tmp_path).split()
    assert Path(module) == installed / "ood_bench/__init__.py"
    assert Path(folder) == installed / "ood_bench/conf"
    assert name == "digits"


MODULE, FUNCTION = PROJECT["project"]["scripts"]["ood-bench"].split(":")
STARTS = {"ood-bench": f"from {MODULE} import {FUNCTION}; sys.exit({FUNCTION}())"}
STARTS["python -m ood_bench"] = "import runpy; runpy.run_module('ood_bench', run_name='__main__')"


@pytest.mark.parametrize("start", STARTS)
def test_the_command_line_of_an_installation_works_anywhere(installed, tmp_path, start):
    code = f"import sys; sys.argv[:] = ['ood-bench', '--cfg', 'job', 'seed=3']; {STARTS[start]}"
    assert OmegaConf.create(python(code, installed, tmp_path)).seed == 3
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_that_of_the_project(installed, tmp_path):
    found = python("import ood_bench; print(ood_bench.__version__)", installed, tmp_path)
    assert found.strip() == PROJECT["project"]["version"]


def test_an_installation_without_configs_says_so(tmp_path):
    shutil.copytree(ROOT / "ood_bench", tmp_path / "ood_bench", ignore=shutil.ignore_patterns("conf", "__pycache__"))
    code = """
from ood_bench.utils.configs import conf_dir
from ood_bench.errors import ConfigError
try:
    conf_dir()
except ConfigError as error:
    print(error)
"""
    assert f"no conf folder in {tmp_path}/ood_bench or beside it: the installation is incomplete" in python(
        code, tmp_path, tmp_path
    )


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ood_bench", ["torch", "hydra", "numpy", "pandas", "sklearn", "pydantic"]),
        ("ood_bench.__main__", ["torch", "numpy", "hydra", "pandas", "sklearn", "scipy", "rich"]),
        ("ood_bench.cli.job", ["torch", "pandas", "sklearn", "scipy"]),
        ("ood_bench.utils.locks, ood_bench.errors", ["torch", "hydra", "numpy"]),
    ],
)
def test_importing_is_light(module, heavy, tmp_path):
    code = f"import sys, {module}; print(*sys.modules)"
    names = set(python(code, ROOT, tmp_path).split())
    assert module.split(",")[0] in names
    assert not names & set(heavy)


def imported_packages():
    found = set()
    for path in (ROOT / "ood_bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"ood_bench"}


def test_every_package_that_is_imported_is_declared():
    project = PROJECT["project"]
    names = {"PIL": "pillow", "sklearn": "scikit-learn", "hydra": "hydra-core", "yaml": "pyyaml"}
    lines = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    declared = {re.split("[<>=]", line)[0] for line in lines}
    assert {names.get(name, name) for name in imported_packages()} <= declared
