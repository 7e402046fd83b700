from torch import nn

from ood_bench.models.vgg import VGG11


def test_biases_start_at_zero():
    network = VGG11((3, 32, 32), 10)
    assert all(value.abs().sum() == 0 for name, value in network.state_dict().items() if name.endswith("bias"))


def test_featurenorms_candidates():
    network = VGG11((3, 32, 32), 10)
    assert isinstance(network.get_submodule(network.taps["pool4"]), nn.MaxPool2d)
    assert network.block_taps[5] == "conv6"
