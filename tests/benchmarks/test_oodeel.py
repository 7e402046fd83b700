import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import oodeel as module
from benchmarks.oodeel import elsewhere, main, measure, peers, prepared
from benchmarks.oodeel_work import METHODS
from benchmarks.ours import Ours
from benchmarks.posthoc import FOURTEEN, fresh, repeated, together
from benchmarks.theirs import Theirs
from ood_bench.errors import ConfigError


@pytest.fixture
def given(subject, theirs, tmp_path):
    """What the other interpreter is given, and the file that holds it."""
    ours, path = Ours(subject.classifier, subject.train, tmp_path), tmp_path / "given.pt"
    prepared(ours, theirs, subject.train, [subject.test, *subject.oods], path)
    return torch.load(path, weights_only=False), path


def test_without_the_other_interpreter_it_says_where_to_read_on(tmp_path, capsys):
    words = ["--python", str(tmp_path / "python"), "--checkpoint", "resnet20.th", "--images", "20"]
    assert main(words) == 1
    assert capsys.readouterr().err.endswith("python is not there: make its environment as docs/speed.md says\n")


def test_an_interpreter_and_weights_are_asked_for():
    with pytest.raises(SystemExit) as stop:
        main(["--images", "20"])
    assert stop.value.code == 2


def test_an_interpreter_without_oodeel_is_refused_with_what_it_said(given, tmp_path):
    with pytest.raises(ConfigError, match=r"No module named 'oodeel(\.methods)?'") as error:
        elsewhere(Path(sys.executable), given[1], tmp_path / "found.npz", 1)
    assert error.value.hint == "make its environment as docs/speed.md says"


def test_the_network_is_given_as_modules_of_torch(given, subject, theirs):
    network, x = given[0]["network"], given[0]["sets"][0]
    assert {type(part).__module__.split(".")[0] for part in network.modules()} == {"torch"}
    torch.testing.assert_close(x, theirs.dataset(subject.test, 6).tensors[0])
    with torch.inference_mode():
        torch.testing.assert_close(network(x), subject.classifier.network(x))
    assert network.linear.in_features == 2 * METHODS["vim"][1]["princ_dims"]


def test_what_oodeel_lacks():
    assert [name for name in FOURTEEN if name not in METHODS] == ["dice", "gradnorm"]


def test_pytorch_ood_has_all_methods_and_the_same_table(subject, tmp_path):
    names = [name for name in FOURTEEN if name != "she"]  # fresh weights put no image of some class in it
    train, sets = repeated(subject.train, 60), [repeated(one, 10) for one in (subject.test, *subject.oods)]
    theirs = Theirs(subject.classifier, train, batch_size=16)
    known, *others = (theirs.dataset(one, 0 if number else 10) for number, one in enumerate(sets))
    table = theirs.table(peers(theirs, subject.classifier.std, names), theirs.benchmark(known, others))
    mine = together(subject.classifier, names, train, sets, tmp_path)
    assert table.shape == mine.shape == (2, 13)
    same = [names.index(name) for name in ("maxlogit", "energy", "knn", "dice", "react", "ash", "gradnorm")]
    np.testing.assert_allclose(table[:, same], mine[:, same], atol=1e-4)


def test_scores_are_held_against_ours_up_to_scale_and_offset(subject, tmp_path, monkeypatch, capsys):
    names, options = ("msp", "energy"), Namespace(images=20, fitted=20, rounds=1, python=Path("python"))
    sets = [repeated(subject.test, 10), *(repeated(one, 5) for one in subject.oods)]
    ours = Ours(subject.classifier, repeated(subject.train, 20), tmp_path)
    msp, energy = np.hstack(ours.cold(ours.fit(fresh(names)), sets))
    energy[0] += np.ptp(energy)
    found = {"msp": 1 - np.exp(msp), "energy": -2 * energy, "ratios": np.array([7.0]), "seconds": np.array([1.0])}
    monkeypatch.setattr(module, "METHODS", dict.fromkeys(names))
    monkeypatch.setattr(module, "FOURTEEN", (*names, "gradnorm"))
    monkeypatch.setattr(module, "elsewhere", lambda *_: {**found, "version": "0.4.0"})
    measure(options, subject, tmp_path)
    said = capsys.readouterr().out
    assert "2 methods, oodeel          7.00 passes (7.00 to 7.00)" in said
    assert "3 methods, pytorch-ood" in said
    assert "oodeel 0.4.0 lacks gradnorm\n" in said
    shares = {line.split()[0]: float(line.split()[5]) for line in said.splitlines() if "of the range" in line}
    assert shares["msp"] < 1e-9
    assert shares["energy"] > 0.1
