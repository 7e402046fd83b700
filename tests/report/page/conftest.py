"""A headless Chromium, pages to look at in it, and details of cells."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chromium import NAMES, Browser, executable

from ood_bench.data.imageset import ImageSet
from ood_bench.papers.block import load_blocks
from ood_bench.report.explanations import Explained, Explanations, Multiverse
from ood_bench.report.notes import Note, attached
from ood_bench.report.page.build import page
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.sections import sections
from ood_bench.results.details import Details, Histogram, Line, details_of
from ood_bench.results.thumbnails import Extreme, Thumbnails

METHODS = ("msp", "odin", "mc_dropout")
SETTINGS = PageSettings(title="Mine", own="My networks", papers="all", repository="..")
TUNING = {
    "seen": {"mnist": 5},
    "candidates": [{"epsilon": step} for step in (0.0, 0.1, 0.2)],
    "objective": "TNR",
    "curve": [[1.0], [3.0], [2.0]],
}


def details(record):
    random = np.random.default_rng(record.seed)
    images = ImageSet.of("a", random.integers(0, 256, (50, 1, 28, 28), dtype=np.uint8))
    scores = random.normal(1, 1, 50), random.normal(0, 1, 50)
    return details_of(record.cell_key, scores, (images, images), (np.arange(50), np.arange(50)))


def explanations(key):
    rung = {"choice": {"name": "cut", "before": "a", "after": "b"}, "value": 78.0, "step": 1.0, "mean": 1.0,
            "low": 0.5, "high": 1.5}  # fmt: skip
    ladder = Explained.model_validate({
        "cell_key": key, "title": "msp on mnist", "metric": "auroc", "metric_there": "auroc", "start": "plain",
        "end": "fssd", "ladder": {"start": 77.0, "end": 78.0, "rungs": [rung], "orders": 1, "drawn": False},
        "missing": [], "recorded": [],
        "unexplained": {"printed": "77.3", "difference": -0.7, "std": 0.2, "networks": 3, "chance": 0.6},
    })  # fmt: skip
    pair = {"first": "odin", "second": "msp", "ahead": 1, "behind": 1, "level": 0}
    many = Multiverse.model_validate({
        "of": "paper=fssd_fashionmnist", "title": "two", "cell_key": key, "metric": "auroc",
        "values": {"msp": [77.0, 92.5], "odin": [92.0, 92.0]}, "pairs": [pair],
    })  # fmt: skip
    return Explanations({key: [ladder], "f" * 16: [ladder]}, [many])


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def written(folder, make, conf):
    """A page with a paper's block, a set beyond it on two kinds of ID images, and another model on three sets."""
    path = folder / "index.html"
    if path.is_file():
        return path
    numbers = {"msp": (77.0, 0.1), "odin": (92.0, 0.1), "mc_dropout": (74.6, 2.0)}  # and by how much seeds differ
    records = [
        make(method, seed, numbers[method][0] + numbers[method][1] * seed, 42.0, cell_key=f"{place:08x}{seed:08x}",
             tuning=TUNING, hyperparameters={"epsilon": 0.1, "norm_ratio": {"one": 1.0, "two": 2.0}, "tap": "two"})
        for place, method in enumerate(METHODS)
        for seed in range(3)
    ]  # fmt: skip
    kept = {record.cell_key: details(record) for record in records}
    records += [
        make("msp", ood="kmnist", cell_key=key * 16, id_variant=variant)
        for key, variant in (("a", ""), ("c", "JPEG copy"))
    ]
    records += [
        make(method, ood=ood, model="vgg", auroc=value, cell_key=f"{index:08x}{value * 10:08.0f}")
        for index, (method, values) in enumerate(
            {"msp": (80, 90, 70), "odin": (91, 85, 75), "energy": (60, 60, 60)}.items()
        )
        for ood, value in zip(("kmnist", "mnist", "uniform"), values, strict=True)
    ]
    every = attached(
        sections(records, load_blocks(conf)),
        [Note(method="msp", ood="mnist", block="fssd_fashionmnist", text="Found <out>.")],
    )
    path.write_text(page(every, kept, {}, explanations(records[0].cell_key), settings=SETTINGS), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, written):
    browser.size(1280, 900)
    browser.scheme("light")
    browser.open(written)
    yield browser
    assert browser.errors == []


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests."""
    if executable() is None:
        pytest.fail(f"none of {', '.join(NAMES)} is installed: make test-page says how to get one")
    one = Browser(tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def drawn() -> Callable[..., Details]:
    """Makes small details of a cell, with a picture of so many characters."""

    def made(key: str, picture: int = 1000) -> Details:
        line = Line(x=[0.0, 1.0], y=[0.0, 1.0])
        bins = Histogram(low=0.0, high=1.0, id=[1], ood=[1])
        groups = [Extreme(side="id", end="highest", rows=[1], scores=[0.5])]
        sheet = Thumbnails(kind="png", width=8, height=8, columns=1, groups=groups, content="A" * picture)
        return Details(cell_key=key, histogram=bins, roc=line, pr_in=line, pr_out=line, images=sheet)

    return made


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker axe-core, a script."""
    path = os.environ.get("OOD_BENCH_AXE")
    if not path:
        pytest.fail("OOD_BENCH_AXE names no axe.min.js: run make test-page")
    return Path(path).read_text(encoding="utf-8")
