"""Generalized ODIN's TensorFlow port: its network, its step, its search and its metrics."""

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.methods.base import build_detector
from ood_bench.metrics import evaluate
from ood_bench.models.classifier import build_network
from ood_bench.protocols.base import build_protocol
from ood_bench.scoring.quantities import OUTPUT
from ood_bench.scoring.taps import forward_to_all

HALF = (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def values(golden):
    return golden("godin_port")


@pytest.fixture(scope="module")
def block():
    """What ships for the port's table."""
    return compose_settings(["paper=godin_port_cifar10"])


def of_batch_norm(values, prefix):
    names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    return {ours: values[f"{prefix}.{theirs}"] for ours, theirs in names.items()}


def of_keras(values, head):
    """The state of our network from Keras' weights; ``head`` is what the last linear layer becomes."""
    state = dict(head)
    places = {"stem.conv": "conv1", "stem.bn": "bn1", "final.bn": "bn"}
    for layer in dict.fromkeys(key.removeprefix("net.").rpartition(".")[0] for key in values if key.startswith("net.")):
        stage, _, rest = layer.partition(".block")
        place = places.get(layer, f"{stage}.{int(rest[0]) - 1}.{rest[2:]}" if rest else None)
        if place is not None and f"net.{layer}.kernel" in values:
            state[f"{place}.weight"] = values[f"net.{layer}.kernel"].transpose(3, 2, 0, 1)
        elif place is not None:
            state.update({f"{place}.{name}": one for name, one in of_batch_norm(values, f"net.{layer}").items()})
    return {name: torch.from_numpy(np.ascontiguousarray(one)) for name, one in state.items()}


@pytest.fixture(scope="module")
def both(values, block, networks):
    """The network with h and g, and the plain one."""
    h_and_g = {
        **{f"fc.parts.h.{name}": values[f"net.h.{key}"].T for name, key in (("weight", "kernel"), ("bias", "bias"))},
        **{f"fc.parts.g.0.{name}": values[f"net.g.{key}"].T for name, key in (("weight", "kernel"), ("bias", "bias"))},
        **{f"fc.parts.g.1.{name}": one for name, one in of_batch_norm(values, "net.g.bn").items()},
    }
    linear = {"fc.weight": values["baseline.kernel"].T, "fc.bias": values["baseline.bias"]}
    found = []
    for name, head in (("godin_inner", h_and_g), ("linear", linear)):
        network = build_network({**block.model, "head": name}, (3, 32, 32), values["h"].shape[1])
        missing, unknown = network.load_state_dict(of_keras(values, head), strict=False)
        assert all(key.endswith("num_batches_tracked") for key in missing)
        assert unknown == []
        moments = [block.id["normalisation"][moment] for moment in ("mean", "std")]
        found.append(networks.classifier(network, *moments))
    return found


@pytest.fixture(scope="module")
def view(values):
    return View(ImageSet.of("images", np.ascontiguousarray(values["images"].transpose(0, 3, 1, 2))))


def near(found, expected, within=5e-6):
    np.testing.assert_allclose(found, expected, atol=within * np.abs(expected).max(), rtol=0)


def test_the_normalisation_is_the_port_s(block):
    assert block.id["normalisation"] == {"mean": list(HALF), "std": list(HALF)}


def test_networks(values, both, view):
    source, plain = both
    x = source.normalise(torch.from_numpy(view.images.images.copy()))
    with torch.inference_mode():
        found = forward_to_all(source, x, [OUTPUT, "h", "g"])
        softmax = forward_to_all(plain, x, [OUTPUT])[OUTPUT].softmax(dim=1)
    for name, ours in (("f", found[OUTPUT]), ("h", found["h"]), ("g", found["g"]), ("softmax", softmax)):
        near(ours, values[name])


def test_steps_and_scores(values, networks, both, view):
    """Pixels are within 1e-3, so that no step went the other way, also where a gradient is exactly 0."""
    source, plain = both
    settings = [{"epsilon": epsilon} for epsilon in values["evaluation_epsilons"].tolist()]
    using = networks.scorer(source)
    seen = []
    handle = source.scoring_network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].detach()))
    found = networks.detector(using, "godin_port", "godin_port.GodinPort", magnitudes=[0.04])
    scores = found.paper_scores(using, view, settings)
    handle.remove()
    for stepped, expected in zip(seen[-len(settings) :], values["perturbed"], strict=True):
        pixels = (stepped.numpy() * HALF[0] + HALF[0]) * 255
        np.testing.assert_allclose(pixels.transpose(0, 2, 3, 1), expected, atol=1e-3, rtol=0)
    near(scores[:, :, 0], values["max_f_perturbed"])
    using = networks.scorer(plain, source)
    found = networks.detector(using, "godin_port_baseline", "godin_port.GodinPortBaseline", magnitudes=[0.04])
    near(found.paper_scores(using, view, settings)[:, :, 0], values["baseline_perturbed"])
    near(np.exp(found.raw_scores(using, view, settings)[:, :, 0]), values["baseline_perturbed"])


def test_search(values, block, networks, both, view):
    """The curve is a loss in the port, so that its sign is the other; half of the best epsilon is used."""
    rows = {"id_rows": len(view), "objective_batch": int(values["search_batch"])}
    protocol = build_protocol({**block.protocol, **rows}, "published")
    for method, classifiers in (("godin_port", both[:1]), ("godin_port_baseline", both[::-1])):
        found, using = build_detector(method, block.method[method]), networks.scorer(*classifiers)
        assert [setting["epsilon"] for setting in found.grid()] == values["search_epsilons"].tolist()
        choice = protocol.rule.choose(found, using, view.images)
        np.testing.assert_allclose(-np.ravel(choice.record["curve"]), values["search_curve"], rtol=1e-6)
        assert choice.setting["epsilon"] == pytest.approx(float(values["search_epsilon"]), rel=1e-12)


def test_metrics(values, block):
    for case in ("plain", "tied", "few"):
        found = evaluate(block.protocol["convention"], *(values[f"scores_{case}_{side}"] for side in ("id", "ood")))
        ours = [found[name] / 100 for name in ("auroc", "tnr95")]
        np.testing.assert_allclose(ours, values[f"metrics_{case}"], atol=1e-9, err_msg=case)
