"""Every shipped network and recipe."""

import pytest
import torch
from torch import nn

from ood_bench.models.classifier import build_network
from ood_bench.training.recipe import recipe_from
from ood_bench.utils.configs import options

NETWORKS = [name for name in options("model") if name != "lenet"]


@pytest.fixture(scope="module", params=NETWORKS)
def network(request, toys):
    torch.manual_seed(0)
    return build_network(toys.content("model", request.param), (3, 32, 32), 10).eval()


@pytest.mark.parametrize(
    ("name", "classes", "parameters"),
    [
        ("allconv", 10, 1_409_674),
        ("densenet_bc_100_12", 10, 769_162),
        ("densenet_bc_100_12", 100, 800_032),
        ("densenet_bc_100_12", 8, 768_476),  # two classes left out of ten, twenty of a hundred
        ("densenet_bc_100_12", 80, 793_172),
        ("lenet", 10, 1_199_882),
        ("resnet18", 10, 11_173_962),
        ("resnet20", 10, 269_722),
        ("resnet32", 10, 464_154),
        ("resnet34", 10, 21_282_122),
        ("resnet44", 10, 658_586),
        ("resnet56", 10, 853_018),
        ("vgg11", 10, 9_750_922),
        ("wrn_28_10", 10, 36_479_194),
        ("wrn_28_10", 100, 36_536_884),
        ("wrn_28_10", 8, 36_477_912),
        ("wrn_28_10", 80, 36_524_064),
        ("wrn_40_2", 10, 2_243_546),
    ],
)
def test_parameter_counts(name, classes, parameters, toys):
    shape = (1, 28, 28) if name == "lenet" else (3, 32, 32)
    with torch.device("meta"):
        network = build_network(toys.content("model", name), shape, classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def read_taps(network, images):
    """Logits, each tap's value as it was when the hook fired, and the live tensors of the same."""
    copies, live = {}, {}

    def keep(name):
        def hook(_module, _inputs, value):
            assert name not in live, f"{name} fired twice"
            live[name], copies[name] = value, value.clone()

        return hook

    handles = [network.get_submodule(path).register_forward_hook(keep(tap)) for tap, path in network.taps.items()]
    with torch.no_grad():
        logits = network(images)
    for handle in handles:
        handle.remove()
    return logits, copies, live


def test_every_tap_fires_once_in_order_and_is_left_alone(network):
    logits, copies, live = read_taps(network, torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 10)
    assert list(live) == list(network.taps)
    for name, value in live.items():
        assert len(value) == 2
        torch.testing.assert_close(value, copies[name], rtol=0, atol=0)
    assert set(getattr(network, "stage_taps", ())) <= set(network.taps)


def test_the_penultimate_tap_feeds_the_last_linear_layer(network):
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    logits, copies, _ = read_taps(network, torch.randn(2, 3, 32, 32))
    penultimate = copies[network.penultimate]
    assert penultimate.shape == (2, last.in_features)
    torch.testing.assert_close(last(penultimate), logits)


@pytest.mark.parametrize("name", options("train"))
def test_recipe(name, toys):
    recipe = recipe_from(toys.content("train", name))
    assert recipe.name == name
    assert all(0 < milestone < recipe.epochs for milestone in recipe.schedule.milestones)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("odin_densenet", (300, 64, 0.1, 1e-4, True, [150, 225])),
        ("odin_wrn", (200, 128, 0.1, 5e-4, True, [100, 150])),
        ("fssd_resnet34", (350, 128, 0.1, 5e-4, False, [150, 250])),
        ("featurenorm_resnet18", (100, 128, 0.1, 5e-4, False, [50, 75, 90])),
        ("featurenorm_wrn", (200, 128, 0.1, 5e-4, False, [100, 150])),
        ("godin_densenet", (300, 64, 0.1, 1e-4, False, [150, 225])),
        ("godin_resnet34", (200, 128, 0.1, 5e-4, False, [100, 150])),
        ("godin_wrn", (200, 128, 0.1, 5e-4, False, [100, 150])),
        ("godin_port", (200, 128, 0.1, 1e-3, False, [49, 99, 149])),
        ("featurenorm_vgg11", (100, 128, 0.05, 5e-4, False, [50, 75, 90])),
    ],
)
def test_papers_constants(name, constants, toys):
    recipe = recipe_from(toys.content("train", name))
    optimizer, schedule = recipe.optimizer, recipe.schedule
    found = (recipe.epochs, recipe.batch_size, optimizer.lr, optimizer.weight_decay, optimizer.nesterov)
    assert (*found, schedule.milestones) == constants
    assert (optimizer.momentum, schedule.gamma) == (0.9, 0.1)
