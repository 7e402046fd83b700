import logging
import runpy
import sys

import pytest

from ood_bench.report.__main__ import main
from ood_bench.results import RecordStore


@pytest.fixture(autouse=True)
def _shipped(conf, caplog):
    caplog.set_level(logging.INFO)


def test_check_fails_until_the_tables_are_written(make, fill, results, caplog):
    fill(make())
    assert main(["--results", str(results), "--check"]) == 1
    assert "fssd_fashionmnist.md: is missing" in caplog.text
    assert main(["--results", str(results)]) == 0
    assert "wrote " in caplog.text
    assert main(["--results", str(results), "--check"]) == 0
    assert main(["--results", str(results)]) == 0
    assert "up to date" in caplog.text


def test_margins_are_chosen_and_printed(make, fill, results, caplog, capsys):
    fill(*(make(seed=seed, auroc=79.2 + seed / 10) for seed in range(3)))  # 2 points from the paper, chance 0.55
    assert main(["--results", str(results)]) == 0
    assert "1 reproduced, 1 not reproduced, 6 not run; margin 1 point, 2 for false positive rates" in caplog.text
    wide = ["--results", str(results), "--margin", "2.5", "--fpr-margin", "0.1"]
    assert main(wide) == 0
    assert "1 reproduced, 1 not reproduced, 6 not run; margin 2.5 points, 0.1 for false positive rates" in caplog.text
    assert "margin 2.5 points" in (results / "latex" / "fssd_fashionmnist.tex").read_text()
    assert main([*wide, "--check"]) == 0
    assert main(["--results", str(results), "--check"]) == 1
    with pytest.raises(SystemExit):
        main(["--results", str(results), "--margin", "-1"])
    assert "a margin is a number of points, 0 or more" in capsys.readouterr().err


def test_a_contradiction_is_one_message_and_can_be_set_aside(make, fill, results, capsys):
    fill(make(), make(cell_key="a" * 16))
    assert main(["--results", str(results)]) == 2
    assert "error: msp on mnist: two results for seed 0" in capsys.readouterr().err
    path = RecordStore(results).path(make(cell_key="a" * 16))
    assert main(["--results", str(results), "--set-aside", str(path)]) == 0
    assert (results / "tables" / "fssd_fashionmnist.md").exists()


@pytest.mark.parametrize("words", [("report", "--results"), ("compare", "--results"), ("store", "check", "--store")])
def test_a_folder_that_is_not_there_is_refused(words, command_line, tmp_path):
    said = command_line(*words, str(tmp_path / "none"))
    assert said.status == 2
    assert f"error: there is no folder {tmp_path / 'none'}" in said.err
    assert f"hint: name another one by {words[-1]} DIR" in said.err
    assert not (tmp_path / "none").exists()


def test_the_last_record_of_a_block_takes_its_tables_along(make, fill, results, caplog):
    fill(make())
    main(["--results", str(results)])
    assert main(["--results", str(results), "--set-aside", str(RecordStore(results).path(make()))]) == 0
    assert "removed " in caplog.text
    assert list((results / "tables").iterdir()) == []


def test_it_runs_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["report", "--help"])
    monkeypatch.delitem(sys.modules, main.__module__)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("ood_bench.report", run_name="__main__")
    assert stop.value.code == 0
    assert "--set-aside FILE" in capsys.readouterr().out
