"""Heads in place of a network's last linear layer; those of generalized ODIN give h / g, similarity over confidence."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ood_bench.data.imageset import Array
from ood_bench.errors import ConfigError
from ood_bench.models.rotation import ROTATION, RotationHead
from ood_bench.models.vos import VOS, VosHead

LINEAR = "linear"
PARTS = "h_and_g"
"""Tap that holds h and g side by side, ``[B, K + 1]``: all that any score of generalized ODIN needs."""

_NORM_FLOOR = 1e-4


class Similarity(nn.Module):
    """Base of the class similarities h ``[B, K]`` of features ``[B, D]``; optimizers keep weight decay off them.

    Weights ``[K, D]`` start from He's normal distribution by inputs.

    Args:
        features: D.
        classes: K.
        truncated: whether the distribution is cut at two standard deviations and widened to keep its own, as Keras'.
    """

    def __init__(self, features: int, classes: int, *, truncated: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, features))
        if truncated:
            truncated_he_normal(self.weight)
        else:
            nn.init.kaiming_normal_(self.weight)


def truncated_he_normal(weight: Tensor) -> None:
    """Draws ``[out, in, ...]`` as Keras' ``he_normal``: cut at two standard deviations of the distribution drawn from.

    The standard deviation of what is left is ``sqrt(2 / in)``.
    """
    remaining = 0.87962566103423978  # standard deviation of a unit normal that is cut at -2 and 2
    wide = (2 / weight[0].numel()) ** 0.5 / remaining
    nn.init.trunc_normal_(weight, std=wide, a=-2 * wide, b=2 * wide)


class InnerProduct(Similarity):
    """``h_i = w_i z + b_i``, bias from 0: DeConf-I."""

    def __init__(self, features: int, classes: int, *, truncated: bool = False) -> None:
        super().__init__(features, classes, truncated=truncated)
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, z: Tensor) -> Tensor:
        """Similarities ``[B, K]`` of features ``[B, D]``."""
        return nn.functional.linear(z, self.weight, self.bias)


class Euclidean(Similarity):
    """``h_i = -mean over D of (z - w_i)^2``: DeConf-E with the mean of the two public re-implementations."""

    def forward(self, z: Tensor) -> Tensor:
        """Similarities ``[B, K]`` of features ``[B, D]``."""
        return -(z.unsqueeze(1) - self.weight).square().mean(dim=2)


class EuclideanSum(Similarity):
    """``h_i = -|z - w_i|^2``, the squared distance itself: D times :class:`Euclidean`."""

    def forward(self, z: Tensor) -> Tensor:
        """Similarities ``[B, K]`` of features ``[B, D]``."""
        return -(z.unsqueeze(1) - self.weight).square().sum(dim=2)


class Cosine(Similarity):
    """``h_i = w_i z / ((|w_i| + 1e-4) (|z| + 1e-4))``, in (-1, 1): DeConf-C; two re-implementations' constant."""

    def forward(self, z: Tensor) -> Tensor:
        """Similarities ``[B, K]`` of features ``[B, D]``."""
        lengths = torch.linalg.vector_norm(self.weight, dim=1) + _NORM_FLOOR
        length = torch.linalg.vector_norm(z, dim=1, keepdim=True) + _NORM_FLOOR
        return nn.functional.linear(z / length, self.weight / lengths.unsqueeze(1))


class _Parts(nn.Module):
    """h and g of the same features, side by side."""

    def __init__(self, h: Similarity, features: int, *, glorot: bool, eps: float, momentum: float) -> None:
        super().__init__()
        linear = nn.Linear(features, 1)
        if glorot:
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
        self.h = h
        self.g = nn.Sequential(linear, nn.BatchNorm1d(1, eps, momentum), nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        """``[B, K + 1]``: h, then g in the last column."""
        return torch.cat([self.h(z), self.g(z)], dim=1)


class DecomposedConfidence(nn.Module):
    """Logits ``f = h / g`` with a similarity h to every class and one confidence g in (0, 1) for the image.

    ``g = sigmoid(BN(v z + c))``. Always computed in the precision of its weights, whatever autocast is on: f has no
    bound where g is small.

    Source: Hsu et al., "Generalized ODIN: Detecting Out-of-distribution Image without Learning from
    Out-of-distribution Data", arXiv 2002.11297; details as its public re-implementations agree on them.

    Args:
        similarity: class of h.
        features: number of features D.
        classes: number of classes K.
        truncated: see :class:`Similarity`.
        glorot: whether g's linear layer starts as Keras': Glorot's uniform distribution, bias 0; else as torch's.
        eps: of g's batch norm.
        momentum: of g's batch norm.
    """

    taps: ClassVar[dict[str, str]] = {"h": "parts.h", "g": "parts.g", PARTS: "parts"}

    def __init__(
        self,
        similarity: type[Similarity],
        features: int,
        classes: int,
        *,
        truncated: bool = False,
        glorot: bool = False,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        h = similarity(features, classes, truncated=truncated)
        self.parts = _Parts(h, features, glorot=glorot, eps=eps, momentum=momentum)

    def forward(self, z: Tensor) -> Tensor:
        """Logits ``[B, K]`` of features ``[B, D]``."""
        with torch.autocast(z.device.type, enabled=False):
            parts: Tensor = self.parts(z.to(self.parts.h.weight.dtype))
            return parts[:, :-1] / parts[:, -1:]


_SIMILARITIES: Mapping[str, type[Similarity]] = {
    "godin_inner": InnerProduct,
    "godin_euclidean": Euclidean,
    "godin_euclidean_sum": EuclideanSum,
    "godin_cosine": Cosine,
}
DECOMPOSED = tuple(_SIMILARITIES)
"""Names of the heads with h and g."""
_FURTHER: Mapping[str, Callable[[nn.Linear], nn.Module]] = {ROTATION: RotationHead, VOS: VosHead}


def head_of(model: Mapping[str, Any]) -> str:
    """The head that a ``conf/model`` file asks for."""
    return str(model.get("head", LINEAR))


def model_title(model: Mapping[str, Any]) -> str:
    """The model's name in records and tables, with its head where that is not linear: ``lenet+godin_inner``."""
    head = head_of(model)
    return str(model["name"]) if head == LINEAR else f"{model['name']}+{head}"


def without_default_head(model: Mapping[str, Any]) -> dict[str, Any]:
    """A ``conf/model`` file's content without ``variants``, and without the head where it is the plain one.

    Keys of artifacts are made from this, so that they are those of models from before there was a choice.
    """
    plain = {key: value for key, value in model.items() if key != "variants"}
    return {key: value for key, value in plain.items() if key != "head" or value != LINEAR}


def attach_head(network: nn.Module, head: str, classes: int) -> None:
    """Puts a head in place of the network's last linear layer.

    A network may name options of its heads in ``head_options``: ``truncated``, ``glorot``, and ``eps`` and ``momentum``
    of g's batch norm.

    Raises:
        ConfigError: if there is no such head, or the network does not end in a linear layer.
    """
    if head == LINEAR:
        return
    if head not in (*DECOMPOSED, *_FURTHER):
        raise ConfigError(f"model.head is {head!r}: choose one of {', '.join((LINEAR, *DECOMPOSED, *_FURTHER))}")
    path, last = last_linear(network)
    if last.out_features != classes:
        raise ConfigError(f"model.head={head}: {type(network).__name__} does not end in a linear layer to {classes}")
    network.set_submodule(path, _FURTHER[head](last) if head in _FURTHER else _decomposed(network, head, last))


def _decomposed(network: nn.Module, head: str, last: nn.Linear) -> DecomposedConfidence:
    options = getattr(network, "head_options", {})
    return DecomposedConfidence(_SIMILARITIES[head], last.in_features, last.out_features, **options)


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """Path and module of the network's last linear layer, which the penultimate tap feeds.

    Raises:
        ConfigError: if it has no linear layer.
    """
    layers = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ConfigError(f"{type(network).__name__} does not end in a linear layer")
    return layers[-1]


class LinearHead(NamedTuple):
    """The last layer ``z = W f + b`` of a network.

    Attributes:
        weight: W, float64 ``[K, D]``.
        bias: b, float64 ``[K]``; zeros where the layer has none.
    """

    weight: Array
    bias: Array

    def logits(self, features: Array) -> Array:
        """Logits ``[n, K]`` of features ``[n, D]``, float64."""
        return np.asarray(features @ self.weight.T + self.bias)


def linear_head(network: nn.Module) -> LinearHead:
    """The network's last layer.

    Raises:
        ConfigError: if that is h / g of generalized ODIN, or no linear layer.
    """
    if any(isinstance(module, DecomposedConfidence) for module in network.modules()):
        raise ConfigError(f"the logits of {type(network).__name__} are h / g, which no W and b give")
    _, layer = last_linear(network)
    bias = layer.weight.new_zeros(layer.out_features) if layer.bias is None else layer.bias
    return LinearHead(*(value.detach().double().cpu().numpy() for value in (layer.weight, bias)))


def head_taps(network: nn.Module) -> dict[str, str]:
    """Module paths of the taps of the head that the network has, such as :data:`PARTS`; empty for linear."""
    for path, module in network.named_modules():
        if isinstance(module, DecomposedConfidence | RotationHead):
            return {tap: f"{path}.{inner}" for tap, inner in module.taps.items()}
    return {}
