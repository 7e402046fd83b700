"""Which parameters decay, by name, for every rule and head; and that torch then treats them so."""

import pytest
import torch
from torch import nn

from ood_bench.models.classifier import build_network
from ood_bench.models.heads import DECOMPOSED
from ood_bench.training.optim import OptimizerConfig, build_optimizer, parameter_groups

LENET = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet"}
RESNET = {"_target_": "ood_bench.models.resnet.ResNet", "name": "resnet20", "blocks": [1], "widths": [8]}


def network(model=LENET, head="linear"):
    torch.manual_seed(0)
    return build_network({**model, "head": head}, (1, 8, 8), 3)


def names(groups, net):
    """Parameter names by decay."""
    known = {parameter: name for name, parameter in net.named_parameters()}
    return {group["weight_decay"]: {known[parameter] for parameter in group["params"]} for group in groups}


@pytest.mark.parametrize("head", DECOMPOSED)
def test_the_similarities_of_a_decomposed_head_do_not_decay(head):
    net = network(head=head)
    found = names(parameter_groups(net, "standard", 0.1), net)
    everything = {name for name, _ in net.named_parameters()}
    similarities = {"fc2.parts.h.weight"} | ({"fc2.parts.h.bias"} if head == "godin_inner" else set())
    assert found == {0.1: everything - similarities, 0.0: similarities}
    assert {"fc2.parts.g.0.weight", "fc2.parts.g.0.bias", "fc2.parts.g.1.weight"} <= found[0.1]


def test_a_wrapper_hides_nothing():
    net = network(head="godin_inner")
    wrapped = nn.Sequential(nn.Sequential(net))
    inside, outside = parameter_groups(net, "standard", 0.1), parameter_groups(wrapped, "standard", 0.1)
    assert [list(map(id, group["params"])) for group in inside] == [list(map(id, group["params"])) for group in outside]


def test_a_linear_head_decays_as_a_whole_in_one_group():
    net = network()
    (group,) = parameter_groups(net, "standard", 0.1)
    assert list(map(id, group["params"])) == list(map(id, net.parameters()))


def test_everything_means_the_similarities_too():
    net = network(head="godin_inner")
    (group,) = parameter_groups(net, "everything", 0.1)
    assert list(map(id, group["params"])) == list(map(id, net.parameters()))


def test_without_decay_there_is_one_group():
    (group,) = parameter_groups(network(head="godin_inner"), "standard", 0.0)
    assert group["weight_decay"] == 0


KERNELS = {"conv1.weight", "layer1.0.conv1.weight", "layer1.0.conv2.weight"}


@pytest.mark.parametrize(("head", "more"), [("linear", set()), ("godin_inner", {"linear.parts.g.0.weight"})])
def test_kernels_are_convolutions_and_hidden_linear_layers(head, more):
    """No bias, no batch norm, and neither a linear head nor h; the linear layer of g is one of the kernels."""
    net = network(RESNET, head)
    found = names(parameter_groups(net, "kernels", 0.1), net)
    assert found[0.1] == KERNELS | more
    assert found[0.0] == {name for name, _ in net.named_parameters()} - KERNELS - more


@pytest.mark.parametrize("name", ["sgd", "adadelta"])
def test_a_step_without_a_gradient_shrinks_what_decays_and_nothing_else(name):
    net = network(head="godin_inner")
    before = {key: value.detach().clone() for key, value in net.named_parameters()}
    config = OptimizerConfig(name=name, lr=0.5, momentum=0.0, weight_decay=0.1)
    optimizer = build_optimizer(config, net)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, value in net.named_parameters():
        if "parts.h" in key:
            assert torch.equal(value, before[key]), key
        elif name == "sgd":
            torch.testing.assert_close(value, before[key] * (1 - 0.5 * 0.1))
        else:
            assert (value.abs() < before[key].abs()).all() or not before[key].any(), key
