import pytest
import torch
import torch.nn.functional as F

from ood_bench.models.classifier import build_network
from ood_bench.models.resnet_v2 import BottleneckV2

MODEL = {"_target_": "ood_bench.models.resnet_v2.ResNetV2", "name": "resnet20_v2"}


def keras_count(network):
    """Values as Keras counts them: weights and the running statistics of batch norms, without their step counters."""
    return sum(value.numel() for name, value in network.state_dict().items() if "num_batches" not in name)


@pytest.mark.parametrize(("head", "values"), [("linear", 571_962), ("godin_inner", 572_223)])
def test_it_has_as_many_values_as_the_port_prints(head, values):
    assert keras_count(build_network({**MODEL, "head": head}, (3, 32, 32), 10)) == values


def test_batch_norms_are_keras():
    network = build_network({**MODEL, "head": "godin_inner"}, (3, 32, 32), 10)
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}
    assert len(norms) == 1 + 6 * 3 + 1 + 1


@pytest.mark.parametrize(
    ("channels", "out", "stride", "padding", "sides"),
    [
        (8, 8, 1, "same", (1, 1, 1, 1)),
        (8, 16, 1, "same", (1, 1, 1, 1)),
        (8, 16, 2, "both_sides", (1, 1, 1, 1)),
        (8, 16, 2, "same", (1, 1, 0, 1)),  # of a map of height 6 and width 7: left, right, top, bottom
    ],
)
def test_a_block_against_its_formula(channels, out, stride, padding, sides):
    torch.manual_seed(0)
    block = BottleneckV2(channels, 4, out, stride, padding).eval()
    weights = block.state_dict()
    for name in ("bn1", "bn2", "bn3"):
        for part in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{name}.{part}"].uniform_(0.5, 1.5)

    def active(x, name):
        parts = (weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, *parts, eps=1e-3))

    x = torch.randn(2, channels, 6, 7)
    branch = F.conv2d(active(x, "bn1"), weights["conv1.weight"])
    branch = F.conv2d(F.pad(active(branch, "bn2"), sides), weights["conv2.weight"], stride=stride)
    branch = F.conv2d(active(branch, "bn3"), weights["conv3.weight"])
    kernel = weights.get("shortcut.weight")
    shortcut = x if kernel is None else F.conv2d(x, kernel, stride=stride)
    torch.testing.assert_close(block(x), branch + shortcut)
