"""A recorded cell as something that scores again from banks: sets without pixels, its networks, its detector."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from omegaconf import OmegaConf

from ood_bench.config import compose_settings
from ood_bench.data.imageset import Array, ImageSet, Rows
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.methods.base import Detector, Scorer, Setting, View, build_detector
from ood_bench.models.card import CARD, read_card
from ood_bench.models.classifier import Classifier, load_classifier
from ood_bench.results import Record
from ood_bench.results.schema import Network, SetUsed
from ood_bench.scoring.engine import Bank
from ood_bench.scoring.kept import KeptEngine, NotKeptError
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import Quantity
from ood_bench.utils.configs import config_files, searched

_SHAPE = (3, 32, 32)


class _Remembered(ImageSet):
    """A set of which only name, size and fingerprint are known."""

    def same_pixels(self, other: ImageSet) -> bool:
        return self.fingerprint == other.fingerprint


@dataclass(frozen=True)
class _Elsewhere(Classifier):
    """A network whose banks were made on another kind of device than the one it is loaded on."""

    kind: str = "cpu"

    @property
    def device(self) -> torch.device:
        return torch.device(self.kind)


class _FirstRows(KeptEngine):
    """Gives for the first images of a set what banks of the whole set hold."""

    def __init__(self, root: Path, whole: ImageSet, first: ImageSet) -> None:
        super().__init__(root)
        self._whole, self._first = whole, first

    def collect(
        self, classifier: Classifier, images: ImageSet, quantities: Iterable[Quantity], steps: Iterable[Steps] = ()
    ) -> Bank:
        if images is not self._first:
            return super().collect(classifier, images, quantities, steps)
        bank = super().collect(classifier, self._whole, quantities)
        return {quantity: rows[: len(images)] for quantity, rows in bank.items()}


def _first_images(images: ImageSet, count: int) -> ImageSet:
    """A stand-in for the first ``count`` images of a set, as :func:`remembered` makes one of it."""
    labels = None if images.labels is None else images.labels[:count]
    fingerprint = f"{images.fingerprint}, the first {count}"
    return _Remembered(images.name, images.images[:count], labels, fingerprint, images.variant)


def remembered(used: SetUsed, labels: npt.NDArray[np.int64] | None = None, shape: Sequence[int] = _SHAPE) -> ImageSet:
    """A stand-in for an image set of a record; its pixels are blank, and nothing may be computed from them."""
    blank = np.broadcast_to(np.uint8(0), (used.n, *shape))
    return _Remembered(used.name, blank, labels, used.fingerprint or used.title, used.variant)


def detector_of(record: Record, own: Sequence[Path] = ()) -> Detector:
    """The record's method with its hyperparameters.

    Args:
        record: any record.
        own: folders of configs beside the shipped one.

    Raises:
        OodBenchError: if there is no such method, or the hyperparameters are none of it.
    """
    files = config_files("method", own)
    if record.method not in files:
        raise NotKeptError(f"method {record.method} is not one that is shipped, or in a folder named by --config-dir")
    node: Any = OmegaConf.to_container(OmegaConf.load(files[record.method]), resolve=False)
    if "defaults" in node:  # it takes a recipe or a set of images from another group
        node = compose_settings([*searched(own), f"method={record.method}"]).method[record.method]
    shipped = build_detector(record.method, node)
    known = {item.name for item in fields(shipped) if item.init}  # type: ignore[arg-type]
    return build_detector(record.method, node | {k: v for k, v in record.hyperparameters.items() if k in known})


class Rebuilt:
    """A cell whose scores come from the banks of a store, without any pass.

    Args:
        record: the cell's record.
        store: the artifact store.
        train_rows: how many of the ID training images the detector is fitted on, the first; none for all.
        own: folders of configs beside the shipped one, for the method.

    Raises:
        NotKeptError: if a network is not in the store.
        OodBenchError: if the method is not known.
    """

    def __init__(self, record: Record, store: Path, train_rows: int | None = None, own: Sequence[Path] = ()) -> None:
        self.record = record
        self.detector = detector_of(record, own)
        kind = "cpu" if record.environment.device == "cpu" else "cuda"
        networks = [_network(store / "classifiers", one, kind) for one in record.checkpoint.networks]
        shape = tuple(networks[0].card["spec"]["shape"])
        data = record.data
        assert data.id_train is not None  # noqa: S101 - only records from scores have none, and no network
        self.train = remembered(data.id_train, _labels(store / "images", data.id_train.fingerprint), shape)
        self.test, self.ood = (remembered(one, None, shape) for one in (data.id_test, data.ood))
        accuracy = {"id_accuracy": record.checkpoint.networks[0].id_accuracy}
        networks[0] = replace(networks[0], card={**networks[0].card, **accuracy})
        engine = KeptEngine(store / "banks")
        if train_rows is not None:
            whole, self.train = self.train, _first_images(self.train, train_rows)
            engine = _FirstRows(store / "banks", whole, self.train)
        self.scorer = Scorer(engine, networks, self.train, self.test)
        self._fitted = False

    @property
    def classes(self) -> int:
        """Number of classes of the network."""
        return int(self.scorer.classifier.card["spec"]["classes"])

    @property
    def setting(self) -> Setting:
        """The setting that the record was scored with."""
        grid = self.detector.grid()
        recorded: Mapping[str, Any] = self.record.hyperparameters
        return grid[0] if len(grid) == 1 else {name: recorded[name] for name in grid[0]}

    def fit(self) -> None:
        """Fits the detector, once, with the generator of a seeded protocol.

        Raises:
            NotKeptError: if a bank is missing.
        """
        if not self._fitted:
            try:
                self.detector.fit(self.scorer, np.random.RandomState(0))
            except ConfigError as error:  # such as labels that the store does not have
                raise NotKeptError(error.message) from error
            self._fitted = True

    def scores(
        self, setting: Setting, rows: tuple[Rows, Rows] | None = None, *, paper: bool = False
    ) -> tuple[Array, Array]:
        """Scores ``[N]`` of ID test images and of OOD images.

        Args:
            setting: the detector's.
            rows: row numbers of either; all where there are none. Scores after input steps are kept for the rows of
                a run only.
            paper: whether as papers' code ranks them, where the method tells that apart.

        Raises:
            NotKeptError: if a bank is missing.
        """
        self.fit()
        inside_rows, outside_rows = rows or (None, None)
        views = View(self.test, inside_rows), View(self.ood, outside_rows)
        self.detector.calibrate(self.scorer, setting)
        if paper and (found := self.detector.paper_ranking(self.scorer, views, setting)) is not None:
            return found
        inside, outside = (self.detector.scores(self.scorer, view, setting) for view in views)
        return inside, outside


def _network(folder: Path, wanted: Network, kind: str) -> Classifier:
    for path in sorted(folder.glob(f"*/{CARD}")):
        try:
            card = read_card(path.parent)
        except (OSError, ValueError):
            continue
        if (card.get("key"), card.get("weights_sha256")) == (wanted.key, wanted.weights_sha256):
            found = load_classifier(path.parent, torch.device("cpu"))
            return _Elsewhere(found.network, found.mean, found.std, found.card, kind)
    raise NotKeptError(f"the network {wanted.model}, seed {wanted.seed}, was not kept")


def _labels(folder: Path, fingerprint: str | None) -> npt.NDArray[np.int64] | None:
    """Labels of a decoded image set, if the store has it."""
    for path in folder.glob("*/meta.json"):
        try:
            if json.loads(path.read_text(encoding="utf-8")).get("fingerprint") == fingerprint:
                return np.asarray(np.load(path.with_name("labels.npy"), allow_pickle=False), dtype=np.int64)
        except (OSError, ValueError):
            continue
    return None


def rebuilt(
    record: Record, store: Path, train_rows: int | None = None, own: Sequence[Path] = ()
) -> Rebuilt | NotKeptError:
    """The cell, or why it cannot be scored again; see :class:`Rebuilt`."""
    if record.from_scores is not None:
        return NotKeptError("only scores are known, neither network nor images")
    try:
        return Rebuilt(record, store, train_rows, own)
    except NotKeptError as error:
        return error
    except OodBenchError as error:
        return NotKeptError(error.message)
