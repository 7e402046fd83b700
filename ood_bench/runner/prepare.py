"""What comes before any training: everything that can be refused is refused, sets are opened, cells are listed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ood_bench.checkpoints.choice import Choice
from ood_bench.config import RunSettings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector, Networks, build_detector
from ood_bench.metrics import convention_named
from ood_bench.models.heads import model_title, without_default_head
from ood_bench.protocols.base import Protocol, build_protocol
from ood_bench.runner.cell import Cell
from ood_bench.runner.checks import (
    check_checkpoint,
    check_ood,
    check_protocol,
    check_shards,
    check_taps,
    refuse_folders,
    refuse_streamed,
    with_registered,
)
from ood_bench.runner.classes import check_classes
from ood_bench.runner.outputs import check_outputs
from ood_bench.runner.sets import OF_METHODS, RunSets, check_id, check_shapes, open_sets, untrained_network
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec
from ood_bench.utils.device import device_named
from ood_bench.utils.files import content_key

_log = logging.getLogger(__name__)
_LOOKED_AT: set[tuple[str, Callable[..., object]]] = set()
"""Networks whose outputs were looked at in this process: config and code, which a notebook may write anew."""


@dataclass(frozen=True)
class Prepared:
    """A run that has been checked.

    Attributes:
        settings: its configuration.
        protocol: its protocol.
        sets: its image sets, opened.
        device: where networks are trained and scored.
    """

    settings: RunSettings
    protocol: Protocol
    sets: RunSets
    device: torch.device

    def cells(self, seed: int) -> list[Cell]:
        """All cells of one seed; outliers that a method was trained on are not scored by it.

        Raises:
            ConfigError: if no cell is left, or one would be scored on rows that a choice has seen.
        """
        cells = []
        for method, node in self.settings.method.items():
            networks = self._networks(method, seed)
            for detector in build_detector(method, node).variants(networks):
                cells += self._row(method, detector, detector.networks(networks), seed)
        if not cells:
            raise ConfigError("every method was trained on every OOD set of this run: choose another ood=")
        return cells

    def _row(self, method: str, detector: Detector, specs: Sequence[TrainingSpec], seed: int) -> list[Cell]:
        """The cells of one detector, one for each OOD set."""
        refuse_folders(method, specs)
        refuse_streamed(method, specs)
        trained_on = [spec.outliers for spec in specs if spec.outliers is not None]
        cells = []
        for name, ood in self.sets.ood.items():
            if any(ood.same_pixels(outliers) for outliers in trained_on):
                _log.warning("%s was trained on %s: it is not scored on it", method, name)
                continue
            cell = Cell(
                method=method,
                model=model_title(self.settings.model),
                detector=detector,
                specs=specs,
                ood_name=name,
                ood=ood,
                test=self.sets.test,
                seed=seed,
                protocol=self.protocol,
                resamples=self.settings.scoring.resamples,
            )
            cell.refuse_overlap()
            cells.append(cell)
        return cells

    def _networks(self, method: str, seed: int) -> Networks:
        """The networks that a method may ask for."""
        base = TrainingSpec(
            model=without_default_head(self.settings.model),
            recipe=recipe_from(self.settings.train),
            data=self.sets.train,
            test=self.sets.test,
            classes=self.settings.id["classes"],
            normalisation=self.settings.id["normalisation"],
            seed=seed,
            checkpoint=self.settings.checkpoint,
            choice=choice_of(self.settings),
        )
        variants = self.settings.model.get("variants") or {}
        return Networks(base, variants, self.sets.outliers.get(method), self.sets.validation.get(method))


def choice_of(settings: RunSettings) -> Choice:
    """What the run takes of its checkpoint."""
    renamed = settings.checkpoint_rename or {}
    return Choice(settings.checkpoint_entry, tuple(settings.checkpoint_ignore or ()), tuple(renamed.items()))


def prepare(settings: RunSettings) -> Prepared:
    """Opens the image sets, and refuses all that is impossible or missing before any training."""
    if settings.sweep is not None and (jobs := settings.sweep.overrides()):
        raise ConfigError(f"this is a sweep of {len(jobs)} jobs", hint="add -m")
    protocol = build_protocol(settings.protocol, settings.tune.name)
    detectors = {name: build_detector(name, node) for name, node in settings.method.items()}
    for name, detector in detectors.items():
        protocol.check(name, detector)
    convention_named(protocol.convention)
    recipe_from(settings.train)
    settings = with_registered(settings)
    check_checkpoint(settings.checkpoint, choice_of(settings))
    device = device_named(settings.device)
    untrained = untrained_network(settings)
    name, shape = settings.model["name"], tuple(settings.id["shape"])
    check_taps(name, untrained, shape, detectors)
    looked_at = content_key([settings.model, shape, settings.id["classes"]]), type(untrained).forward
    if looked_at not in _LOOKED_AT:  # a sweep's plan asks for every job
        check_outputs(name, untrained, shape, settings.id["classes"])
        _LOOKED_AT.add(looked_at)
    _check_fit(settings, protocol, device)
    sets = open_sets(settings, own_validation=protocol.wants_validation)
    check_id(settings, sets)
    check_classes(settings.id, sets, published=settings.checkpoint is not None)
    check_shapes(untrained, name, sets)
    check_ood(sets)
    check_shards(settings, sets, device)
    check_protocol(protocol, sets)
    if settings.checkpoint is not None and len(settings.seed) > 1:
        _log.warning(
            "checkpoint=%s is one network: its %d seeds tell what methods draw, not how networks differ",
            settings.checkpoint.name,
            len(settings.seed),
        )
    return Prepared(settings, protocol, sets, device)


def _check_fit(settings: RunSettings, protocol: Protocol, device: torch.device) -> None:
    """Makes sure that the checkpoint fits the networks that methods take it for; blank images stand for the sets."""
    if settings.checkpoint is None:
        return
    classes = settings.id["classes"]
    pixels = np.broadcast_to(np.uint8(0), (classes, *settings.id["shape"]))
    blank = ImageSet(settings.id["name"], pixels, np.arange(classes), fingerprint="blank")
    outliers, validation = (
        {name: blank for name, node in settings.method.items() if node.get(role)} for role in OF_METHODS
    )
    run = Prepared(settings, protocol, RunSets(blank, blank, {}, outliers, validation), device)
    store = ClassifierStore(settings.store.root / "classifiers", device)
    for name, node in settings.method.items():
        networks = run._networks(name, settings.seed[0])
        for detector in build_detector(name, node).variants(networks):
            for spec in detector.networks(networks):
                store.check(spec.initial or spec)


def cells_of(settings: RunSettings) -> list[Cell]:
    """Every cell of a run, none of them computed; raises what :func:`prepare` does."""
    run = prepare(settings)
    return [cell for seed in settings.seed for cell in run.cells(seed)]
