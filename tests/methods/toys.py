"""Toy sets, toy networks and slow references, shared by the tests of methods, scoring, protocols and tuning.

The conftest of each of those folders loads this file once for the whole session, so that each network is trained once.
"""

import contextlib
import copy
import functools
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf
from torch import nn

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Networks, Scorer, build_detector
from ood_bench.methods.ddu import Ddu
from ood_bench.methods.map_shaping import MapShapingDetector
from ood_bench.models.classifier import Classifier, build_network, fast_layout, freeze, to_layout
from ood_bench.scoring.engine import Engine
from ood_bench.training.objectives import Batch, MarginEntropy
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec

torch.set_num_threads(1)

CONF = Path(__file__).resolve().parents[2] / "conf"
METHODS = [path.stem for path in sorted((CONF / "method").glob("*.yaml"))]

# Standard deviations far from each other and from 1, so that a forgotten division shows.
SHAPE, CLASSES, MEAN, STD = (3, 8, 8), 4, (0.5, 0.4, 0.6), (0.2, 0.35, 0.6)

_networks = {}


def content(group, name):
    """A shipped config file without Hydra's keys."""
    return copy.deepcopy(_content(group, name))


@functools.cache
def _content(group, name):
    whole = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml"), resolve=True)
    return {key: value for key, value in whole.items() if key != "defaults"}


# Methods whose shipped defaults do not fit four classes, 240 images or this network, or come from another config. It is
# barely trained: at the papers' percentiles OOD images are raised more, because their features are more even (ASH,
# SCALE), and some classes keep few weights (DICE). Its features reach 9, far above 1 (LINe).
SMALL = {
    "adascale": {"low": 60.0, "high": 70.0},
    "ash": {"percentile": 65.0},
    "ash_map": {"percentile": 65.0},
    "dice": {"percentile": 10.0},
    "eloc": {"folds": 4},
    "line": {"limit": 5.0},
    "nnguide": {"share": 0.5},
    "scale": {"percentile": 65.0},
    "scale_map": {"percentile": 65.0},
    "vos": {"train": {"loss": {"name": "vos", "options": {"start_epoch": 0, "queue": 5, "candidates": 50}}}},
    "outlier_exposure_tune": {"train": content("train", "oe_cifar_finetune")},
    "outlier_exposure_scratch": {"train": content("train", "oe_cifar_scratch")},
}


def patterns():
    """One noiseless image per class, ``[CLASSES, 3, 8, 8]``: a bright quadrant on a dark ground."""
    grid = np.full((CLASSES, *SHAPE), 40.0)
    for label in range(CLASSES):
        row, column = divmod(label, 2)
        grid[label, label % 3, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 210.0
    return grid


def image_set(kind="id", count=40, seed=0):
    """ID images of all classes, ``blend`` images between all classes, ``near`` ones of both, or mere ``static``."""
    random = np.random.default_rng([seed, len(kind), count])
    labels = np.arange(count) % CLASSES
    inside, between = patterns()[labels], patterns().mean(axis=0)[None]
    clean = {"id": inside, "blend": between, "near": 0.55 * inside + 0.45 * between}
    noise = random.normal(0, 18, (count, *SHAPE))
    pixels = random.uniform(0, 256, (count, *SHAPE)) if kind == "static" else clean[kind] + noise
    return ImageSet.of(f"toy_{kind}", pixels.clip(0, 255).astype(np.uint8), labels if kind == "id" else None)


TRAIN = image_set("id", 240, seed=99)


class NormNet(nn.Module):
    """A convolution, batch normalisation, dropout and a linear layer."""

    taps = {"map": "relu", "logits": "last"}  # noqa: RUF012 - read only, as in shipped models
    penultimate = "map"

    def __init__(self, shape=SHAPE, classes=CLASSES, rate=0.3):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(rate)
        self.last = nn.Linear(5 * (shape[1] - 2) * (shape[2] - 2), classes)

    def forward(self, x):
        return self.last(self.dropout(self.relu(self.norm(self.conv(x))).flatten(1)))


def weights_hash(network):
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.detach().numpy().tobytes())
    return digest.hexdigest()


def classifier_of(network, mean=MEAN, std=STD, name="toy"):
    """A frozen network as the runner would hand it to a detector."""
    frozen = to_layout(freeze(network), fast_layout(network))
    model = {"_target_": f"{type(network).__module__}.{type(network).__name__}", "name": name}
    spec = {"model": model, "shape": SHAPE, "classes": CLASSES, "normalisation": {"mean": mean, "std": std}}
    return Classifier(frozen, mean, std, {"weights_sha256": weights_hash(frozen), "spec": spec})


def norm_classifier(rate=0.3, seed=0):
    """An untrained classifier whose batch normalisation has running statistics unlike those of any batch."""
    torch.manual_seed(seed)
    network = NormNet(rate=rate)
    network.norm.running_mean.copy_(torch.linspace(-0.5, 0.5, 5))
    network.norm.running_var.copy_(torch.linspace(0.3, 2.0, 5))
    return classifier_of(network)


def _train(network, seed, steps, known):
    torch.manual_seed(seed)
    x = torch.from_numpy(TRAIN.images).float() / 255 - torch.tensor(MEAN).view(1, 3, 1, 1)
    x, labels = x / torch.tensor(STD).view(1, 3, 1, 1), torch.from_numpy(TRAIN.labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(steps):
        rows = torch.randint(len(x), (32,))
        optimizer.zero_grad()
        _loss(network.train()(x[rows]), labels[rows], known).backward()
        optimizer.step()
    optimizer.zero_grad()


def _loss(logits, labels, known):
    """Cross entropy; a classifier that knows some classes only learns to be unsure of the others."""
    if known is None:
        return F.cross_entropy(logits, labels)
    outputs = torch.full((CLASSES,), -1)
    outputs[list(known)] = torch.arange(len(known))
    inside = outputs[labels] >= 0
    both = torch.cat([logits[inside], logits[~inside]])
    return MarginEntropy(0.5, 2.0)(lambda logits: logits, Batch(both, outputs[labels][inside]))[0]


def classifier(model=None, seed=0, steps=40, known=None):
    """A barely trained classifier, made once for every model, seed, number of steps and choice of classes."""
    model = model or base_model()
    key = json.dumps([model, seed, steps, known], sort_keys=True)
    if key not in _networks:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = build_network(model, SHAPE, len(known or range(CLASSES)))
            _train(network, seed, steps, known)
        _networks[key] = classifier_of(network, name=model["name"])
    return _networks[key]


def base_model():
    return {key: value for key, value in content("model", "lenet").items() if key != "variants"}


def map_model():
    """A network of two blocks whose last map, 32 channels of 4x4 positions, is averaged before the last layer."""
    plain = {key: value for key, value in content("model", "resnet20").items() if key != "variants"}
    return {**plain, "blocks": [1, 1], "widths": [16, 32]}


def base_spec(seed=0, model=None, **recipe):
    return TrainingSpec(
        model=model or base_model(),
        recipe=recipe_from({"name": "toy", "epochs": 1, **recipe}),
        data=TRAIN,
        test=image_set("id", 12, seed=5),
        classes=CLASSES,
        normalisation={"mean": MEAN, "std": STD},
        seed=seed,
    )


def networks(seed=0):
    return Networks(base_spec(seed), content("model", "lenet")["variants"], image_set("static", 20, seed=7))


def detector(method, **changes):
    """A shipped method, with changes to its hyperparameters."""
    return build_detector(method, {**content("method", method), **SMALL.get(method, {}), **changes})


def scorer(found, batch_size=50, root=None):
    """What the runner would give this detector to score with."""
    given = networks()
    if isinstance(found, MapShapingDetector | Ddu):  # which needs more images of a class than features
        given = replace(given, base=base_spec(model=map_model()))
    specs = found.networks(given)
    classifiers = [classifier(dict(spec.model), spec.seed, known=spec.known) for spec in specs]
    return Scorer(Engine(root, batch_size), classifiers, TRAIN)


def scorer_with(*classifiers, batch_size=50, root=None, train=TRAIN):
    return Scorer(Engine(root, batch_size), classifiers, train)


def fitted(method, *, using=None, **changes):
    """A fitted detector and its scorer."""
    found = detector(method, **changes)
    using = using or scorer(found)
    found.fit(using, np.random.RandomState(0))
    return found, using


def raw_scores(method, view, *, using=None, **changes):
    """Raw scores ``[settings, n, K]`` of a freshly fitted detector over its whole grid."""
    found, using = fitted(method, using=using, **changes)
    return found.raw_scores(using, view, found.grid())


def scores(method, view, *, using=None, **changes):
    """Scores ``[n]`` at the only setting, weights of the taps learned from ID training images."""
    found, using = fitted(method, using=using, **changes)
    (setting,) = found.grid()
    found.calibrate(using, setting)
    return found.scores(using, view, setting)


def double(given):
    """A float64 copy of a classifier's network."""
    return copy.deepcopy(given.network).double()


def inputs(images, rows=None):
    """Normalised float64 images ``[n, 3, H, W]`` by the formula, apart from the package's own normalisation."""
    pixels = images.images if rows is None else images.images[rows]
    mean, std = (np.array(values).reshape(1, -1, 1, 1) for values in (MEAN, STD))
    return torch.from_numpy((pixels / 255.0 - mean) / std)


def batch_norm(layer, x):
    """A batch norm by the formula, with torch's own eps."""
    return F.batch_norm(x, layer.running_mean, layer.running_var, layer.weight, layer.bias)


def tapped(network, taps, x):
    """Output of the network, and the values of its taps as they were when their modules returned them."""
    found = {}
    handles = [
        network.get_submodule(network.taps[tap]).register_forward_hook(
            lambda *call, tap=tap: found.update({tap: call[2].clone()})
        )
        for tap in taps
    ]
    output = network(x)
    for handle in handles:
        handle.remove()
    return output, found


def tap_value(network, tap, x):
    """Value of a tap, by running the whole network."""
    return tapped(network, [tap], x)[1][tap]


@contextlib.contextmanager
def counting(given):
    """Counts, in images, how often each module ran (``""`` is the network) and how often a gradient reached the input.

    The key of the gradients is ``"backward"``.
    """
    counts = Counter()

    def before(name):
        def hook(_module, found):
            counts[name] += len(found[0])
            if name == "" and found[0].requires_grad:
                found[0].register_hook(lambda gradient: counts.update(backward=len(gradient)))

        return hook

    handles = [module.register_forward_pre_hook(before(name)) for name, module in given.scoring_network.named_modules()]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()
