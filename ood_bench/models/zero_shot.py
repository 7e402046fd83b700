"""Classes given by text: logits are cosines between an image's embedding and those of the classes' names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.models.wrapped import WrappedModel
from ood_bench.utils.files import sha256_file


class UnitLength(nn.Module):
    """Brings embeddings ``[B, D]`` to length 1."""

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of length 1."""
        return F.normalize(x, dim=-1)


class ZeroShot(nn.Module):
    """An image tower, and a last layer without bias whose W are the classes' text embeddings: logits ``cos / tau``.

    ``method=msp`` on it is maximum concept matching, ``max softmax(cos / tau)``. Methods of features and the last layer
    find the image's embedding of length 1, the penultimate tap ``embedding``, and ``W / tau``, with W of length 1. W is
    read from its file, so that a checkpoint holds the image tower only, under the tower's own names.

    Source: Ming et al., "Delving into Out-of-Distribution Detection with Vision-Language Representations", NeurIPS
    2022, arXiv 2211.13445; its code (github.com/deeplearning-wisc/MCM, no licence stated) takes tau 1.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes K.
        tower: content of the ``conf/model`` file of the image tower; what are logits there is the embedding here.
        weights_file: NumPy file of the text embeddings, ``[K, D]`` in the order of the labels, of any length.
        weights_sha256: the file's SHA-256, 64 hex digits: classifiers and records are found by it.
        tau: temperature, above 0.

    Raises:
        ConfigError: if the tower cannot be built, tau is not above 0, or the file is missing, another, or no embeddings
            of the classes.
    """

    penultimate: ClassVar[str] = "embedding"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        tower: Mapping[str, Any],
        weights_file: str,
        weights_sha256: str = "",
        tau: float = 1.0,
    ) -> None:
        super().__init__()
        if not tau > 0:
            raise ConfigError(f"model.tau is {tau}", hint="give a temperature above 0")
        weights = _text_embeddings(Path(weights_file), weights_sha256, classes)
        found = build_network(tower, shape, weights.shape[1])
        inner: dict[str, str] = found.taps  # type: ignore[assignment]
        if isinstance(found, WrappedModel):
            self.net, self.channels_last_ranks = found.net, found.channels_last_ranks
            self.channels_last_taps = found.channels_last_taps
            self.taps = dict(inner)
        else:
            self.net, self.taps = found, {name: f"net.{path}" for name, path in inner.items()}
        self.taps["embedding"] = "embedding"
        self.embedding = UnitLength()
        self.text = nn.Linear(weights.shape[1], classes, bias=False)
        del self.text.weight
        self.text.register_buffer("weight", F.normalize(weights, dim=1) / tau, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, K]``, between -1 / tau and 1 / tau, of normalised images ``[B, C, H, W]``."""
        logits: Tensor = self.text(self.embedding(self.net(x)))
        return logits


def _text_embeddings(file: Path, digest: str, classes: int) -> Tensor:
    """Rows ``[K, D]``, float32, of a NumPy file that must be the one that is meant."""
    try:
        found = sha256_file(file)
        if found != digest:
            given = digest or "not given"
            raise ConfigError(
                f"model.weights_file {file} has the SHA-256 {found}, and model.weights_sha256 is {given}",
                hint=f"if this is the file, set model.weights_sha256={found}",
            )
        rows = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(
            f"model.weights_file: cannot read {file} ({error})",
            hint="give a NumPy file (.npy) of one text embedding a class",
        ) from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != classes or rows.dtype.kind != "f":
        shown = f"{rows.dtype} {rows.shape}" if isinstance(rows, np.ndarray) else "several arrays"
        raise ConfigError(
            f"model.weights_file {file} holds {shown}, not one row of floats for each of {classes} classes",
            hint="save an array [classes, D] in the order of the labels",
        )
    if not np.isfinite(rows).all() or not np.abs(rows).max(axis=1).all():
        raise ConfigError(f"model.weights_file {file} holds NaN, infinity, or a row of zeros", hint="save it anew")
    return torch.from_numpy(rows.astype(np.float32))
