import sys
import types

import pytest
import timm
import torch
from torch import nn

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.scoring.stochastic import dropout_modules


def built(name, variant=None, **changes):
    model = compose_settings(["model=timm", f"model.timm_name={name}"]).model
    torch.manual_seed(0)
    return build_network({**(model["variants"][variant] if variant else model), **changes}, (3, 32, 32), 10).eval()


def test_the_network_is_timms():
    network = built("resnet10t")
    torch.manual_seed(0)
    theirs = timm.create_model("resnet10t", num_classes=10).eval()
    assert list(network.state_dict()) == [f"net.{name}" for name in theirs.state_dict()]
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), theirs(x))
    assert dropout_modules(network) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"timm_name": "resnet18t"}, "cannot build .*TimmModel: .*resnet18t"),
        ({"options": {"colour": 1}}, "cannot build .*TimmModel: .*colour"),
        ({"dropout": 0.2, "options": {"colour": 1}}, "cannot build .*TimmModel: .*colour"),
        ({"taps": {"pooled": "pool"}}, "has no module pool"),
        ({"penultimate": "last"}, "model.penultimate is 'last'; model.taps names layer1"),
    ],
)
def test_what_does_not_exist_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        built("resnet10t", **changes)


@pytest.mark.parametrize(
    ("name", "taps"),
    [
        ("resnet10t", {"pooled": "global_pool"}),  # its drop_rate is a function
        ("convnext_atto", {"pooled": "head.flatten"}),  # its drop_rate is a layer
    ],
)
def test_dropout_can_be_sampled(name, taps):
    network = built(name, "mc_dropout", taps=taps)
    (module,) = (found for found in dropout_modules(network) if found.p > 0)
    assert module.p == 0.2
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(network(x), network(x))
    module.train()
    assert not torch.equal(network(x), network(x))


class Small(nn.Module):
    """A network as timm might make it: it does not know dropout, and may end in another layer than a linear one."""

    def __init__(self, name, *, pretrained, num_classes, in_chans):
        super().__init__()
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1))
        self.head = nn.Linear(4 * in_chans, num_classes)
        self.last = self.head if name == "linear" else nn.ReLU()

    def forward(self, x):
        return self.head(self.global_pool(x))


def test_a_network_without_dropout_gets_some_if_there_is_a_place(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", types.SimpleNamespace(create_model=Small))
    taps = {"pooled": "global_pool"}
    assert [module.p for module in dropout_modules(built("linear", "mc_dropout", taps=taps))] == [0.2]
    with pytest.raises(ConfigError, match=r"timm's open has no dropout layers, and .* 'last' is no"):
        built("open", "mc_dropout", taps=taps)


def test_the_variant_follows_the_models_own_settings():
    settings = compose_settings(["model=timm", "model.timm_name=resnet50", "model.name=r50", "+model.options.a=1"])
    variant = settings.model["variants"]["mc_dropout"]
    assert (variant["name"], variant["timm_name"], variant["options"]) == ("r50_mc_dropout", "resnet50", {"a": 1})
    assert variant["taps"] == settings.model["taps"]
