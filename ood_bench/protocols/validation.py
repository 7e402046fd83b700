"""Protocols that come with published magnitudes, or search settings on one of the run's own OOD sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.protocols.base import Protocol


@dataclass
class ValidatedProtocol(Protocol):
    """What the protocols of ODIN and of the leave-out ensemble share.

    Attributes:
        tune: where settings come from; the subclasses say which rows are searched.
        epsilons: published magnitude by OOD set.
        stands_for: OOD sets that take the published magnitude of another one.
        temperature: temperature that goes with ``epsilons``.
        validation: config name of the OOD set that ``tune=validation_ood`` searches on; it must be one of the run's.
        seed: seeds what detectors draw when they are fitted.
    """

    tune: Literal["published", "per_set", "validation_ood", "none"] = "published"
    epsilons: dict[str, float] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    temperature: float = 1000.0
    validation: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        self._sets: Mapping[str, ImageSet] = {}

    def attach(self, sets: Mapping[str, ImageSet]) -> None:
        """Takes note of the run's OOD sets, one of which may be the validation set."""
        self._sets = sets
        if self.tune == "validation_ood" and self.validation not in sets:
            raise ConfigError(
                f"tune=validation_ood: protocol.validation is {self.validation!r}, which is none of this run's OOD "
                f"sets ({', '.join(sets)}): add it to ood=[…] or name another"
            )

    def identity(self) -> dict[str, Any]:
        """The options, with the pixels of the validation set where one is used."""
        used = self._sets.get(self.validation) if self.tune == "validation_ood" else None
        options = {**super().identity(), "validation_set": None if used is None else used.fingerprint}
        if not self.stands_for:
            del options["stands_for"]
        return options

    def generator(self, ood: ImageSet) -> np.random.RandomState:
        """A fresh generator with the protocol's seed, whatever the OOD set."""
        del ood
        return np.random.RandomState(self.seed)

    def _validation(self, ood: ImageSet) -> ImageSet:
        """The OOD set that settings are searched on."""
        return ood if self.tune == "per_set" else self._sets[self.validation]
