import logging

import numpy as np
import pytest

from ood_bench.store.__main__ import main


@pytest.fixture
def command(full, caplog):
    def run(*words):
        caplog.clear()
        with caplog.at_level(logging.INFO):
            code = main([str(word) for word in words])
        return code, " ".join(caplog.text.split())

    return run


def test_check_gives_sizes_and_damage(command, full):
    places = ("--store", full.store, "--results", full.results)
    code, said = command("check", *places)
    assert code == 0
    assert "1 valid, 0 of them without a seal; 0 damaged" in said
    assert "classifiers 3" in said
    (full.kept["base"] / "classifier.json").write_text("{")
    code, said = command("check", *places)
    assert code == 1
    assert "lenet-digits-base: cannot be read: " in said
    assert "--set-aside moves what is damaged out of the way" in said
    assert full.kept["base"].exists()
    code, said = command("check", *places, "--set-aside")
    assert "set aside: " in said
    assert not full.kept["base"].exists()
    assert command("check", *places)[0] == 0
    np.save(full.kept["images"] / "images.npy", np.full((4, 1, 2, 2), 7, dtype=np.uint8))
    assert "the pixels or labels have changed" in command("check", *places)[1]
    assert command("check", *places, "--quick")[0] == 0
    details = full.results / "details" / f"{full.kept['scores'].stem}.json"
    details.parent.mkdir()
    details.write_text("{")
    code, said = command("check", *places, "--quick")
    assert code == 1
    assert f"damaged details: {details}" in said


def test_gc_shows_first_and_deletes_when_told(command, full):
    places = ("--store", full.store, "--results", full.results)
    code, said = command("gc", *places)
    assert code == 0
    assert f"would go: {full.loose['classifier']}" in said
    assert "nothing was deleted: --delete does it" in said
    assert full.loose["classifier"].exists()
    code, said = command("gc", *places, "--delete", "--also", "banks")
    assert code == 0
    assert not full.loose["classifier"].exists()
    assert not full.kept["bank"].exists()
    assert full.kept["tuned"].exists()


@pytest.mark.parametrize("hours", ["nan", "-1"])
def test_gc_refuses_an_age_that_is_none(full, capsys, hours):
    with pytest.raises(SystemExit):
        main(["gc", "--store", str(full.store), "--older-than", hours])
    assert f"argument --older-than: '{hours}' is not a number of 0 or more" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("check",), ("export", "all.csv")])
def test_a_mistyped_results_folder_is_refused(full, capsys, monkeypatch, words):
    monkeypatch.chdir(full.store)
    assert main([*words, "--results", "typo", *(["--store", "."] if words == ("check",) else [])]) == 2
    assert "there is no folder typo" in capsys.readouterr().err
