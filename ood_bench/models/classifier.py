"""A network together with what must never be separated from it: its normalisation, its taps, its provenance."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ood_bench.data.imageset import ImageSet
from ood_bench.data.views import View
from ood_bench.errors import ArtifactError, ConfigError, DamagedError, NotFiniteError
from ood_bench.models.card import WEIGHTS, network_of, read_card, scoring_key, write_card
from ood_bench.models.folding import folded
from ood_bench.models.heads import LinearHead, attach_head, head_of, head_taps, linear_head
from ood_bench.utils.build import build
from ood_bench.utils.files import clear_io_errors, content_key, sha256_file, write_atomically

_BATCH = 256
_OURS = re.compile(r"ood_bench\.models\.\w+\.\w+")


def build_network(model: Mapping[str, Any], shape: Sequence[int], classes: int) -> nn.Module:
    """Makes the network that a ``conf/model`` file describes, with fresh weights from torch's generator.

    Args:
        model: the file's content: ``_target_``, the constructor's options, and ``head`` (see
            :mod:`~ood_bench.models.heads`); ``name`` and ``variants`` are not passed.
        shape: channels, height and width of the images.
        classes: number of classes.

    Raises:
        ConfigError: if the class is unknown, refuses an option, lacks named taps, or cannot take the head.
    """
    what = f"model {model.get('name')!r}"
    options = {key: value for key, value in model.items() if key not in ("name", "variants", "head")}
    network = build(what, nn.Module, {"_target_": None, **options}, shape=tuple(shape), classes=classes)
    if not isinstance(getattr(network, "taps", None), Mapping):
        raise ConfigError(f"{what}: {model['_target_']} has no mapping `taps` from names to modules")
    attach_head(network, head_of(model), classes)
    return network


@dataclass(frozen=True)
class Classifier:
    """A trained network, ready to score raw images.

    Attributes:
        network: in evaluation mode, without parameter gradients.
        mean: per-channel mean of the ID normalisation, on the [0, 1] scale.
        std: per-channel standard deviation, same scale.
        card: what is known of it: key, model, recipe, seed, accuracy, weights' SHA-256.
    """

    network: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    card: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def key(self) -> str:
        """Key under which everything computed from this network is cached; see :func:`scoring_key`."""
        return scoring_key(self.card)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.network.parameters()).device

    @functools.cached_property
    def taps(self) -> dict[str, str]:
        """Module path of every named tap, in forward order."""
        return {**self.network.taps, **head_taps(self.network)}  # type: ignore[dict-item]

    @functools.cached_property
    def scoring_network(self) -> nn.Module:
        """A copy of ``network`` that gives the same logits and taps in less time; see :mod:`~ood_bench.models.folding`.

        Made at the first use: weights that change later do not reach it.
        """
        with torch.inference_mode(mode=False):  # gradients may be asked of it later
            return folded(self.network, self.taps.values())

    @property
    def penultimate(self) -> str:
        """Name of the tap that feeds the last linear layer."""
        return str(self.network.penultimate)

    @functools.cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        shape = (1, len(self.mean), 1, 1)
        mean, std = torch.tensor(self.mean).view(shape), torch.tensor(self.std).view(shape)
        return mean.to(self.device), std.to(self.device)

    def head(self) -> LinearHead:
        """The last layer: weight ``[K, D]`` and bias ``[K]``, which make the logits of pooled features.

        Raises:
            ConfigError: if the network does not end in one linear layer.
        """
        return linear_head(self.network)

    def normalise(self, images: Tensor) -> Tensor:
        """Network input, float32 ``[B, C, H, W]``, of uint8 images ``[B, C, H, W]``: always the ID constants."""
        mean, std = self._moments
        return images.to(self.device).float().div_(255.0).sub_(mean).div_(std)

    def clipped(self, x: Tensor) -> Tensor:
        """Normalised images ``[B, C, H, W]`` whose raw pixels are brought back to 0 to 1."""
        mean, std = self._moments
        return torch.minimum(torch.maximum(x, -mean / std), (1 - mean) / std)

    def channel_std(self) -> Tensor:
        """The normalisation's standard deviation as ``[1, C, 1, 1]``: a step of ``e / std`` is ``e`` in raw pixels."""
        return self._moments[1]


def accuracy(classifier: Classifier, images: ImageSet) -> float:
    """Share of correct predictions on labelled images, in percent.

    Raises:
        NotFiniteError: if the network gives NaN or infinity.
    """
    if images.labels is None:
        raise ValueError(f"{images.name} has no labels")
    correct = 0
    with torch.inference_mode():
        for start, batch in zip(range(0, len(images), _BATCH), View(images).batches(_BATCH), strict=True):
            logits = classifier.network(classifier.normalise(batch)).cpu()
            if not logits.isfinite().all():
                raise NotFiniteError(
                    f"the network gives NaN or infinity for images of {images.title}: it has no accuracy",
                    "did its training diverge, is it damaged, or do weights and images not fit into float32?",
                )
            predicted = logits.argmax(dim=1).numpy()
            correct += int(np.count_nonzero(predicted == images.labels[start : start + _BATCH]))
    return 100.0 * correct / len(images)


def fast_layout(network: nn.Module) -> torch.memory_format:
    """The memory format in which a network runs fastest: channels last, unless that is not safe.

    On CPUs without AVX-512, oneDNN's backward pass through channels-last convolutions of fewer than eight filters
    writes out of bounds and ends the process (torch 2.11).
    """
    narrow = any(
        isinstance(module, nn.Conv2d) and module.out_channels < 8 and module.weight.device.type == "cpu"
        for module in network.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


def to_layout(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """Puts a network's convolution weights into a memory format (the type stubs of ``Module.to`` lack the overload)."""
    return network.to(memory_format=layout)  # type: ignore[call-overload]


def freeze(network: nn.Module) -> nn.Module:
    """Puts a network into evaluation mode and switches its parameter gradients off."""
    network.requires_grad_(requires_grad=False)
    return network.eval()


def save_classifier(folder: Path, network: nn.Module, card: Mapping[str, Any]) -> None:
    """Writes ``weights.safetensors`` and ``classifier.json`` (with the weights' SHA-256) into ``folder``.

    Raises:
        ArtifactError: if the folder cannot be written.
    """
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(state))
    write_card(folder, {**card, "weights_sha256": sha256_file(folder / WEIGHTS)})


def load_classifier(folder: Path, device: torch.device, wanted: Mapping[str, Any] | None = None) -> Classifier:
    """Reads what :func:`save_classifier` wrote, and checks the weights against their SHA-256.

    Args:
        folder: the classifier's folder.
        device: where the network goes.
        wanted: the ``model``, ``shape``, ``classes`` and ``normalisation`` that were asked for; the card must have the
            same. Without them only networks of this package are made, because a card may have been written by others.

    Raises:
        DamagedError: if a file is missing or was changed, or the network is another.
        ArtifactError: if a file cannot be read.
    """
    hint = f"delete the folder {folder} to have the classifier made again"
    with clear_io_errors("read the classifier", folder):
        try:
            card = read_card(folder)
            intact = sha256_file(folder / WEIGHTS) == card["weights_sha256"]
            found = network_of(card)
            model, shape, classes = (found[part] for part in ("model", "shape", "classes"))
            mean, std = (tuple(found["normalisation"][moment]) for moment in ("mean", "std"))
            name, target = model["name"], str(model["_target_"])
        except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
            raise DamagedError(f"the classifier in {folder} is incomplete or damaged ({error})", hint) from error
    if wanted is not None and content_key(found) != content_key(network_of({"spec": wanted})):
        raise DamagedError(f"the classifier in {folder} is another network than was asked for ({name})", hint)
    if wanted is None and not _OURS.fullmatch(target):
        raise ArtifactError(
            f"the classifier in {folder} is of {target}, no network of this package: nothing was loaded"
        )
    if not intact:
        raise DamagedError(f"{folder / WEIGHTS} is truncated or was changed since it was written", hint)
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn only to be replaced
        network = build_network(model, shape, classes)
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise DamagedError(f"the weights in {folder} do not fit {name} ({error})", hint) from error
    network = freeze(network).to(device)
    network = to_layout(network, fast_layout(network))
    return Classifier(network, mean, std, card)
