"""MC dropout on every shipped model."""

import copy
import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks
from ood_bench.models.classifier import build_network
from ood_bench.models.heads import without_default_head
from ood_bench.scoring.engine import View
from ood_bench.scoring.stochastic import dropout_modules, sample_passes
from ood_bench.utils.configs import conf_dir
from ood_bench.utils.files import content_key

KEYS = {
    "allconv": "87d45cbdaba0ccb2",
    "densenet_bc_100_12": "d52a479340ee383f",
    "lenet": "156ae086b69bf65c",
    "resnet18": "eaed00cd91786146",
    "resnet18_featurenorm": "362aa40c88540323",
    "resnet20": "695209101603ae69",
    "resnet20_v2": "c3022415b23cda15",
    "resnet32": "b79748d9d9853df8",
    "resnet34": "9d02e1284800bdd3",
    "resnet44": "f5e7d60dcd01a7bd",
    "resnet56": "4fa127bc33d12492",
    "timm": "e9f96f6c112b7d80",
    "torchvision": "3aecd2ad0f39b51a",
    "vgg11": "ab8d9db9c421adcb",
    "wrn_28_10": "d017705227aa9863",
    "wrn_40_2": "dd6731c79c3d5c30",
}
MODELS = sorted(Path(path).stem for path in (conf_dir() / "model").glob("*.yaml"))
KINDS = [name for name in MODELS if name not in ("resnet32", "resnet34", "resnet44", "resnet56", "wrn_40_2")]

# As small as the classes allow; what is not named is small enough.
SMALL = {
    "allconv": {"widths": [4, 8]},
    "densenet_bc_100_12": {"depth": 10},
    "resnet18": {"blocks": [1, 1], "widths": [4, 8]},
    "resnet18_featurenorm": {"blocks": [1, 1], "widths": [4, 8]},
    **{f"resnet{depth}": {"blocks": [1, 1], "widths": [4, 8]} for depth in (20, 32, 44, 56)},
    "resnet20_v2": {"depth": 11},
    "resnet34": {"blocks": [1, 1], "widths": [4, 8]},
    "timm": {"timm_name": "resnet10t"},
    "wrn_28_10": {"depth": 10, "widen": 1},
    "wrn_40_2": {"depth": 10, "widen": 1},
}
RATES = ("dropout", "rate", "conv_dropout", "stage_dropout")


@functools.cache
def model_of(name):
    return compose_settings([f"model={name}"]).model


def networks_of(toys, name):
    """The model as a run on 32-pixel images would have it."""
    node = model_of(name)
    pictures = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    data = ImageSet.of("pictures", pictures, np.arange(40) % 4)
    plain = {key: value for key, value in node.items() if key != "variants"}
    return Networks(replace(toys.base_spec(), model=plain, data=data, test=data), node["variants"])


def built(model, name, **changes):
    torch.manual_seed(0)
    return build_network({**model, **SMALL.get(name, {}), **changes}, (3, 32, 32), 4).eval()


def sampling(network):
    """The network with nothing but its dropout at work."""
    for module in dropout_modules(network):
        module.train()
    return network


def test_dropout_leaves_the_plain_networks_keys_alone():
    """Trained classifiers are found by what their model's file says without its variants."""
    assert {name: content_key(without_default_head(model_of(name))) for name in MODELS} == KEYS


@pytest.mark.parametrize("name", MODELS)
def test_the_dropout_variant_is_accepted_with_an_own_name_and_key(name, toys):
    networks = networks_of(toys, name)
    (spec,) = toys.detector("mc_dropout").networks(networks)
    assert spec.model["name"] == f"{networks.base.model['name']}_mc_dropout"
    assert spec.key != networks.base.key


@pytest.mark.parametrize("name", KINDS)
def test_passes_of_the_variant_differ_while_its_dropout_is_at_work(name):
    network = built(model_of(name)["variants"]["mc_dropout"], name)
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(network(x), network(x))
        sampling(network)
        assert not torch.equal(network(x), network(x))


@pytest.mark.parametrize("name", [name for name in KINDS if name != "lenet"])  # whose variant lacks a ReLU
def test_at_rate_0_the_variant_is_the_plain_network(name):
    variant = model_of(name)["variants"]["mc_dropout"]
    rates = {key: 0.0 for key in variant if key in RATES}
    plain, network = built(model_of(name), name), sampling(built(variant, name, **rates))
    network.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(network(x), plain(x), rtol=0, atol=0)
    assert rates


@pytest.mark.parametrize(
    ("name", "rate"), [("resnet20", "conv_dropout"), ("resnet20", "stage_dropout"), ("resnet20_v2", "stage_dropout")]
)
def test_every_optional_place_is_random_by_itself(name, rate):
    network = sampling(built(model_of(name), name, **{rate: 0.5}))
    x = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert not torch.equal(network(x), network(x))


def test_a_variant_whose_dropout_does_nothing_is_refused_before_training(toys):
    networks = networks_of(toys, "resnet20")
    still = {"mc_dropout": {**networks.variants["mc_dropout"], "dropout": 0.0}}
    with pytest.raises(
        ConfigError, match=r"method mc_dropout: model resnet20_mc_dropout has no dropout layer of a rate"
    ):
        toys.detector("mc_dropout").networks(replace(networks, variants=still))


@pytest.mark.parametrize("name", KINDS)
def test_shared_passes_of_every_variant_are_separate_passes(name, toys):
    given = toys.classifier_of(built(model_of(name)["variants"]["mc_dropout"], name))
    images = networks_of(toys, name).base.data
    found = sample_passes(given, View(images, np.arange(5)), 3, 7, 3, train_mode=False)
    network = sampling(copy.deepcopy(given.network))
    x = given.normalise(torch.from_numpy(np.array(images.images[:5])))
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(7)
        runs = [torch.stack([network(part) for _ in range(3)]).double().softmax(dim=2) for part in (x[:3], x[3:])]
    np.testing.assert_array_equal(found[:, :-1], torch.cat([run.mean(dim=0) for run in runs]))
