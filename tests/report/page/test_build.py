import json
import re

import pytest

from ood_bench.papers.block import load_blocks
from ood_bench.report.page import build
from ood_bench.report.sections import sections
from ood_bench.results.details import Details, Histogram, Line
from ood_bench.results.thumbnails import Extreme, Thumbnails


def details(key, picture=1000):
    line = Line(x=[0.0, 1.0], y=[0.0, 1.0])
    bins = Histogram(low=0.0, high=1.0, id=[1], ood=[1])
    groups = [Extreme(side="id", end="highest", rows=[1], scores=[0.5])]
    sheet = Thumbnails(kind="png", width=8, height=8, columns=1, groups=groups, content="A" * picture)
    return Details(cell_key=key, histogram=bins, roc=line, pr_in=line, pr_out=line, images=sheet)


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
    assert evil in pieces(text)["overview"]["texts"]
    assert "<script>alert" not in text
    assert "\u2028" not in text


@pytest.mark.parametrize(
    ("limit", "pictures", "remark"),
    [
        (10_000, [True, True], ""),
        (2_000, [True, False], "first seed only"),
        (1_000, [False, False], "leaves out images"),
        (10, [], "leaves out histograms"),
    ],
)
def test_what_does_not_fit_is_left_out_and_said(every, monkeypatch, limit, pictures, remark):
    monkeypatch.setattr(build, "LIMIT", limit)
    kept = {record.cell_key: details(record.cell_key) for record in every[0].rows[0].records}
    found = pieces(build.page(every, kept, {}))
    seeds = [one["details"] for one in found["row-0"]["seeds"] if one["details"]]
    assert ["images" in one for one in seeds] == pictures
    assert remark in found["overview"]["remark"]
    assert bool(found["overview"]["remark"]) == bool(remark)
