"""What a run refuses before anything is trained, beyond its image sets (:mod:`ood_bench.runner.sets`)."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ood_bench.checkpoints.choice import Choice
from ood_bench.checkpoints.registry import remarks, resolve, suggestion
from ood_bench.config import RunSettings
from ood_bench.data.stream import stream_of
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.models.classifier import Classifier
from ood_bench.models.wrapped import WrappedModel
from ood_bench.protocols.base import Protocol
from ood_bench.runner.sets import RunSets
from ood_bench.scoring.engine import images_at_once
from ood_bench.scoring.taps import reading
from ood_bench.training.spec import TrainingSpec

_log = logging.getLogger(__name__)
_FEW = 50


def check_taps(
    model: str, untrained: nn.Module, shape: tuple[int, int, int], detectors: Mapping[str, Detector]
) -> None:
    """Sends one black image through an untrained network and reads the taps that detectors ask for, by method name.

    Raises:
        ConfigError: if the network has no such tap, or it cannot be read as ``[B, C, ...]``.
    """
    classifier = Classifier(untrained, (), ())
    wanted = {method: detector.tap_names(classifier) for method, detector in detectors.items()}
    for method, taps in wanted.items():
        if unknown := [tap for tap in taps if tap not in classifier.taps]:
            known = ", ".join(classifier.taps)
            raise ConfigError(f"method {method}: model {model} has no tap {unknown[0]!r}; it has {known}")
    readers = {tap: partial(_refuse_channels_last, untrained, shape, tap) for taps in wanted.values() for tap in taps}
    with reading(classifier, readers, untrained), torch.inference_mode():
        untrained(torch.zeros(1, *shape))


def _refuse_channels_last(network: nn.Module, shape: tuple[int, int, int], tap: str, value: Tensor) -> None:
    """Raises :class:`ConfigError` for a map that looks like ``[B, H, W, C]``, unless the network says what it is."""
    if value.ndim != 4 or shape[1] != shape[2] or getattr(network, "channels_last_taps", None) is not None:
        return
    _, first, second, third = value.shape
    if first == second != third:
        raise ConfigError(
            f"tap {tap} gives [B, {first}, {second}, {third}] of square images, as if its channels came last",
            f"set '+model.channels_last=[{tap}]', or [] if they come first"
            if isinstance(network, WrappedModel)
            else f"let the network say so: channels_last_taps = ({tap!r},), or () if they come first",
        )


def check_ood(sets: RunSets) -> None:
    """Refuses the ID images as an OOD set, and a single image; warns of equal OOD sets, and of sets of a few images.

    Raises:
        ConfigError: if an OOD set's images are the ID test or training images, or there is one only.
    """
    for name, ood in sets.ood.items():
        for part, images in (("test", sets.test), ("training", sets.train)):
            if ood.same_pixels(images):
                raise ConfigError(f"ood.{name}: its images are the ID {part} images of {images.name}", "choose another")
        if len(ood) == 1:
            raise ConfigError(
                f"ood.{name} has one image, from which no rate can be had", "choose a set with more images"
            )
        if len(ood) < _FEW:
            _log.warning("%s has %d images: one of them moves a rate by %.1f points", name, len(ood), 100 / len(ood))
    for (one, first), (other, second) in itertools.combinations(sets.ood.items(), 2):
        if first.same_pixels(second):
            _log.warning("%s and %s are the same images: their numbers are equal", one, other)


def check_shards(settings: RunSettings, sets: RunSets, device: torch.device) -> None:
    """Raises :class:`ConfigError` if even the largest image set has fewer batches than ``scoring.shards``."""
    shards, size = settings.scoring.shards, images_at_once(settings.scoring.batch_size, device)
    largest = max((sets.train, sets.test, *sets.ood.values(), *(sets.own_validation or ())), key=len)
    if shards > (batches := -(-len(largest) // size)):
        raise ConfigError(
            f"scoring.shards={shards}: a shard is a range of whole batches, and {largest.title}, the largest set, has "
            f"{batches} of {size} images",
            f"set scoring.shards to {batches} at most, or scoring.batch_size to fewer images, in all jobs and in the "
            "run that joins them",
        )


def check_protocol(protocol: Protocol, sets: RunSets) -> None:
    """Raises :class:`ConfigError` for image sets and seeds that the protocol cannot work with."""
    protocol.attach(sets.ood)
    if sets.own_validation is not None:
        protocol.validate_on(*sets.own_validation)
    for ood in sets.ood.values():
        protocol.check_sets(sets.test, ood)
        try:
            protocol.generator(ood)
        except ValueError as error:
            raise ConfigError(f"protocol {protocol.name}: its seed cannot be used: {error}") from error


def with_registered(settings: RunSettings) -> RunSettings:
    """The settings with the file that a registered name of ``checkpoint`` stands for; says what does not suit it.

    Raises:
        ConfigError, DataError, ArtifactError: as :func:`~ood_bench.checkpoints.registry.resolve`.
    """
    if settings.checkpoint is None:
        return settings
    found = resolve(settings.checkpoint, download_it=settings.data.download)
    if found.entry is None:
        return settings
    _log.info("checkpoint=%s is %s; what suits it: %s", settings.checkpoint, found.path, found.entry.words)
    for remark in remarks(found.entry, settings.id):
        _log.warning("checkpoint=%s: %s", settings.checkpoint, remark)
    return settings.model_copy(update={"checkpoint": found.path})


def check_checkpoint(checkpoint: Path | None, choice: Choice) -> None:
    """Raises :class:`ConfigError` for a checkpoint that is no file or folder, and for a choice without a checkpoint."""
    if checkpoint is None and choice != Choice():
        raise ConfigError("checkpoint_entry, checkpoint_ignore and checkpoint_rename need checkpoint=FILE")
    if checkpoint is None or checkpoint.is_file() or checkpoint.is_dir():
        return
    if checkpoint.exists():
        raise ConfigError(f"checkpoint={checkpoint} is a named pipe, a socket or a device: it takes a file")
    raise ConfigError(
        f"checkpoint={checkpoint}: there is no such file{suggestion(checkpoint)}; checkpoint=null trains instead",
        "ood-bench checkpoints list shows the names of published networks",
    )


def refuse_streamed(method: str, specs: Sequence[TrainingSpec]) -> None:
    """Raises :class:`ConfigError` for networks to train on images that are not in the store."""
    for spec in specs:
        if spec.checkpoint is None and any(
            stream_of(one) is not None for one in (spec.data, spec.outliers) if one is not None
        ):
            raise ConfigError(
                f"method {method} needs a network to be trained on {spec.data.title}, which data.decode=stream decodes "
                "anew whenever it is read",
                "set checkpoint= to published weights, or data.decode=store",
            )


def refuse_folders(method: str, specs: Sequence[TrainingSpec]) -> None:
    """Raises :class:`ConfigError` for a folder as ``checkpoint`` of a method that takes a file."""
    for spec in (*specs, *(one.initial for one in specs if one.initial is not None)):
        if spec.checkpoint is not None and not spec.checkpoint.is_file():
            raise ConfigError(
                f"method {method}: checkpoint={spec.checkpoint} is no file; it takes one. Only methods of several "
                "published networks, such as eloc, take a folder"
            )
