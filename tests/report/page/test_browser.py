"""The page in a headless Chromium: it opens, filters, sorts, drills down, obeys the keyboard, and stays quick."""

import time

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.papers.block import load_blocks
from ood_bench.report.notes import Note, attached
from ood_bench.report.page.build import page
from ood_bench.report.sections import sections
from ood_bench.results.details import details_of

pytestmark = pytest.mark.browser
METHODS = ("msp", "odin", "mc_dropout")
SHOWN = "[...document.querySelectorAll('.cells tbody tr')].filter((row) => row.offsetParent).length"
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def opened(browser, folder, make, conf):
    """The browser on a page with a paper's block, a set beyond it, and another model."""
    numbers = {"msp": (77.0, 0.1), "odin": (92.0, 0.1), "mc_dropout": (74.6, 2.0)}  # and by how much seeds differ
    records = [
        make(method, seed, numbers[method][0] + numbers[method][1] * seed, 42.0, cell_key=f"{place:08x}{seed:08x}",
             tuning=TUNING, hyperparameters={"epsilon": 0.1, "norm_ratio": {"one": 1.0, "two": 2.0}, "tap": "two"})
        for place, method in enumerate(METHODS)
        for seed in range(3)
    ]  # fmt: skip
    records += [make("msp", ood="kmnist", cell_key="a" * 16), make("msp", model="vgg", cell_key="b" * 16)]
    kept = {record.cell_key: details(record) for record in records[:9]}
    path = folder / "index.html"
    every = attached(sections(records, load_blocks(conf)), [Note(method="msp", ood="mnist", text="Found <out>.")])
    path.write_text(page(every, kept, {}), encoding="utf-8")
    browser.size(1280, 900)
    browser.scheme("light")
    browser.open(path)
    yield browser
    assert browser.errors == []


def test_it_shows_every_cell_with_its_verdict(opened):
    assert opened.run(SHOWN) == 6
    assert opened.run("document.querySelectorAll('td.v-reproduced').length") == 3
    assert opened.run("document.querySelectorAll('td.v-undecided').length") == 1
    words = opened.run("document.querySelector('.cells tbody tr').textContent")
    assert "77.10" in words
    assert "paper 77.3" in words
    assert opened.run("document.querySelector('.score').textContent") == "3 of 6 compared numbers reproduced"
    assert opened.run("document.querySelector('.score ~ .quiet').textContent") == (
        "1 undecided, 2 not reproduced, 2 not run"
    )
    assert (
        opened.run("document.querySelector('#score .bar').ariaLabel") == "3 reproduced, 1 undecided, 1 better, 1 worse"
    )
    assert opened.run("document.querySelectorAll('td.v-undecided .strip').length") == 1
    assert opened.run("byId('margins').textContent") == "1 point, 2 for false positive rates"


def test_filters_narrow_and_clear_widens(opened):
    opened.click("#search")
    opened.type("kmnist msp")
    opened.wait(f"{SHOWN} === 1")
    opened.click("#clear")
    assert opened.run(SHOWN) == 6
    opened.click("[data-verdict=better]")
    better = "DATA.rows.filter((row) => row.cells.some((cell) => cell.x === 'better')).length"
    assert opened.run(SHOWN) == opened.run(better) > 0
    opened.click("[data-verdict=better]")
    opened.click("[data-verdict=undecided]")
    assert opened.run("[...document.querySelectorAll('.cells tbody th')].map((one) => one.firstChild.textContent)") == [
        "mc_dropout"
    ]
    opened.click("[data-verdict=undecided]")
    opened.run("(() => { byId('method').value = 'odin'; byId('method').dispatchEvent(new Event('change')); })()")
    assert opened.run(SHOWN) == 1
    opened.click("#search")
    opened.type("nonsense")
    opened.wait(f"{SHOWN} === 0")
    assert opened.run("byId('count').textContent") == "Nothing passes these filters."


def test_sorting_brings_the_largest_difference_up(opened):
    first = "document.querySelector('.cells tbody th').firstChild.textContent"
    assert opened.run(first) == "msp"
    opened.run("(() => { byId('sort').value = 'ratio'; byId('sort').dispatchEvent(new Event('change')); })()")
    assert opened.run(first) == opened.run(
        "DATA.rows.filter((row) => row.s === 0).map((row) => [Math.max(0, ...row.cells.filter((cell) => cell.t)"
        ".map((cell) => Math.abs(cell.v - Number(cell.p)) / cell.t)), row.label]).sort((a, b) => b[0] - a[0])[0][1]"
    )


def test_a_row_opens_with_charts_images_and_protocol(opened):
    opened.click(".cells tbody tr")
    opened.wait("dialog.open")
    captions = opened.run("[...dialog.querySelectorAll('figcaption')].map((one) => one.firstChild.textContent)")
    assert captions == [
        "Scores", "ROC, ID positive", "Precision over recall", "Search over epsilon", "NormRatio of each block",
        "AUROC", "FPR80",
    ]  # fmt: skip
    assert opened.run("dialog.querySelectorAll('.tile').length") == 24
    assert "url(" in opened.run("getComputedStyle(dialog.querySelector('.tile')).backgroundImage")
    assert opened.run("dialog.querySelectorAll('circle.taken').length") == 1
    assert "by chance up to 0.55 with 3 networks; margin 1" in opened.run(
        "dialog.querySelector('.verdict').textContent"
    )
    assert "9,000 of 10,000 test rows" in opened.run("dialog.querySelector('.sides').textContent")
    panels = "[...dialog.querySelectorAll('.panel')]"
    notes = f"{panels}.find((one) => one.querySelector('h3').textContent === 'What was found out')"
    assert opened.run(f"{notes}.querySelector('li').textContent") == "Found <out>."
    line = "dialog.querySelector('.roc').getAttribute('d')"
    first = opened.run(line)
    opened.click("dialog .tabs button:last-child")
    assert opened.run(line) != first


def test_everything_works_by_keyboard(opened):
    opened.press("/")
    assert opened.run("document.activeElement.id") == "search"
    opened.press("ArrowDown")
    assert opened.run("document.activeElement.textContent") == "msp"
    opened.press("ArrowDown")
    opened.press("Enter")
    opened.wait("dialog.open")
    title = "byId('dialog-title').firstChild.textContent"
    assert opened.run(title) == "odin"
    opened.press("ArrowRight")
    assert opened.run(title) == "mc_dropout"
    opened.press("ArrowLeft")
    opened.press("Escape")
    opened.wait("!dialog.open")
    assert opened.run("document.activeElement.textContent") == "odin"


def test_a_link_opens_its_row(opened, folder):
    opened.open(folder / "index.html", "#row-1")
    opened.wait("dialog.open")
    assert opened.run("byId('dialog-title').firstChild.textContent") == "odin"


@pytest.mark.parametrize(("width", "mobile"), [(1280, False), (360, True)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width_and_text_is_readable(opened, folder, width, mobile, scheme):
    opened.size(width, 800, mobile)
    opened.scheme(scheme)
    opened.open(folder / "index.html", "#row-0")
    opened.wait("dialog.open")
    assert opened.run("document.documentElement.scrollWidth") <= width
    assert opened.run("dialog.scrollWidth <= dialog.clientWidth")
    luminance = "((c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b))"
    ink = opened.run(f"{luminance}(getComputedStyle(document.body).color)")
    paper = opened.run(f"{luminance}(getComputedStyle(document.body).backgroundColor)")
    dark, light = sorted((ink, paper))
    assert light - dark > 400
    assert (paper == light) is (scheme == "light")


def test_the_button_turns_light_into_dark(opened):
    before = opened.run("getComputedStyle(document.body).backgroundColor")
    opened.click("#theme")
    assert opened.run("getComputedStyle(document.body).backgroundColor") != before


def test_five_thousand_records_stay_quick(browser, folder, make, conf):
    """Drawing, filtering and opening a row, each far below what a reader notices, with room for a slow machine."""
    base = make("msp")
    records = [
        base.model_copy(
            update={"method": f"method{m}", "seed": s, "model": f"net{n}", "cell_key": f"{m:06x}{n:06x}{s:04x}"}
        )
        for n in range(10)
        for m in range(100)
        for s in range(5)
    ]
    path = folder / "large.html"
    path.write_text(page(sections(records, load_blocks(conf)), {}, {}), encoding="utf-8")
    assert path.stat().st_size < 15_000_000
    start = time.monotonic()
    browser.open(path)
    assert time.monotonic() - start < 15
    assert browser.run("DATA.rows.reduce((sum, row) => sum + row.seeds, 0)") == 5000
    for work in ("draw()", "state.words = 'net3 method42'; draw()", "openRow(state.rows[0])"):
        taken = browser.run(f"(() => {{ const at = performance.now(); {work}; return performance.now() - at; }})()")
        assert taken < 3000
    assert browser.run(SHOWN) == 1
    assert browser.errors == []
