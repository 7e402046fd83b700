"""What all tests share: one thread, so that equal computations give equal bits and workers do not fight for cores."""

import importlib
import importlib.util
import json
import logging
import os
import subprocess
import sys
import tarfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # before the first import of torch, and for every process that a test starts
os.fsync = lambda _file: None  # it guards against a machine that stops, which no test does, and waits for the disk
SHARED = Path(__file__).resolve().parents[2] / "shared"

PAPER = """
defaults:
  - _self_
paper:
  name: fssd_fashionmnist
  title: FSSD, LeNet on FashionMNIST
  csv: fssd
  table: readme_results
  model: lenet
  id: fashionmnist
  protocol: fssd
  ood: [mnist]
  methods: [msp, odin, mc_dropout, fssd]
  metrics: [auroc, fpr80]
  reference: arXiv 2011.14654
  notes: [The paper gives no standard deviations.]
"""


def module_at(name: str, path: str) -> ModuleType:
    """A module of this folder that is no test, loaded once under ``name``."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture
def write_own(tmp_path, monkeypatch):
    """Writes files below ``tmp_path``, and forgets modules whose names begin with ``own_``, as a new process would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget():
        for name in [name for name in sys.modules if name.startswith("own_")]:
            del sys.modules[name]
        importlib.invalidate_caches()

    def write(files):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        forget()

    yield write
    forget()


@pytest.fixture(scope="session")
def real() -> Callable[[str], Path]:
    """A file under ``shared`` beside the repository; CI must have it."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.is_file():
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(f"CI must have {path}")
            pytest.skip(f"{path} is not here")
        return path

    return find


@pytest.fixture(scope="session")
def real_data(real: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Unpacks named archives of real data into one data root, each once, and returns the root."""
    root = tmp_path_factory.mktemp("real")
    done: set[str] = set()

    def unpack(*names: str) -> Path:
        for name in set(names) - done:
            with tarfile.open(real(f"data/{name}.tar.xz")) as archive:
                archive.extractall(root, filter="data")
            done.add(name)
        return root

    return unpack


@pytest.fixture(scope="session")
def toys() -> ModuleType:
    """Small networks and image sets, and slow references."""
    return module_at("ood_bench_toys", "methods/toys.py")


@pytest.fixture(scope="session")
def toys_on_disk() -> ModuleType:
    """Tiny sets in the real archives' layouts."""
    return module_at("ood_bench_toy_root", "toy_root.py")


@pytest.fixture(scope="session")
def openood_on_disk() -> ModuleType:
    """The module that writes OpenOOD's folder with tiny pictures, and knows what it wrote."""
    return module_at("ood_bench_toy_openood", "toy_openood.py")


@pytest.fixture(scope="session")
def _toy_folder(
    toys_on_disk: ModuleType, openood_on_disk: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    root = tmp_path_factory.mktemp("toy_root")
    toys_on_disk.fill(root)
    openood_on_disk.fill(root, toys_on_disk.pixels)
    return root


@pytest.fixture(scope="module")
def toy_root(toys_on_disk: ModuleType, _toy_folder: Path) -> Iterator[Path]:
    """Tiny sets in the real archives' layouts; in this module their files pass for the published ones."""
    with pytest.MonkeyPatch.context() as patch:
        toys_on_disk.accept(patch)
        yield _toy_folder


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Overrides for the cheapest run: embedded digits, one method, one OOD set; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    return [
        "experiment=quickstart",
        "method=msp",
        "ood=uniform",
        "ood.uniform.source.count=20",
        "id.train.test_fraction=0.9",
        "id.test.test_fraction=0.03",
        "train.epochs=1",
        "scoring.resamples=0",
        "device=cpu",
    ]


class Ended(NamedTuple):
    """How a process ended: exit status, below zero after a signal; seconds; what it said on both streams."""

    status: int
    seconds: float
    said: str


class Forked:
    """A process that runs ``ood-bench`` in forked children, one at a time, with everything imported once."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(self, *words: str, delay: float | None = None) -> int:
        """Starts a run in the working directory, which is killed after ``delay`` seconds; returns its process."""
        self._process.stdin.write(json.dumps([str(Path.cwd()), delay, *words]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> Ended:
        """Waits for the end of the run."""
        status, seconds = json.loads(self._process.stdout.readline())
        return Ended(status, seconds, plain(Path("said").read_text()))


@pytest.fixture(scope="session")
def forked() -> Iterator[Forked]:
    """For tests that kill runs: a new interpreter would take longer to import everything than a run takes."""
    script = Path(__file__).with_name("forker.py")
    with subprocess.Popen(
        [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Forked(process)
        process.stdin.close()


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of configs with one paper, in place of the shipped one."""
    folder = tmp_path / "conf"
    monkeypatch.setattr("ood_bench.papers.block.conf_dir", lambda: folder)
    (folder / "paper").mkdir(parents=True)
    (folder / "paper" / "fssd_fashionmnist.yaml").write_text(PAPER)
    return folder


class Said(NamedTuple):
    """What a command left behind: exit status, and both streams with line breaks and indents as single spaces."""

    status: int
    out: str
    err: str


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """Runs ``ood-bench`` with some words in this process; an error that is none of ours becomes a traceback."""
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415 - few tests need it

    from ood_bench.cli.main import main  # noqa: PLC0415

    root = logging.getLogger()
    before = root.handlers[:], root.level

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["ood-bench", *words])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # the program sets it for its process
        GlobalHydra.instance().clear()
        capsys.readouterr()
        try:
            status = main()
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except Exception:
            traceback.print_exc()
            status = 1
        out, err = capsys.readouterr()
        return Said(status, plain(out), plain(err))

    yield run
    GlobalHydra.instance().clear()
    root.handlers[:], root.level = before


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A running file server, see ``mirror.py``; downloads do not pause between attempts."""
    monkeypatch.setattr("ood_bench.data.download._PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with module_at("mirror", "mirror.py").serving() as served:
        yield served
