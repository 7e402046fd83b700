import pytest
import torch

from ood_bench.checkpoints.entries import find_network
from ood_bench.errors import ArtifactError


def weights(value):
    return {"conv.weight": torch.full((2, 2), float(value)), "conv.bias": torch.full((2,), float(value))}


def read(tree, entry=None):
    """Value of the tensors, entry, and others."""
    found = find_network(tree, entry)
    return found.tensors["conv.bias"][0].item(), found.entry, found.others


@pytest.mark.parametrize(
    "averaged", ["state_dict_ema", "ema_state_dict", "model_ema", "ema", "weights", "params_ema", "teacher"]
)
@pytest.mark.parametrize("plain", ["state_dict", "model", "params"])
def test_others_are_named_and_can_be_chosen(plain, averaged):
    tree = {averaged: weights(2), plain: weights(1), "epoch": torch.tensor(3)}
    assert read(tree) == (1, plain, (averaged,))
    assert read(tree, averaged) == (2, averaged, (plain,))


def test_entries_within_entries():
    tree = {"model": {"state_dict": weights(1)}, "ema": {"decay": 0.9, "module": weights(2)}}
    assert read(tree) == (1, "model.state_dict", ("ema.module",))
    assert read(tree, "ema") == read(tree, "ema.module") == (2, "ema.module", ("model.state_dict",))


@pytest.mark.parametrize(
    ("tree", "entry"),
    [
        ({"ema": weights(1), "epoch": torch.tensor(3)}, "ema"),  # averaged weights alone
        ({"model": {"name": "resnet"}, "weights": weights(1)}, "weights"),  # settings of a model
        ({**weights(1), "ema": {"decay": torch.tensor(0.9)}}, ""),
        (
            {"state_dict": weights(1), "optimizer": {"exp_avg": weights(2)}, "best": {"acc": torch.tensor(1.0)}},
            "state_dict",
        ),
    ],
)
def test_a_single_network(tree, entry):
    assert read(tree) == (1, entry, ())


def test_one_network_under_two_names_is_one():
    tree = {"net": (same := weights(1)), "state_dict": same}
    assert read(tree) == (1, "state_dict", ())
    assert read(tree, "net") == (1, "net", ())


def test_an_unknown_entry_and_no_known_one():
    with pytest.raises(ArtifactError, match=r"no entry emo \(did you mean ema\?\); it holds net, ema"):
        find_network({"net": weights(1), "ema": weights(2)}, "emo")
    with pytest.raises(ArtifactError, match="Networks lie under generator, critic: choose one by --entry"):
        find_network({"generator": weights(1), "critic": weights(2)})
