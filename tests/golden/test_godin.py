"""Generalized ODIN against the PyTorch re-implementation that ``godin_paper`` rests on."""

import numpy as np
import pytest
import torch
from torch import nn

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.methods.godin import Godin
from ood_bench.metrics import evaluate
from ood_bench.models.heads import PARTS, attach_head
from ood_bench.protocols.base import build_protocol
from ood_bench.scoring.taps import forward_to_all

SIDES = ("id", "ood")
HEADS = {"inner": "godin_inner", "euclidean": "godin_euclidean", "cosine": "godin_cosine"}
STATISTICS = ("max_h", "g", "max_f")


class Small(nn.Module):
    """Two strided convolutions, the mean over positions, and a linear layer that a head takes the place of."""

    taps = {"pooled": "pool"}  # noqa: RUF012 - read only, as in shipped models
    penultimate = "pooled"

    def __init__(self, classes, active=nn.ELU):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.active1 = active()
        self.conv2 = nn.Conv2d(8, 12, 3, stride=2, padding=1)
        self.active2 = active()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        self.fc = nn.Linear(12, classes)

    def forward(self, x):
        return self.fc(self.pool(self.active2(self.conv2(self.active1(self.conv1(x))))))


class Head(nn.Module):
    """A head alone."""

    def __init__(self, features, classes):
        super().__init__()
        self.fc = nn.Linear(features, classes)

    def forward(self, z):
        return self.fc(z)


@pytest.fixture(scope="module")
def values(golden):
    return golden("godin")


@pytest.fixture(scope="module")
def shipped():
    return compose_settings(["paper=godin_densenet_cifar10"])


def state_of(values, prefix):
    names = (key for key in values if key.startswith(prefix) and key.removeprefix(prefix)[:2] in ("h.", "g."))
    return {f"fc.parts.{key.removeprefix(prefix)}": torch.from_numpy(values[key]) for key in names}


def near(found, expected, within):
    np.testing.assert_allclose(found, expected, atol=within * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("kind", HEADS)
def test_heads(values, kind):
    """In evaluation mode, then one call in training mode, which the running statistics see."""
    z, prefix = torch.from_numpy(values["features"]), f"head.{kind}"
    network = Head(z.shape[1], values[f"{prefix}.eval.h"].shape[1])
    attach_head(network, HEADS[kind], values[f"{prefix}.eval.h"].shape[1])
    network.load_state_dict(state_of(values, f"{prefix}."), strict=False)
    for mode in ("eval", "train"):
        network.train(mode == "train")
        seen = []
        handle = network.fc.parts.register_forward_hook(lambda *found, seen=seen: seen.append(found[2].detach()))
        f = network(z).detach()
        handle.remove()
        for name, ours in (("f", f), ("h", seen[0][:, :-1]), ("g", seen[0][:, -1:])):
            near(ours, values[f"{prefix}.{mode}.{name}"], 3e-6)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(getattr(network.fc.parts.g[1], name), values[f"{prefix}.train.{name}"], rtol=1e-5)


@pytest.fixture(scope="module")
def scorer(values, networks):
    """Scores with the small network that has a head."""

    def build(kind, active=nn.ELU, **changed):
        classes = values[f"tiny.{kind}.h_id"].shape[1]
        network = Small(classes, active)
        attach_head(network, HEADS[kind], classes)
        convolutions = {key.removeprefix("net."): torch.from_numpy(values[key]) for key in values if key[:4] == "net."}
        network.load_state_dict({**convolutions, **state_of(values, f"tiny.{kind}."), **changed}, strict=False)
        return networks.scorer(networks.classifier(network, values["mean"], values["std"]))

    return build


@pytest.fixture(scope="module")
def sets(values):
    return [ImageSet.of(side, values[f"images_{side}"]) for side in SIDES]


def stepped(values, using, statistic, images, kind=Godin):
    """Our scores ``[magnitudes, n]``."""
    found = kind(statistic=statistic, magnitudes=values["magnitudes"].tolist())
    return found.paper_scores(using, View(images), found.grid())[:, :, 0]


@pytest.mark.parametrize("kind", HEADS)
def test_networks(values, scorer, sets, kind):
    network = scorer(kind).classifier
    for side, images in zip(SIDES, sets, strict=True):
        x = network.normalise(torch.from_numpy(images.images.copy()))
        with torch.inference_mode():
            found = forward_to_all(network, x, ["output", "pooled", PARTS])
        near(found["pooled"], values[f"penultimate_{side}"], 5e-6)
        ours = {"f": found["output"], "h": found[PARTS][:, :-1], "g": found[PARTS][:, -1:]}
        for name, rows in ours.items():
            near(rows, values[f"tiny.{kind}.{name}_{side}"], 5e-6)


class RaisesF(Godin):
    """The step of the re-implementation where it scores ``max_f``."""

    @property
    def _raised(self):
        return "max_f"


@pytest.mark.parametrize("kind", HEADS)
def test_scores_after_steps(values, scorer, sets, kind):
    """The re-implementation raises what it scores; with ``max_f`` ours raises max h, as the TensorFlow port does."""
    using = scorer(kind)
    for side, images in zip(SIDES, sets, strict=True):
        for statistic in ("max_h", "g"):
            near(stepped(values, using, statistic, images), values[f"tiny.{kind}.step_{statistic}_{side}"], 2e-5)
        theirs = values[f"tiny.{kind}.step_max_f_{side}"]
        near(stepped(values, using, "max_f", images, RaisesF), theirs, 2e-5)
        ours = stepped(values, using, "max_f", images)
        near(ours[values["magnitudes"] == 0], theirs[values["magnitudes"] == 0], 2e-5)
        far = values["magnitudes"].argmax()
        assert np.abs(ours[far] - theirs[far]).max() > 1e-4 * np.abs(theirs[far]).max()


def test_steps_go_up_where_the_gradient_is_0(values, scorer, sets):
    """A ReLU that is shut leaves gradients of exactly 0."""
    bias = torch.from_numpy(values["relu.conv1.bias"])
    using = scorer("inner", nn.ReLU, **{"conv1.bias": bias})
    for side, images in zip(SIDES, sets, strict=True):
        for statistic in ("max_h", "g"):
            near(stepped(values, using, statistic, images), values[f"relu.inner.step_{statistic}_{side}"], 2e-5)


def metrics_of(shipped, scores):
    """AUROC in percent and TNR, a fraction, by the shipped protocol's convention."""
    found = evaluate(shipped.protocol["convention"], *scores)
    return [found["auroc"], found["tnr95"] / 100]


@pytest.mark.parametrize("kind", HEADS)
def test_search_and_metrics(values, shipped, scorer, sets, kind):
    """Each score chooses its own magnitude, where the re-implementation takes the best of three scales together."""
    using, rows = scorer(kind), int(values["validation_rows"])
    protocol = build_protocol({**shipped.protocol, "id_rows": rows}, "published")
    curves, measured = [], []
    for statistic in STATISTICS:
        curve = values[f"tiny.{kind}.curve_{statistic}"]
        scores = [values[f"tiny.{kind}.step_{statistic}_{side}"] for side in SIDES]
        curves.append(curve)
        measured.append([metrics_of(shipped, (a[rows:], b)) for a, b in zip(*scores, strict=True)])
        raises = RaisesF if statistic == "max_f" else Godin
        found = raises(statistic=statistic, magnitudes=values["magnitudes"].tolist())
        if statistic == "max_f":  # whose choice looks at what the step raises
            found.id_scores = lambda *given, found=found: found.raw_scores(*given)[:, :, 0]
        outcome = protocol.run("godin", found, using, *sets)
        near(np.ravel(outcome.tuning["curve"]), curve, 1e-5)
        best = int(curve.argmax())
        assert outcome.setting == {"epsilon": values["magnitudes"][best]}
        for ours, expected in zip((outcome.id_scores, outcome.ood_scores), scores, strict=True):
            near(ours, expected[best][-len(ours) :], 2e-5)
    auroc, tnr = np.moveaxis(measured, 2, 0)
    np.testing.assert_allclose(auroc, values[f"tiny.{kind}.auroc"], atol=1e-9)
    np.testing.assert_allclose(tnr, values[f"tiny.{kind}.tnr95"], atol=1e-9)
    across = np.unravel_index(np.argmax(curves), auroc.shape)
    assert values[f"tiny.{kind}.chosen_auroc"] == pytest.approx(auroc[across], abs=1e-9)
    assert values[f"tiny.{kind}.chosen_tnr95"] == pytest.approx(tnr[across], abs=1e-9)


def test_metrics(values, shipped):
    for case in ("plain", "tied"):
        auroc, tnr = metrics_of(shipped, [values[f"scores_{case}_{side}"] for side in SIDES])
        np.testing.assert_allclose([auroc / 100, tnr], values[f"metrics_{case}"], atol=1e-9, err_msg=case)


def test_the_shipped_grid(values, shipped):
    """The re-implementation adds 0 to the paper's grid."""
    for head in HEADS.values():
        assert [0.0, *shipped.method[head]["magnitudes"]] == values["magnitudes"].tolist()
