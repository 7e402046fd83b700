import pytest
import torch
from torchvision.models import get_model

from ood_bench.checkpoints.naming import fit
from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.scoring.stochastic import dropout_modules


def built(name, variant=None, shape=(3, 32, 32), **changes):
    model = compose_settings(["model=torchvision", f"model.torchvision_name={name}"]).model
    torch.manual_seed(0)
    return build_network({**(model["variants"][variant] if variant else model), **changes}, shape, 10).eval()


def test_the_network_is_torchvisions_and_takes_its_weights():
    network = built("resnet18")
    torch.manual_seed(0)
    theirs = get_model("resnet18", weights=None, num_classes=10).eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), theirs(x))
    assert dropout_modules(network) == []
    other = get_model("resnet18", weights=None, num_classes=10).eval()
    network.load_state_dict(fit(other.state_dict(), network).state)
    assert torch.equal(network(x), other(x))


@pytest.mark.parametrize(
    ("name", "taps"),
    [("resnet18", {"pooled": "avgpool"}), ("mobilenet_v3_small", {"pooled": "classifier.2"})],  # which has a dropout
)
def test_dropout_can_be_sampled(name, taps):
    network = built(name, "mc_dropout", taps=taps)
    (module,) = dropout_modules(network)
    assert module.p == 0.2
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(network(x), network(x))
    module.train()
    assert not torch.equal(network(x), network(x))


def test_what_the_last_layer_of_a_vision_transformer_reads_is_a_tap():
    """The class token; names of tensors stay torchvision's, and taps without a path are left out."""
    network = built("vit_b_16", taps={"layer1": None, "pooled": "heads.features"}, options={"image_size": 32})
    assert network.taps == {"pooled": "net.heads.features"}
    theirs = get_model("vit_b_16", weights=None, num_classes=10, image_size=32).eval()
    network.load_state_dict(fit(theirs.state_dict(), network).state)
    seen = []
    network.get_submodule(network.taps["pooled"]).register_forward_hook(lambda _m, _i, value: seen.append(value))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(network(x), theirs(x))
    assert torch.equal(theirs.heads.head(seen[0]), theirs(x))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": (1, 28, 28)}, "take RGB, but the images have 1 channels"),
        ({"torchvision_name": "resnet19"}, "cannot build .*TorchvisionModel: Unknown model resnet19"),
        ({"options": {"colour": 1}}, "cannot build .*TorchvisionModel: .*colour"),
        ({"taps": {"pooled": "pool"}}, "ResNet has no module pool"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        built("resnet18", **changes)
