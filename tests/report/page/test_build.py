import json
import re

import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.page import build
from ood_bench.report.sections import sections


@pytest.fixture
def every(make, conf):
    return sections([make("msp", 0), make("msp", 1)], load_blocks(conf))


def pieces(text):
    return {
        name: json.loads(content)
        for name, content in re.findall(r'<script type="application/json" id="([^"]+)">(.*?)</script>', text)
    }


def test_the_page_holds_overview_and_one_piece_a_row_that_was_run(every):
    text = build.page(every, {}, {})
    found = pieces(text)
    assert set(found) == {"overview", "row-0"}
    assert [one["name"] for one in found["row-0"]["seeds"]] == ["seed 0", "seed 1"]
    assert build.page(every, {}, {}) == text


def test_it_loads_nothing(every):
    text = build.page(every, {}, {})
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:|#)", text)
    assert not re.search(r"@import|url\((?!data:|#)(?!\$)", text.replace("url(data:image/${", ""))


def test_records_cannot_break_out_of_their_script(make, conf):
    evil = "</script><script>alert(1)</script><!-- \u2028"
    text = build.page(sections([make(deviations=[evil])], load_blocks(conf)), {}, {})
    assert evil in pieces(text)["overview"]["shared"]
    assert "<script>alert" not in text
    assert "\u2028" not in text


@pytest.mark.parametrize(
    "case",
    [
        (10_000, {"0" * 16}, "images of 1 of 2 cells"),
        (1_000, set(), "images of 0 of 2 cells"),
        (10, None, "leaves out histograms, curves and images"),
    ],
)
def test_what_does_not_fit_is_left_out_and_said(every, drawn, monkeypatch, case):
    """Thumbnails are of a row's first seed only."""
    limit, pictures, remark = case
    monkeypatch.setattr(build, "LIMIT", limit)
    kept = {record.cell_key: drawn(record.cell_key) for record in every[0].rows[0].records}
    found = pieces(build.page(every, kept, {}))
    seeds = [one for one in found["row-0"]["seeds"] if "details" in one]
    if pictures is None:
        assert seeds == []
    else:
        assert {one["key"] for one in seeds if "images" in one["details"]} == pictures
        assert len(seeds) == 2
    assert remark in found["overview"]["remark"]


def test_nothing_is_said_where_nothing_is_left_out(make, drawn, conf):
    record = make()
    text = build.page(sections([record], load_blocks(conf)), {record.cell_key: drawn(record.cell_key)}, {})
    assert pieces(text)["overview"]["remark"] == ""
