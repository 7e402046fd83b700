import pytest

from ood_bench.errors import ConfigError
from ood_bench.report.tables import refreshed

TEXT = "# Title\n\n<!-- table:one -->\nold\n<!-- /table -->\n\nmiddle\n\n<!-- table:two -->\n<!-- /table -->\nend\n"


def test_what_stands_between_the_markers_is_replaced():
    new = refreshed(TEXT, {"one": "ONE \\1", "two": "TWO"}, "README.md")
    assert new == (
        "# Title\n\n<!-- table:one -->\n\nONE \\1\n\n<!-- /table -->\n\nmiddle\n\n"
        "<!-- table:two -->\n\nTWO\n\n<!-- /table -->\nend\n"
    )
    assert refreshed(new, {"one": "ONE \\1", "two": "TWO"}, "README.md") == new


def test_text_without_markers_stays():
    assert refreshed("a `<!-- table:one -->` in a sentence\n", {}, "README.md").startswith("a `")


def test_an_unknown_block_is_refused():
    with pytest.raises(ConfigError, match=r"README\.md, line 9: no block 'two'; there is one"):
        refreshed(TEXT, {"one": "1"}, "README.md")


@pytest.mark.parametrize("text", [TEXT.replace("<!-- /table -->", "", 1), "<!-- table:one -->\n"])
def test_an_open_marker_is_refused(text):
    with pytest.raises(ConfigError, match="`<!-- table:one -->` has no `<!-- /table -->` after it"):
        refreshed(text, {"one": "1", "two": "2"}, "README.md")
