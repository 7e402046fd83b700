import pytest
import torch
import torch.nn.functional as F

from ood_bench.models.densenet import Bottleneck, DenseNet, transition

TINY = {"depth": 16, "growth": 4}


def test_a_bottleneck_appends_to_its_input(toys):
    layer = Bottleneck(6, 4, 0.0).eval()
    x = torch.randn(2, 6, 5, 5)
    inner = F.conv2d(F.relu(toys.batch_norm(layer.bn1, x)), layer.conv1.weight)
    assert inner.shape[1] == 16
    new = F.conv2d(F.relu(toys.batch_norm(layer.bn2, inner)), layer.conv2.weight, padding=1)
    torch.testing.assert_close(layer(x), torch.cat([x, new], dim=1))


def test_a_transition_halves_the_map(toys):
    layer = transition(6, 3, 0.0).eval()
    x = torch.randn(2, 6, 4, 4)
    expected = F.avg_pool2d(F.conv2d(F.relu(toys.batch_norm(layer.bn1, x)), layer.conv1.weight), 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("side", [32, 36, 63])
def test_the_window_of_8_sees_the_upper_left_part_of_larger_maps(side, toys):
    network = DenseNet((3, side, side), 5, **TINY).eval()
    image = torch.randn(1, 3, side, side)
    x = network.block3(network.trans2(network.block2(network.trans1(network.block1(network.conv1(image))))))
    expected = network.fc(F.relu(toys.batch_norm(network.bn1, x))[:, :, :8, :8].mean(dim=(2, 3)))
    torch.testing.assert_close(network(image), expected)


def test_initialisation():
    torch.manual_seed(0)
    network = DenseNet((3, 32, 32), 10)
    assert network.block3.layer[15].conv1.weight.std().item() == pytest.approx((2 / 48) ** 0.5, rel=0.05)
    assert network.fc.bias.abs().sum() == 0
    assert network.fc.weight.abs().max() <= 342**-0.5
