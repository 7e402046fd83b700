import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ood_bench.report.format import bullet, decimals, markdown_table, metric_order, metric_title, number, paragraph


def test_table_is_aligned_and_escapes_bars():
    assert markdown_table(["Method", "AUROC"], [["msp", "7.00 ± 0.10 (3)"], ["a|b", "–"]], left=[0]) == (
        "| Method |           AUROC |\n"
        "| :----- | --------------: |\n"
        "| msp    | 7.00 ± 0.10 (3) |\n"
        "| a\\|b   |               – |"
    )


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (1.005, False, "1.00"),
        (-0.001, True, "0.00"),
        (0.2, True, "+0.20"),
        (-0.2, True, "-0.20"),
        (-0.0, False, "0.00"),
    ],
)
def test_numbers_have_fixed_decimals_and_no_negative_zero(value, sign, text):
    assert number(value, 2, sign=sign) == text


@pytest.mark.parametrize(("printed", "places"), [("77.3", 2), ("99.10", 2), ("92.15311", 5), ("7", 2), (None, 2)])
def test_ours_has_the_decimals_of_the_paper_but_two_at_least(printed, places):
    assert decimals(printed) == places


def test_metrics_come_in_the_usual_order():
    assert metric_order(["zzz", "fpr95", "auroc", "abc", "auroc"]) == ["auroc", "fpr95", "abc", "zzz"]
    assert metric_title("fpr95_ood_positive") == "fpr95 ood positive"


WORDS = st.lists(st.sampled_from(["word", "x" * 25, "y-" * 25, "-", "+", "*", ">", "#", "##", "2.", "10)"]), min_size=8)


@given(words=WORDS, level=st.integers(0, 2))
@example(words=["x" * 101, "-", "word"], level=0)
def test_wrapping_does_not_change_what_markdown_shows(words, level):
    """A line must not begin with what would be a list, a heading or a quotation."""
    text = " ".join(["start", *words, "end."])
    written = "\n".join("  " * outer + "- outer" for outer in range(level)) + "\n" + bullet(text, level)
    inlines = [token.content for token in MarkdownIt().parse(written) if token.type == "inline"]
    assert [" ".join(one.split()) for one in inlines] == [*["outer"] * level, text]


def test_long_text_is_wrapped():
    assert max(map(len, paragraph("word " * 100).split("\n"))) <= 110
