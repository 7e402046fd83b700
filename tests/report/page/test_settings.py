import pytest

from ood_bench.errors import ConfigError
from ood_bench.report.page.settings import PageSettings, load


def test_a_file_names_the_page_and_asks_for_papers(tmp_path):
    assert load(tmp_path) == PageSettings(papers="run")
    (tmp_path / "page.yaml").write_text("title: Mine\npapers: all\nrepository: https://example.org/x/\n")
    found = load(tmp_path)
    assert (found.title, found.papers) == ("Mine", "all")
    assert found.link("docs/a.md") == "https://example.org/x/docs/a.md"
    assert PageSettings().link("docs/a.md") == ""


@pytest.mark.parametrize(
    ("text", "said"), [("titel: x", "title"), ("papers: some", "papers"), ("a: [", "cannot be read")]
)
def test_a_wrong_file_is_refused_with_what_it_may_hold(tmp_path, text, said):
    (tmp_path / "page.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said) as error:
        load(tmp_path)
    assert "page.yaml" in str(error.value)
    assert "papers (run or all)" in error.value.hint
