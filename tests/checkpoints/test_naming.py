import pytest
import torch

from ood_bench.checkpoints.naming import fit
from ood_bench.errors import ArtifactError
from ood_bench.models.wide_resnet import WideResNet


def renamed(state, *pairs):
    found = {}
    for name, value in state.items():
        for old, new in pairs:
            name = name.replace(old, new)  # noqa: PLW2901
        found[name] = value
    return found


@pytest.mark.parametrize(
    "pairs",
    [
        (),
        (("linear", "fc"),),
        (("linear", "classifier"), ("shortcut", "downsample")),
        (("linear", "module.linear"), ("layer", "module.layer"), ("conv1", "conv1")),
    ],
)
def test_published_spellings(network, pairs):
    state = network.state_dict()
    found = fit(renamed(state, *pairs), network)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize("prefix", ["module.", "net.", "_orig_mod.module.", "backbone.", "underlying_model."])
def test_wrappers(network, prefix):
    state = network.state_dict()
    found = fit({f"{prefix}{name}": value for name, value in state.items()}, network)
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_a_wrapper_of_ours_is_added():
    outer = torch.nn.Module()
    outer.net = torch.nn.Linear(2, 3)
    assert torch.equal(fit(outer.net.state_dict(), outer)["net.weight"], outer.net.weight)


def test_counters_are_added_and_types_converted(network):
    state = {name: value.double() for name, value in network.state_dict().items() if "num_batches" not in name}
    found = fit(state, network)
    assert found["bn1.num_batches_tracked"].dtype == torch.int64
    assert found["bn1.num_batches_tracked"] == 0
    assert found["conv1.weight"].dtype == torch.float32


def test_counters_that_are_too_many_do_not_matter(network):
    state = {**network.state_dict(), "old.num_batches_tracked": torch.tensor(3)}
    assert set(fit(state, network)) == set(network.state_dict())


def test_all_faults_at_once(network):
    state = network.state_dict()
    del state["conv1.weight"], state["layer1.0.bn1.bias"]
    state["linear.bias"] = torch.zeros(10)
    state["extra"] = torch.zeros(1)
    with pytest.raises(ArtifactError) as raised:
        fit(state, network)
    message = str(raised.value)
    assert "2 missing: conv1.weight, layer1.0.bn1.bias" in message
    assert "1 unexpected: extra" in message
    assert "1 of another shape: linear.bias is (10,), the model's (3,)" in message


def test_long_lists_are_cut(network):
    other = WideResNet((3, 32, 32), 3, depth=10, widen=1)
    with pytest.raises(ArtifactError, match=r", and \d+ more"):
        fit(other.state_dict(), network)


def test_two_tensors_for_one_place(network):
    state = {**network.state_dict(), "fc.weight": torch.zeros(3, 8)}
    with pytest.raises(ArtifactError, match=r"1 unexpected: fc\.weight"):
        fit(state, network)


def test_a_name_without_end(network):
    with pytest.raises(ArtifactError, match="more than 1000 letters"):
        fit({**network.state_dict(), "module." * 200: torch.zeros(1)}, network)
