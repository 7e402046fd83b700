import pytest

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


def test_long_text_is_wrapped_under_its_bullet():
    text = bullet("word " * 40 + "end", level=1)
    assert all(len(line) <= 110 for line in text.split("\n"))
    assert [line[:4] for line in text.split("\n")] == ["  - ", "    "]
    assert text.endswith("end.")


@pytest.mark.parametrize("end", ["yyyy - zz", "yyyy 2. zz", "yyyy # zz"])
def test_text_that_would_turn_into_a_list_stays_whole(end):
    text = f"{'x' * 105} {end}"
    assert paragraph(text) == text


def test_a_line_breaks_where_it_is_full():
    words = "x" * 105
    assert paragraph(f"{words} yyyy zz") == f"{words} yyyy\nzz"
    assert paragraph(f"{words} yyyyy - zz") == f"{words}\nyyyyy - zz"
