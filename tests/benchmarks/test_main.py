import re

import pytest

from benchmarks import run as module
from benchmarks.__main__ import main

TINY = ["--quick", "--images", "4", "--rounds", "1", "--lenet-images", "24"]


@pytest.fixture
def said(tmp_path, capsys):
    """Runs the command without data and gives its exit status and what it printed."""

    def run(*words):
        status = main([*words, "--data-root", str(tmp_path)])
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_quick_prints_both_tables_and_the_agreement(said):
    status, out, _ = said(*TINY)
    assert status == 0
    for title in ("LeNet (fresh weights), 24 images (uniform)", "resnet20 (fresh weights)", "Do the scores agree?"):
        assert title in out
    for work in (
        "msp, mahalanobis and fssd on all taps, together",
        "the same with a warm store",
        "odin, grid of 4 x 2",
    ):
        assert work in out
    assert re.search(r"pytorch-ood \d+\.\d+", out)
    assert "processor time" in out
    assert "forward-only methods beyond msp adds" in out
    assert "DIFFER" not in out


def test_without_pytorch_ood_it_says_how_to_get_it(said, monkeypatch):
    monkeypatch.setattr(module, "installed", lambda: None)
    status, out, _ = said(*TINY)
    assert status == 0
    assert 'pytorch-ood is not installed: pip install "pytorch-ood>=0.4"' in out
    assert "Do the scores agree?" not in out
    line = next(line for line in out.splitlines() if line.strip().startswith("odin, one setting"))
    assert line.split()[-3:] == ["-", "-", "-"]


@pytest.mark.parametrize("words", [("--rounds", "0"), ("--images", "3"), ("--threads", "0"), ("--lenet-images", "1")])
def test_senseless_numbers_are_refused(said, words):
    with pytest.raises(SystemExit) as stop:
        said(*TINY, *words)
    assert stop.value.code == 2
