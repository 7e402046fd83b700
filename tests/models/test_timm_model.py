import functools
import sys
import types

import pytest
import torch
from torch import nn

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.scoring.stochastic import dropout_modules


def test_without_the_library_the_error_names_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    model = {
        "_target_": "ood_bench.models.timm_model.TimmModel",
        "name": "timm_resnet18",
        "timm_name": "resnet18",
        "taps": {"pooled": "global_pool"},
        "penultimate": "pooled",
    }
    with pytest.raises(ConfigError, match=r"pip install 'ood-bench\[timm\]'"):
        build_network(model, (3, 32, 32), 10)


class Fake(nn.Module):
    """A network as timm makes it: dropout is a layer, a function, or unknown to it."""

    def __init__(self, _name, pretrained, num_classes, in_chans, drop_rate=0.0, kind="layer"):
        super().__init__()
        if kind == "unknown" and drop_rate:
            raise TypeError("unexpected keyword argument 'drop_rate'")
        self.drop_rate = drop_rate
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1))
        self.drop = nn.Dropout(drop_rate) if kind == "layer" else nn.Identity()
        self.head = nn.Linear(4 * in_chans, num_classes)
        self.last = nn.ReLU() if kind == "open" else self.head

    def forward(self, x):
        x = self.drop(self.global_pool(x))
        if self.drop_rate and isinstance(self.drop, nn.Identity):
            x = nn.functional.dropout(x, self.drop_rate, self.training)
        return self.head(x)


def timm_model(monkeypatch, kind, **changes):
    made = types.SimpleNamespace(create_model=functools.partial(Fake, kind=kind))
    monkeypatch.setitem(sys.modules, "timm", made)
    model = {**compose_settings(["model=timm"]).model["variants"]["mc_dropout"], "taps": {"pooled": "global_pool"}}
    return build_network({**model, **changes}, (3, 32, 32), 10).eval()


@pytest.mark.parametrize("kind", ["layer", "function", "unknown"])
def test_dropout_that_can_be_sampled_whatever_timm_makes_of_its_rate(kind, monkeypatch):
    network = timm_model(monkeypatch, kind)
    (module,) = dropout_modules(network)
    assert module.p == 0.2
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(network(x), network(x))
    module.train()
    assert not torch.equal(network(x), network(x))


def test_without_dropout_the_network_is_timms(monkeypatch):
    assert not any(module.p for module in dropout_modules(timm_model(monkeypatch, "layer", dropout=0.0)))
    assert dropout_modules(timm_model(monkeypatch, "function", dropout=0.0)) == []


def test_a_network_without_a_place_for_dropout_is_refused(monkeypatch):
    message = r"model\.dropout=0\.2: timm's resnet18 makes no dropout layers of drop_rate, and its last module 'last'"
    with pytest.raises(ConfigError, match=message):
        timm_model(monkeypatch, "open")


def test_the_variant_follows_the_models_own_settings():
    settings = compose_settings(["model=timm", "model.timm_name=resnet50", "model.name=r50", "+model.options.a=1"])
    variant = settings.model["variants"]["mc_dropout"]
    assert (variant["name"], variant["timm_name"], variant["options"]) == ("r50_mc_dropout", "resnet50", {"a": 1})
    assert variant["taps"] == settings.model["taps"]
