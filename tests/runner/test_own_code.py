"""A run sees an edit of a user's own class: what the old code gave is not taken for the new code's."""

import logging

import pytest
import torch

import ood_bench

NETWORK = """
from own_blocks import features
from torch import nn


class OwnNet(nn.Module):
    taps = {"features": "flat"}
    block_taps = stage_taps = ()
    penultimate = "features"

    def __init__(self, shape, classes):
        super().__init__()
        self.flat = nn.Flatten()
        self.fc = nn.Linear(shape[0] * shape[1] * shape[2], classes)

    def forward(self, x):
        return self.fc(self.flat(features(x)))
"""
METHOD = """
from dataclasses import dataclass

from ood_bench.methods.posthoc import LogitsDetector


@dataclass
class OwnScore(LogitsDetector):
    def score(self, logits):
        return logits.max(axis=1)
"""
LOSS = """
from dataclasses import dataclass

from ood_bench.training.objectives import CrossEntropy


@dataclass
class OwnLoss(CrossEntropy):
    pass
"""
FILES = {
    "own_net.py": NETWORK,
    "own_blocks.py": "def features(x):\n    return x\n",
    "own_score.py": METHOD,
    "own_loss.py": LOSS,
    "own_conf/model/own_net.yaml": "_target_: own_net.OwnNet\nname: own_net\n",
    "own_conf/method/own_score.yaml": "# @package method.own_score\n_target_: own_score.OwnScore\n",
}


@pytest.fixture
def run(quick, tmp_path, write_own):
    """Writes changed files, and runs as a new process would."""
    write_own(FILES)

    def start(*words, **changed):
        write_own({f"{name}.py": content for name, content in changed.items()})
        table = ood_bench.run([f"hydra.searchpath=[file://{tmp_path}/own_conf]", *quick, *words])
        return table["auroc"].tolist()

    return start


def reused(caplog):
    """How many cells were left out because of their record, since the last call."""
    found = sum("record exists" in line for line in caplog.messages)
    caplog.clear()
    return found


def test_an_edited_method_scores_anew_with_the_same_network(run, trainings, caplog):
    caplog.set_level(logging.INFO)
    words = ["method=[msp,own_score]"]
    msp, before = run(*words)
    assert reused(caplog) == 0
    assert run(*words) == [msp, before]
    assert reused(caplog) == 2
    assert run(*words, own_score=METHOD.replace("logits.max", "-logits.max")) == [msp, pytest.approx(100 - before)]
    assert reused(caplog) == 1
    assert len(trainings) == 1


def test_an_edited_score_on_top_of_a_shipped_method_scores_anew(run):
    words = ["method=react", "method.react.base={own_score.OwnScore:{}}"]
    (before,) = run(*words)
    (after,) = run(*words, own_score=METHOD.replace("logits.max", "-logits.max"))
    assert after == pytest.approx(100 - before)


def test_an_edited_network_is_trained_anew(run, trainings, caplog):
    caplog.set_level(logging.INFO)
    before = run("model=own_net")
    assert run("model=own_net") == before
    assert reused(caplog) == 1
    assert run("model=own_net", own_blocks="def features(x):\n    return x.relu()\n") != before
    assert run("model=own_net", own_blocks=FILES["own_blocks.py"]) == before
    assert reused(caplog) == 1
    assert len(set(trainings)) == len(trainings) == 2


def test_published_weights_go_through_the_edited_network(run, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    torch.manual_seed(0)
    torch.save({"fc.weight": torch.randn(8, 64), "fc.bias": torch.zeros(8)}, tmp_path / "own.pt")
    words = ["model=own_net", f"checkpoint={tmp_path}/own.pt", "method=[msp,energy]"]
    before = run(*words)
    assert run(*words) == before
    assert reused(caplog) == 2
    for now, then in zip(run(*words, own_blocks="def features(x):\n    return x.sin()\n"), before, strict=True):
        assert now != then
    assert reused(caplog) == 0
    assert len(list(tmp_path.glob("outputs/quickstart/store/classifiers/imported-own_net-*/weights.safetensors"))) == 2


def test_a_network_is_trained_anew_with_an_edited_loss(run, trainings):
    run("train.loss.name=own_loss.OwnLoss")
    run("train.loss.name=own_loss.OwnLoss")
    assert len(trainings) == 1
    run("train.loss.name=own_loss.OwnLoss", own_loss=f"{LOSS}\n# changed\n")
    assert len(set(trainings)) == len(trainings) == 2


def test_an_edited_child_of_a_shipped_method_takes_its_steps_anew(run):
    child = """
from dataclasses import dataclass

from ood_bench.methods.odin import Odin


@dataclass
class OwnScore(Odin):
    def rule(self, gradient):
        return gradient.sign()
"""
    words = ["method=own_score", "+method.own_score.magnitudes=[0.3]"]
    before = run(*words, own_score=child)
    assert run(*words, own_score=child.replace("gradient.sign()", "-gradient.sign()")) != before
