"""The page under axe-core, the accessibility checker: no fault that it calls serious or critical."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
COMMITTED = Path(__file__).parents[3] / "results/index.html"
SERIOUS = """axe.run(document, {resultTypes: ["violations"]}).then((found) => found.violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`))"""


@pytest.fixture(params=[(1280, False), (390, True)], ids=["desktop", "phone"])
def sized(browser, request):
    browser.size(request.param[0], 900, mobile=request.param[1])
    return browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["#verdict=undecided&sort=mean", "#cell=fssd_fashionmnist/msp/mnist"])
def test_axe_finds_no_serious_fault(sized, written, axe, scheme, address):
    sized.scheme(scheme)
    sized.open(written, address)
    sized.run("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    sized.run(f"void function () {{ {axe} }}.call(window)")
    assert sized.run(SERIOUS) == []


@pytest.mark.parametrize(("width", "mobile", "scheme"), [(1280, False, "light"), (390, True, "dark")])
def test_axe_finds_no_serious_fault_in_the_committed_page(browser, axe, width, mobile, scheme):
    browser.size(width, 900, mobile)
    browser.scheme(scheme)
    browser.open(COMMITTED, "#q=odin")
    browser.run("byId('not-run').open = true")
    browser.click("#not-run button")
    browser.run(f"void function () {{ {axe} }}.call(window)")
    assert browser.run(SERIOUS) == []
