"""What the front door shows."""

import pytest

from ood_bench.cli.help import COMMANDS, GROUPS, explain, main, overview
from ood_bench.utils.configs import conf_dir, options


def test_the_overview_fits_on_a_screen_and_names_all_commands_and_groups():
    lines = overview().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    for name in COMMANDS:
        assert any(line.startswith(f"  {name} ") for line in lines)
    for group in GROUPS:
        assert any(line.split()[:2] == [group, str(len(options(group)))] for line in lines)


def test_every_group_of_conf_is_shown():
    assert {path.name for path in conf_dir().iterdir() if path.is_dir()} == {*GROUPS, "hydra"}


@pytest.mark.parametrize("group", GROUPS)
def test_every_option_is_a_line_with_a_sentence(group):
    shown = explain(group).splitlines()[2:]
    assert [line.split()[0] for line in shown] == sorted(options(group))
    for name, about in options(group).items():
        assert about.endswith("."), f"conf/{group}/{name}.yaml begins with no comment that is a sentence: {about!r}"


def test_lines_are_cut_to_the_terminal(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "60")
    lines = explain("paper").splitlines()[2:]
    assert max(map(len, lines)) == 60
    assert any(line.endswith("…") for line in lines)


def test_list_without_a_group_shows_the_groups(capsys):
    assert main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(GROUPS)


def test_a_method_says_what_it_computes_where_it_is_from_and_what_may_be_tuned(capsys):
    assert main(["method", "react"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "react: ReAct: ",
        "arXiv 2111.12797",
        "needs: pooled features, ",
        "grid: percentile=[85.0, 90.0, 95.0",
    ):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_other_names_are_refused(capsys):
    assert main(["method", "reakt"]) == 2
    assert "there is no method 'reakt' (did you mean react?)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["ood", "mnist"])
