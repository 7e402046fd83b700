"""The page in a headless Chromium: figures, filters, addresses, drill-down, keys, print, phone, and large results."""

import time

import pytest
from msgspec.structs import replace

from ood_bench.papers.block import load_blocks
from ood_bench.report.page.build import page
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.sections import sections

pytestmark = pytest.mark.browser
LINES = "[...document.querySelectorAll('.matrix tbody tr')]"
NAMES = f"{LINES}.map((line) => line.cells[0].textContent)"
BEST = "[...document.querySelector('.matrix').querySelectorAll('.best')].map((one) => one.textContent)"
MEANS = "[...document.querySelector('.matrix').rows].slice(1).map((row) => row.cells[1].textContent)"
STOPS = "[...document.querySelectorAll('.matrix')].map((one) => one.querySelectorAll('[tabindex=\"0\"]').length)"
CELL = "document.querySelector('#fssd_fashionmnist button.cell')"


def choose(browser, select, value):
    browser.run(
        f"(() => {{ byId('{select}').value = '{value}'; byId('{select}').dispatchEvent(new Event('change')); }})()"
    )


def test_the_headline_counts_all_published_numbers_and_the_compared_ones(opened):
    assert opened.run("document.querySelector('.score').textContent") == "3 of 8 published numbers reproduced"
    assert opened.run("[...document.querySelectorAll('#score .bar')].map((bar) => bar.ariaLabel)") == [
        "3 reproduced, 2 not reproduced, 1 undecided, 2 not run",
        "3 reproduced, 2 not reproduced, 1 undecided",
    ]
    assert opened.run("document.querySelector('#score .quiet').textContent") == (
        "6 numbers compared: 3 reproduced, 2 not reproduced, 1 undecided. 0 not comparable, 2 not run."
    )
    assert opened.run("[document.title, byId('title').textContent, document.querySelector('h2').textContent]") == [
        "Mine", "Mine", "My networks",
    ]  # fmt: skip
    assert opened.run("byId('margins').textContent") == "1 point, 2 for false positive rates"


def test_a_matrix_has_means_ranks_costs_and_the_best_in_bold(opened):
    line = "document.querySelector('.matrix tbody tr')"
    heads = "[...document.querySelector('.matrix thead').querySelectorAll('th')].map((one) => one.textContent)"
    assert opened.run(heads) == ["method", "mean", "rank", "passes", "kmnist", "mnist", "uniform"]
    assert opened.run(MEANS) == ["60.00", "80.00", "83.67"]
    assert opened.run(f"{line}.cells[2].textContent") == "3"
    assert opened.run(BEST) == ["90.00", "91.00", "75.00"]
    headings = "[...document.querySelectorAll('#fssd_fashionmnist-beyond .images')].map((one) => one.textContent)"
    assert opened.run(headings) == [
        "ID images: fashionmnist, OOD set: kmnist", "ID images: fashionmnist (JPEG copy), OOD set: kmnist",
    ]  # fmt: skip
    opened.run("document.querySelector('.block > .inner').open = true")
    opened.wait("document.querySelectorAll('.block > .inner circle.front').length === 2")


def test_interval_and_verdict_show_on_focus_and_under_the_pointer(opened):
    opened.run(f"{CELL}.focus()")
    assert not opened.run("byId('hint').hidden")
    words = opened.run("byId('hint').textContent")
    assert "95 % interval over images" not in words  # these records have none by the paper's convention
    assert "Published 77.3, difference −0.20" in words
    assert "reproduced: 0.20 apart" in words
    assert (
        opened.run(f"document.getElementById({CELL}.getAttribute('aria-describedby')).getAttribute('role')")
        == "tooltip"
    )
    opened.press("Escape")
    assert opened.run("byId('hint').hidden")


def test_filters_narrow_and_clear_widens(opened):
    whole = opened.run(f"{LINES}.length")
    opened.click("#search")
    opened.type("jpeg msp")
    opened.wait(f"{LINES}.length === 1")
    opened.click("#clear")
    assert opened.run(f"{LINES}.length") == whole
    opened.click("[data-verdict='undecided']")
    assert opened.run(NAMES) == ["mc_dropout"]
    assert opened.run("location.hash") == "#verdict=undecided"
    opened.click("[data-verdict='undecided']")
    choose(opened, "method", "energy")
    assert opened.run(NAMES) == ["energy"]
    opened.click("#search")
    opened.type("nonsense")
    opened.wait("byId('count').textContent === 'Nothing passes these filters.'")


def test_a_heading_sorts_best_first_then_last(opened):
    first = f"{NAMES}.slice(0, 3)"
    opened.click("[data-sort='mnist']")
    assert opened.run(first) == ["msp", "odin", "energy"]
    assert opened.run("document.querySelector('[data-sort=mnist]').parentElement.ariaSort") == "ascending"
    opened.click("[data-sort='mnist']")
    assert opened.run(first) == ["energy", "odin", "msp"]
    choose(opened, "sort", "mean")
    assert opened.run(first) == ["odin", "msp", "energy"]


def test_a_cell_opens_with_ladder_charts_images_protocol_and_sources(opened):
    opened.run(f"{CELL}.click()")
    opened.wait("dialog.open")
    captions = opened.run("[...dialog.querySelectorAll('figcaption')].map((one) => one.firstChild.textContent)")
    assert captions == [
        "AUROC", "Scores", "ROC, ID positive", "Precision over recall", "Search over epsilon",
        "NormRatio of each block", "AUROC", "FPR80",
    ]  # fmt: skip
    assert opened.run("dialog.querySelectorAll('.tile').length") == 24
    assert "url(" in opened.run("getComputedStyle(dialog.querySelector('.tile')).backgroundImage")
    assert opened.run("dialog.querySelectorAll('circle.taken').length") == 1
    text = opened.run("dialog.textContent")
    assert "by chance up to 0.55 with 3 networks; margin 1" in text
    assert "9,000 of 10,000 test rows" in text
    assert "unexplained: −0.70 (by chance up to 0.60: 3 networks, std 0.20)" in text
    assert "Found <out>." in text
    links = opened.run("[...dialog.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
    assert "../docs/verdicts.md" in links
    assert "../conf/method/msp.yaml" in links
    assert "records/fashionmnist/lenet/fssd/msp/mnist/seed0-0000000000000000.json" in links
    line = "dialog.querySelector('.roc').getAttribute('d')"
    first = opened.run(line)
    opened.click("dialog .tabs button:last-child")
    assert opened.run(line) != first


def test_conventions_and_lone_ladders_stand_below_their_block(opened):
    opened.run("document.querySelector('#fssd_fashionmnist .beside details').open = true")
    words = opened.run("document.querySelector('#fssd_fashionmnist .beside').textContent")
    assert "1 of 1 pair of methods change places" in words
    assert "msp is ahead of odin under 1 of 2 conventions" in words
    opened.run("byId('ladders').open = byId('ladders').querySelector('details').open = true")
    opened.wait("byId('ladders').querySelectorAll('svg').length === 1")


def test_papers_that_were_not_run_are_one_folded_table(browser, folder, make, conf):
    path = folder / "own.html"
    every = sections([make("msp", model="vgg")], load_blocks(conf))
    path.write_text(page(every, {}, {}, settings=PageSettings(papers="all")), encoding="utf-8")
    browser.open(path)
    assert browser.run("document.querySelectorAll('.block').length") == 2
    assert not browser.run("byId('not-run').open")
    browser.run("byId('not-run').open = true")
    browser.click("#not-run button")
    cells = "[...document.querySelectorAll('#not-run .numbers tbody tr')].map((one) => one.textContent)"
    assert browser.run(cells)[:2] == ["msp77.3", "odin87.9"]
    path.write_text(page(every, {}, {}), encoding="utf-8")
    browser.open(path)
    assert browser.run("[byId('summary').hidden, byId('not-run')]") == [True, None]
    assert browser.errors == []


def test_the_address_holds_the_state_and_back_undoes_it(opened, written):
    title = "byId('dialog-title').firstChild.textContent"
    choose(opened, "method", "odin")
    opened.run(f"{CELL}.click()")
    opened.wait("dialog.open")
    address = opened.run("location.hash")
    assert address == "#method=odin&cell=fssd_fashionmnist/odin/mnist"
    opened.back()
    opened.wait("!dialog.open")
    assert opened.run("byId('method').value") == "odin"
    opened.back()
    opened.wait("byId('method').value === ''")
    assert opened.run(f"{LINES}.length") > 2
    opened.open(written, address)
    opened.wait("dialog.open")
    assert opened.run(title) == "odin"
    assert opened.run(f"new Set({NAMES}).size") == 1
    opened.press("Escape")
    opened.wait("!dialog.open")
    opened.wait("location.hash === '#method=odin'")
    opened.open(written, "#fssd_fashionmnist-beyond")
    opened.wait("Math.abs(byId('fssd_fashionmnist-beyond').getBoundingClientRect().top) < 900")
    assert opened.run("scrollY") > 0


def test_everything_works_by_keyboard(opened):
    opened.press("/")
    assert opened.run("document.activeElement.id") == "search"
    focus = "document.activeElement.textContent"
    opened.press("ArrowDown")
    assert opened.run(focus).startswith("energy on kmnist, AUROC 60.00")
    opened.press("ArrowRight")
    opened.press("ArrowDown")
    assert opened.run(focus) == "msp on mnist, AUROC 90.00, best"
    opened.press("Enter")
    opened.wait("dialog.open")
    title = "byId('dialog-title').textContent"
    assert opened.run(title) == "msp fashionmnist against mnist"
    opened.press("ArrowRight")
    assert opened.run(title) == "msp fashionmnist against uniform"
    opened.press("ArrowLeft")
    opened.press("Escape")
    opened.wait("!dialog.open")
    assert opened.run(focus) == "msp on mnist, AUROC 90.00, best"
    assert max(opened.run(STOPS)) == 1


def test_print_has_tables_and_no_controls_or_just_the_open_cell(opened, written):
    opened.scheme("dark", "print")
    seen = "(name) => getComputedStyle(document.querySelector(name)).display !== 'none'"
    assert opened.run(f"['.filters', '#chips', '#theme'].map({seen})") == [False] * 3
    assert opened.run(f"['.matrix', '.summary', 'footer'].map({seen})") == [True] * 3
    assert opened.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.run("matchMedia('print').matches")
    opened.scheme("light")
    assert opened.pdf().startswith(b"%PDF")
    closed = "document.querySelectorAll('details:not([open]):not(.unrun)').length"
    before = opened.run(closed)
    opened.run("dispatchEvent(new Event('beforeprint'))")
    assert opened.run(closed) == 0
    opened.run("dispatchEvent(new Event('afterprint'))")
    assert opened.run(closed) == before > 0
    opened.open(written, "#cell=fssd_fashionmnist/msp/mnist")
    opened.scheme("light", "print")
    assert opened.run(f"['main', 'footer', 'dialog'].map({seen})") == [False, False, True]


@pytest.mark.parametrize(("width", "mobile"), [(1280, False), (390, True)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width_and_text_is_readable(opened, written, width, mobile, scheme):
    opened.size(width, 800, mobile)
    opened.scheme(scheme)
    opened.open(written, "#cell=fssd_fashionmnist/msp/mnist")
    opened.wait("dialog.open")
    assert opened.run("document.documentElement.scrollWidth") <= width
    assert opened.run("dialog.scrollWidth <= dialog.clientWidth")
    assert opened.run("document.documentElement.scrollHeight") < 8000
    luminance = "((c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b))"
    ink = opened.run(f"{luminance}(getComputedStyle(document.body).color)")
    paper = opened.run(f"{luminance}(getComputedStyle(document.body).backgroundColor)")
    dark, light = sorted((ink, paper))
    assert light - dark > 400
    assert (paper == light) is (scheme == "light")


def test_the_search_stays_in_sight(opened):
    opened.run("scrollTo(0, 100000)")
    assert opened.run("scrollY") > 200
    assert 0 <= opened.run("byId('search').getBoundingClientRect().top") < 60


def test_the_button_turns_light_into_dark(opened):
    before = opened.run("getComputedStyle(document.body).backgroundColor")
    opened.click("#theme")
    assert opened.run("getComputedStyle(document.body).backgroundColor") != before


def test_five_thousand_records_stay_quick(browser, folder, make, conf):
    """Drawing, filtering and opening a row, each far below what a reader notices, with room for a slow machine."""
    base = make("msp")
    records = [
        replace(base, method=f"method{m}", seed=s, model=f"net{n}", cell_key=f"{m:06x}{n:06x}{s:04x}")
        for n in range(10)
        for m in range(100)
        for s in range(5)
    ]
    path = folder / "large.html"
    path.write_text(page(sections(records, load_blocks(conf)), {}, {}), encoding="utf-8")
    assert path.stat().st_size < 5_000_000
    start = time.monotonic()
    browser.open(path)
    assert time.monotonic() - start < 15
    assert browser.run("DATA.rows.reduce((sum, row) => sum + row.seeds, 0)") == 5000
    for work in ("draw()", "change({ q: 'net3 method42' })", "openCell(order[0])"):
        taken = browser.run(f"(() => {{ const at = performance.now(); {work}; return performance.now() - at; }})()")
        assert taken < 3000
    assert browser.run(f"{LINES}.length") == 1
    assert browser.errors == []
