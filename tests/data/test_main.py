import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest
from torchvision import datasets

from ood_bench.data import mnist
from ood_bench.data.__main__ import main
from ood_bench.data.catalogue import entries


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def test_list_shows_state_and_source(tmp_path, capsys):
    assert main(["list", "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("present") == 6  # digits twice, held-out digits, patches, two kinds of noise
    assert shown.count("missing") == len(entries()) - 6
    assert "www.dropbox.com/s/fhtsw1m3qxlwj6h" in shown
    assert "JPEG copy" in shown


def test_the_root_comes_from_the_environment(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OOD_BENCH_DATA", str(tmp_path / "here"))
    assert main(["list", "mnist"]) == 0
    assert "here" in capsys.readouterr().out
    monkeypatch.delenv("OOD_BENCH_DATA")
    main(["list", "mnist"])
    assert "under data" in capsys.readouterr().out


def test_verify_reads_what_is_there(tmp_path, capsys):
    assert main(["verify", "digits", "digits_held_out", "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("whole") == 3
    assert "1×8×8" in shown


def test_verify_fails_for_what_was_named_but_is_not_there(tmp_path, capsys):
    assert main(["verify", "digits", "mnist", "--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("is missing") == 3


def test_verify_finds_a_spoilt_file(tmp_path, capsys, write_idx, pixels):
    write_idx(tmp_path / "MNIST/raw/t10k-images-idx3-ubyte", pixels(3, 28, 28))
    write_idx(tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte", pixels(3))
    assert main(["verify", "mnist", "--root", str(tmp_path)]) == 1
    assert "incomplete or changed" in capsys.readouterr().out


def test_verify_names_odd_entries_escaped(tmp_path, capsys):
    folder = tmp_path / "intel-scenes/sea"
    folder.mkdir(parents=True)
    Path(folder, os.fsdecode(b"\xe4\x1b[31m.png")).symlink_to("nowhere")
    assert main(["verify", "scenes", "--root", str(tmp_path)]) == 1
    shown = "".join(capsys.readouterr().out.split())
    assert r"\xe4\x1b[31m.png:cannotberead(Nosuchfileordirectory)" in shown


def test_fetch_reports_each_set(tmp_path, capsys, mirror, monkeypatch):
    assert main(["fetch", "digits", "scenes", "--root", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "id=digits train: present" in shown
    assert "intel-scenes is missing" in shown
    release = mnist.RELEASES["KMNIST"]
    monkeypatch.setitem(mnist.RELEASES, "KMNIST", replace(release, mirrors=(mirror.address,)))
    mirror.content = gzip.compress(b"whole")
    monkeypatch.setattr(datasets.KMNIST, "resources", [(name, mirror.md5) for name, _ in datasets.KMNIST.resources])
    assert main(["fetch", "kmnist", "--root", str(tmp_path)]) == 0
    assert "ood=kmnist: fetched" in capsys.readouterr().out
    assert (tmp_path / "KMNIST/raw/t10k-labels-idx1-ubyte").read_bytes() == b"whole"


def test_unknown_names_and_commands(capsys):
    assert main(["list", "mnits"]) == 2
    assert "did you mean mnist" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["fetch"])
