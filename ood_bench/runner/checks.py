"""What a run refuses before anything is trained, beyond its image sets (:mod:`ood_bench.runner.sets`)."""

from collections.abc import Mapping, Sequence

from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.models.classifier import Classifier
from ood_bench.protocols.base import Protocol
from ood_bench.runner.sets import RunSets
from ood_bench.training.spec import TrainingSpec


def check_taps(model: str, untrained: nn.Module, detectors: Mapping[str, Detector]) -> None:
    """Raises :class:`ConfigError` where a detector, by method name, asks for a tap that the network does not have."""
    known = Classifier(untrained, (), ()).taps
    for method, detector in detectors.items():
        if unknown := [tap for tap in detector.tap_names() if tap not in known]:
            raise ConfigError(f"method {method}: model {model} has no tap {unknown[0]!r}; it has {', '.join(known)}")


def check_protocol(protocol: Protocol, sets: RunSets) -> None:
    """Raises :class:`ConfigError` for image sets and seeds that the protocol cannot work with."""
    protocol.attach(sets.ood)
    for ood in sets.ood.values():
        protocol.check_sets(sets.test, ood)
        try:
            protocol.generator(ood)
        except ValueError as error:
            raise ConfigError(f"protocol {protocol.name}: its seed cannot be used: {error}") from error


def refuse_folders(method: str, specs: Sequence[TrainingSpec]) -> None:
    """Raises :class:`ConfigError` for a folder as ``checkpoint`` of a method that takes a file."""
    for spec in (*specs, *(one.initial for one in specs if one.initial is not None)):
        if spec.checkpoint is not None and not spec.checkpoint.is_file():
            raise ConfigError(
                f"method {method}: checkpoint={spec.checkpoint} is a folder; it takes a file. Only methods of several "
                "published networks, such as eloc, take a folder"
            )
