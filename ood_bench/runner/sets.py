"""The image sets of a run: found or fetched, opened, and checked against the model before any training."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import nn

from ood_bench.config import RunSettings
from ood_bench.data.filelist import ListSource
from ood_bench.data.folder import FolderSource
from ood_bench.data.image_store import ImageStore
from ood_bench.data.imageset import ImageSet
from ood_bench.data.imglist import Imglist
from ood_bench.data.limit import limited
from ood_bench.data.source import Source
from ood_bench.data.sources import source_of
from ood_bench.errors import ConfigError, DataError, reason
from ood_bench.models.classifier import build_network, freeze
from ood_bench.models.heads import without_default_head
from ood_bench.utils.faults import faults

_log = logging.getLogger(__name__)

_REFUSALS = (RuntimeError, AssertionError, ValueError, IndexError, TypeError)
"""What networks raise for images of a size that they cannot take: torch's own, and those of other libraries."""
_PARTS = ("train", "test")
OF_METHODS = ("outliers", "validation")
_OWN = ("validation", "validation_ood")
QUICKSTART = "ood-bench experiment=quickstart"


class _Moments(BaseModel):
    model_config = ConfigDict(extra="forbid")
    mean: list[Annotated[float, Field(strict=True)]]
    std: list[Annotated[float, Field(strict=True, gt=0)]]


class _IdNode(BaseModel):
    classes: Annotated[int, Field(strict=True, ge=2)]
    shape: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]]
    normalisation: _Moments


@dataclass(frozen=True)
class RunSets:
    """Every image set that a run touches.

    Attributes:
        train: ID training images with labels.
        test: ID test images with labels.
        ood: OOD sets by config name.
        outliers: training outliers by method name.
        validation: images on which a method chooses its networks' epochs, by method name.
        own_validation: the ID set's own validation sets, ID and OOD, if the protocol wants them and they are named.
    """

    train: ImageSet
    test: ImageSet
    ood: Mapping[str, ImageSet]
    outliers: Mapping[str, ImageSet]
    validation: Mapping[str, ImageSet] = field(default_factory=dict)
    own_validation: tuple[ImageSet, ImageSet] | None = None


def open_sets(settings: RunSettings, *, own_validation: bool = False) -> RunSets:
    """Opens all sets of a run, after making sure that all are there.

    Args:
        settings: the run.
        own_validation: whether the protocol wants the ID set's own validation sets.

    Raises:
        DataError: if files are missing (one message for all of them) or unreadable.
        ConfigError: if a set's config is wrong.
        ArtifactError: if the store of decoded sets cannot be written.
    """
    shape = _id_node(settings).shape
    ood = {name: source_of(node, shape=shape) for name, node in settings.ood.items()}
    if settings.data.skip_missing:
        ood = _without_missing(ood, settings.data.root)
    sources = {
        **{f"id.{part}": source_of(settings.id, part) for part in _PARTS},
        **{f"ood.{name}": source for name, source in ood.items()},
        **{
            f"method.{name}.{role}": source_of(node[role], shape=shape)
            for name, node in settings.method.items()
            for role in OF_METHODS
            if node.get(role)
        },
    }
    own = [f"id.{part}" for part in _OWN] if own_validation and all(settings.id.get(part) for part in _OWN) else []
    sources |= {place: source_of(settings.id, place.removeprefix("id."), shape=shape) for place in own}
    if settings.data.on_damage == "skip":
        sources = {place: _skipping_damage(source) for place, source in sources.items()}
    for place, source in sources.items():
        if source.channels not in (None, shape[0]):
            raise _other_channels(place, source.name, source.channels, shape[0], has_mode=hasattr(source, "mode"))
    _refuse_id_as_ood(sources)
    _require(list(sources.values()), settings.data.root, download=settings.data.download)
    store = ImageStore(settings.store.root)
    stream, limit = settings.data.decode == "stream", settings.data.limit
    opened = {place: store.open(source, settings.data.root, stream=stream) for place, source in sources.items()}
    if limit is not None:
        opened = {place: limited(images, limit) for place, images in opened.items()}
    outliers, validation = (
        {name: opened[place] for name in settings.method if (place := f"method.{name}.{role}") in opened}
        for role in OF_METHODS
    )
    return RunSets(
        opened["id.train"],
        opened["id.test"],
        {name: opened[f"ood.{name}"] for name in ood},
        outliers,
        validation,
        own_validation=(opened[own[0]], opened[own[1]]) if own else None,
    )


def _skipping_damage(source: Source) -> Source:
    """The source without its damaged files, if it is one of loose image files."""
    return replace(source, on_damage="skip") if isinstance(source, FolderSource | ListSource | Imglist) else source


def _other_channels(place: str, name: str, found: int, channels: int, *, has_mode: bool) -> ConfigError:
    """The error for images with another number of channels than ``id.shape`` says, by their place in the config."""
    if has_mode:
        key = f"{place}.mode" if place.startswith("id.") else f"{place}.source.mode"
        hint = f"++{key}={'L' if channels == 1 else 'RGB'} converts them"
    elif place.startswith("method."):
        hint = f"choose a set with as many: ood@{place}=NAME"
    else:
        hint = "choose a set with as many"
    return ConfigError(f"{place}: images of {name} have {found} channels, those of the ID set have {channels}", hint)


def _refuse_id_as_ood(sources: Mapping[str, Source]) -> None:
    """Raises :class:`ConfigError` for an OOD set that is read as the ID images are."""
    for place, source in sources.items():
        for part in _PARTS:
            own = sources[f"id.{part}"]
            if place.startswith("ood.") and (own.kind, own.parameters()) == (source.kind, source.parameters()):
                raise ConfigError(f"{place}: its images are the ID {part} images of {own.name}", "choose another")


def _without_missing(ood: Mapping[str, Source], root: Path) -> dict[str, Source]:
    """The OOD sets that are there; all of them if none is, to be refused."""
    missing = [name for name, source in ood.items() if source.missing(root) is not None]
    if not missing or len(missing) == len(ood):
        return dict(ood)
    _log.warning("left out, not under data.root=%s: %s", root, ", ".join(missing))
    return {name: source for name, source in ood.items() if name not in missing}


def _require(sources: list[Source], root: Path, *, download: bool) -> None:
    if download:
        for source in sources:
            if source.missing(root) is not None:
                source.fetch(root)
    messages = list(dict.fromkeys(message for source in sources if (message := source.missing(root)) is not None))
    if messages:
        listed = "\n".join(f"  - {message}" for message in messages)
        raise DataError(
            f"some image sets are not under data.root={root}:\n{listed}\n"
            "Set data.root (or the environment variable OOD_BENCH_DATA) to the folder that holds them, or add "
            f"data.download=true to fetch what has a known mirror.\nWithout any data: {QUICKSTART}"
        )


def _id_node(settings: RunSettings) -> _IdNode:
    try:
        return _IdNode.model_validate(settings.id)
    except ValidationError as error:
        raise ConfigError(f"id: {faults(error)} (conf/id/fashionmnist.yaml shows what an ID set needs)") from error


def untrained_network(settings: RunSettings) -> nn.Module:
    """The run's network with fresh weights, after one black image of the ID set's shape went through it.

    Raises:
        ConfigError: if the model cannot be built, or cannot take images of the shape that ``id`` names.
    """
    node = _id_node(settings)
    with torch.random.fork_rng(devices=[]):
        network = freeze(build_network(without_default_head(settings.model), node.shape, node.classes))
    _try(
        network,
        node.shape,
        f"model {settings.model['name']}",
        "id",
        "choose a model for images of this size (with model=timm: +model.options.img_size=PIXELS), or bring the images "
        "to the model's size (resize in the source of conf/id)",
    )
    return network


def _try(network: nn.Module, shape: tuple[int, ...], model: str, place: str, hint: str) -> None:
    """Sends one black image through a network; raises :class:`ConfigError` if it cannot take it."""
    try:
        with torch.inference_mode():
            network(torch.zeros(1, *shape))
    except _REFUSALS as error:
        extents, said = "x".join(map(str, shape)), reason(error).partition(". ")[0]
        raise ConfigError(f"{model} cannot take the {extents} images of {place} ({said})", hint) from error


def check_shapes(network: nn.Module, model: str, sets: RunSets) -> None:
    """Sends one black image of every set's shape through an untrained network.

    Raises:
        ConfigError: if a set has a size that the network cannot take, or other channels than the ID set.
    """
    channels = sets.train.shape[0]
    others = {f"ood.{name}": images for name, images in sets.ood.items()}
    others |= {f"method.{name}.outliers": images for name, images in sets.outliers.items()}
    others |= {f"method.{name}.validation": images for name, images in sets.validation.items()}
    others |= {f"id.{part}": images for part, images in zip(_OWN, sets.own_validation or (), strict=False)}
    for place, images in others.items():
        if images.shape[0] != channels:
            raise _other_channels(place, images.name, images.shape[0], channels, has_mode=False)
    for place, images in others.items():
        ours = "x".join(map(str, sets.train.shape))
        hint = f"set {place}.source.resize and size, or choose another set"
        _try(network, images.shape, f"model {model}, made for {ours} images,", f"{place} ({images.name})", hint)


def check_id(settings: RunSettings, sets: RunSets) -> None:
    """Raises :class:`ConfigError` where the ID node's shape or normalisation does not fit its images."""
    node = settings.id
    if tuple(node["shape"]) != sets.train.shape or sets.test.shape != sets.train.shape:
        raise ConfigError(f"id.shape is {node['shape']}, the images are {sets.train.shape} and {sets.test.shape}")
    for key in ("mean", "std"):
        if len(node["normalisation"][key]) != sets.train.shape[0]:
            raise ConfigError(f"id.normalisation.{key} needs {sets.train.shape[0]} numbers, one a channel")
    if sets.test.labels is None:
        raise ConfigError(f"id.test: {sets.test.title} has no labels, so that its accuracy cannot be reported")
