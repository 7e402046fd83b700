"""Which library runs passes without gradients: torch, or OpenVINO where that is faster and gives the same."""

import logging
from collections.abc import Iterable, Mapping
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
from torch import Tensor, nn

from ood_bench.data.imageset import Rows32
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.compiled import CompiledPass, even, installed, largest_output, multiplications, title
from ood_bench.scoring.quantities import Quantity

_log = logging.getLogger(__name__)

BackendName = Literal["torch", "openvino", "auto"]

TOLERANCE = 1e-5
"""Largest difference from torch, in units of a quantity's largest absolute value in the first batch."""

_WORTH = 5e11
"""Multiplications from which on ``auto`` converts a network: 5 to 20 seconds of one core; a conversion takes 1 to 4."""

_LARGEST_MAP = 24 << 20
"""Bytes of a map in torch: larger ones get fresh memory each time, which may cost more than what is computed."""

_GRADIENT_IMAGES, _GRADIENT_MAPS = 32, (2 << 20, 16 << 20)
"""Of a gradient in torch, which keeps all maps: images with maps of 2 MB, or 32 images if they have no more than 16."""

_KEPT = 1 << 30
"""Bytes of compiled passes that are kept for further image sets."""

_WORDS = 200
_LARGEST: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()  # bytes of a network's largest map of one image
_SHORT = "the pass is too short to be worth a conversion"


class Backend:
    """Chooses a library for each pass, and keeps the passes that it compiled last.

    Args:
        name: ``torch``; ``openvino``, which is an error where it is not possible; or ``auto``, which takes OpenVINO
            where it is installed, works, agrees with torch on the first batch and is worth the conversion.
    """

    def __init__(self, name: BackendName = "torch") -> None:
        self._name = name
        self._converted: dict[tuple[str, int, frozenset[Quantity]], CompiledPass | str] = {}
        self._said: set[str] = set()

    @property
    def others(self) -> list[str]:
        """Libraries beside torch that may run a pass, with their version."""
        return [] if self._name == "torch" or not installed() else [title()]

    def images(self, classifier: Classifier, x: Tensor, *, gradients: bool = False) -> int:
        """How many images of a batch ``[B, C, H, W]`` torch takes at once: on a CPU few, so that maps are small.

        Args:
            classifier: the network.
            x: the batch.
            gradients: whether all maps are kept for the input's gradient.
        """
        if x.device.type != "cpu":
            return len(x)
        if classifier.network not in _LARGEST:
            _LARGEST[classifier.network] = 4 * largest_output(classifier.network, x)
        largest = _LARGEST[classifier.network]
        most = _LARGEST_MAP // largest
        if gradients:
            small, large = (size // largest for size in _GRADIENT_MAPS)
            most = min(large, max(small, _GRADIENT_IMAGES))
        return even(len(x), max(1, most))

    def ready(self, classifier: Classifier, quantities: Iterable[Quantity], batch_size: int) -> CompiledPass | None:
        """A compiled pass that has agreed with torch on an earlier set, which runs every batch."""
        key = classifier.key, batch_size, frozenset(quantities)
        found = self._converted.get(key)
        if found is not None:
            self._converted[key] = self._converted.pop(key)  # the last that is forgotten
        return found if isinstance(found, CompiledPass) else None

    def convert(
        self, classifier: Classifier, x: Tensor, rows: Mapping[Quantity, Rows32], images: int
    ) -> CompiledPass | None:
        """A compiled pass for all batches, or none if torch goes on.

        Args:
            classifier: the network.
            x: the first batch, normalised ``[B, C, H, W]``.
            rows: what torch gave for it, ``[B, D]`` of each quantity.
            images: number of images that are to pass, those that pass several times counted as often.

        Raises:
            ConfigError: if OpenVINO was asked for by name and cannot do the pass.
        """
        if self._name == "torch":
            return None
        found: CompiledPass | str | None = self._unsuited(classifier, x, rows, images)
        if found is None:
            key = classifier.key, len(x), frozenset(rows)
            found = self._converted.get(key) or _converted(classifier, x, rows)
            self._keep(key, found)
        if isinstance(found, CompiledPass):
            return found
        self._refuse(classifier, found)
        return None

    def _keep(self, key: tuple[str, int, frozenset[Quantity]], found: CompiledPass | str) -> None:
        """Keeps a compiled pass, or why there is none, and forgets those that were not used for longest."""
        self._converted[key] = found
        sizes = {one: kept.size for one, kept in self._converted.items() if isinstance(kept, CompiledPass)}
        for old in list(sizes)[:-1]:
            if sum(sizes.values()) > _KEPT:
                del self._converted[old], sizes[old]

    def _unsuited(self, classifier: Classifier, x: Tensor, wanted: Iterable[Quantity], images: int) -> str | None:
        """Why OpenVINO is not even tried, if there is a reason."""
        if classifier.device.type != "cpu":
            return f"the device is {classifier.device.type}"
        taps = {quantity.tap for quantity in wanted}
        if self._name == "auto" and images * multiplications(classifier, x, taps) < _WORTH:
            return _SHORT
        return None if installed() else "OpenVINO is not installed"

    def _refuse(self, classifier: Classifier, reason: str) -> None:
        if self._name == "openvino":
            raise ConfigError(
                f"scoring.backend=openvino: {reason}",
                "scoring.backend=auto takes torch where OpenVINO cannot be used; pip install 'ood-bench[openvino]'",
            )
        name = classifier.card.get("spec", {}).get("model", {}).get("name", "a network")
        message = f"{name} is scored by torch: {reason}"
        if message not in self._said:
            self._said.add(message)
            _log.log(logging.DEBUG if reason == _SHORT else logging.INFO, message)


def _converted(classifier: Classifier, x: Tensor, rows: Mapping[Quantity, Rows32]) -> CompiledPass | str:
    """A compiled pass that agrees with torch on a batch, or why there is none."""
    try:  # users bring networks of any kind, and conversions fail with all kinds of errors
        found = CompiledPass(classifier, list(rows), x)
    except Exception as error:
        return f"OpenVINO cannot convert it: {' '.join(str(error).split())[:_WORDS] or type(error).__name__}"
    done = dict.fromkeys(rows, 0)
    for quantity, piece in found(x):
        theirs = rows[quantity][done[quantity] : done[quantity] + len(piece)]
        done[quantity] += len(piece)
        difference, largest = np.abs(piece.float().numpy() - theirs).max(), np.abs(rows[quantity]).max()
        if not difference <= TOLERANCE * largest:
            return f"{quantity.key} of OpenVINO differs by {difference:.1e}, where the largest value is {largest:.1e}"
    return found
