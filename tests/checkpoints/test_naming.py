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
    found = fit(renamed(state, *pairs), network).state
    assert list(found) == list(state)
    assert all(torch.equal(found[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.module.",
        "underlying_model.",
        "feature_extractor.",
        "_forward_module.model.",
        "_fsdp_wrapped_module.",
    ],
)
def test_wrappers(network, prefix):
    state = network.state_dict()
    found = fit({f"{prefix}{name}": value for name, value in state.items()}, network).state
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_wrappers_inside_of_a_network(network):
    state = network.state_dict()
    found = fit(renamed(state, ("layer1.", "layer1._fsdp_wrapped_module."), ("bn1", "_orig_mod.bn1")), network).state
    assert all(torch.equal(found[name], value) for name, value in state.items())


def test_a_wrapper_of_ours_is_added():
    outer = torch.nn.Module()
    outer.net = torch.nn.Linear(2, 3)
    assert torch.equal(fit(outer.net.state_dict(), outer).state["net.weight"], outer.net.weight)


def test_counters_are_added_and_types_converted(network):
    state = {name: value.double() for name, value in network.state_dict().items() if "num_batches" not in name}
    found = fit(state, network).state
    assert found["bn1.num_batches_tracked"].dtype == torch.int64
    assert found["bn1.num_batches_tracked"] == 0
    assert found["conv1.weight"].dtype == torch.float32


def test_counters_that_are_too_many_do_not_matter(network):
    state = {**network.state_dict(), "old.num_batches_tracked": torch.tensor(3)}
    state["bn1.num_batches_tracked"] = torch.tensor([3])
    assert set(fit(state, network).state) == set(network.state_dict())


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_plain_floating_point_types_are_converted(network, kind):
    state = network.state_dict()
    found = fit({name: value.to(kind) for name, value in state.items()}, network).state
    assert all(torch.equal(found[name], value.to(kind).to(value.dtype)) for name, value in state.items())


def test_what_is_known_not_to_belong_to_a_network_is_left_out(network):
    extras = ("n_averaged", "criterion.weight", "loss.pos_weight", "mu", "model.sigma")
    fitting = fit({**network.state_dict(), **dict.fromkeys(extras, torch.ones(3))}, network)
    assert tuple(fitting.left_out) == extras
    assert all(torch.equal(fitting.state[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (torch.int8, "conv1.weight is int8: quantised weights need their scales"),
        (torch.float8_e4m3fn, "conv1.weight is float8_e4m3fn: quantised weights need their scales"),
        (torch.int64, "conv1.weight is int64"),
        (torch.bool, "conv1.weight is bool"),
        (torch.complex64, "conv1.weight is complex64"),
    ],
)
def test_other_types_are_refused(network, kind, said):
    state = network.state_dict()
    with pytest.raises(ArtifactError, match=f"; 1 of another type: {said}$"):
        fit({**state, "conv1.weight": state["conv1.weight"].to(kind)}, network)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("conv1.weight", float("nan"), r"NaN or infinity in conv1\.weight \(1 of 108\)"),
        ("linear.bias", float("-inf"), r"NaN or infinity in linear\.bias \(1 of 3\)"),
        ("bn1.running_var", float("nan"), r"NaN or infinity in bn1\.running_var \(1 of 4\)"),
        ("bn1.running_var", -1e-6, r"a variance below 0 in bn1\.running_var \(1 of 4\)"),
        ("linear.bias", 1e300, r"NaN or infinity in linear\.bias \(1 of 3\)"),
    ],
)
def test_values_that_no_trained_network_has(network, name, value, said):
    state = network.state_dict()
    state[name] = state[name].double()
    state[name].view(-1)[0] = value
    with pytest.raises(ArtifactError, match=said):
        fit(state, network)


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("", "student.body.", "--rename 'student.body.='"),
        ("", "layer1.", "'layer1.='"),
        (".", ".inner.block.", "--rename '*.inner.block.=*.' (in a run \"checkpoint_rename={*.inner.block.: '*.'}\")"),
        ("layer", "stage", 'map them: --rename OLD=NEW (in a run "checkpoint_rename={OLD: NEW}")'),
    ],
)
def test_the_nearest_renaming_is_named(network, old, new, hint):
    state = {name.replace(old, new, 1) if old in name else name: value for name, value in network.state_dict().items()}
    with pytest.raises(ArtifactError) as raised:
        fit(state, network)
    assert hint in raised.value.hint


def test_the_nearest_renaming_adds_a_beginning():
    outer = torch.nn.Module()
    outer.body = torch.nn.Linear(2, 3)
    with pytest.raises(ArtifactError, match=r"2 of them would fit with --rename '\*=body\.\*'"):
        fit(outer.body.state_dict(), outer)


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
    with pytest.raises(ArtifactError, match=r" and \d+ more"):
        fit(other.state_dict(), network)


def test_two_tensors_for_one_place(network):
    state = {**network.state_dict(), "fc.weight": torch.zeros(3, 8)}
    with pytest.raises(ArtifactError, match=r"1 unexpected: fc\.weight"):
        fit(state, network)


def test_a_name_without_end(network):
    with pytest.raises(ArtifactError, match="more than 1000 letters"):
        fit({**network.state_dict(), "module." * 200: torch.zeros(1)}, network)
