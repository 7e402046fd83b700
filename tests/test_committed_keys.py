"""Classifier keys and cell keys of every committed record follow from the record and the shipped configs."""

from pathlib import Path

import numpy as np
import pytest

from ood_bench.checkpoints import importer
from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Networks, build_detector
from ood_bench.models.heads import model_title, without_default_head
from ood_bench.protocols.base import build_protocol
from ood_bench.results import RecordStore
from ood_bench.runner.cell import Cell
from ood_bench.training import spec as training_spec
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec

RECORDS = RecordStore(Path(__file__).parents[1] / "results").load()
IMAGENET = "id.normalisation={mean:[0.485,0.456,0.406],std:[0.229,0.224,0.225]}"
SUBSETS = {"first 1,017 test rows, exact pixels": "cifar10_png_subset", "JPEG copy": "cifar10_jpeg"}
# SHA-256 of the published checkpoints, which records do not hold: theirs is of the converted weights.
PUBLISHED = {
    "densenet_bc_100_12_cifar10_dice.pth.tar": "deaefd082911a1c6c92aacdcfecf03c71b932acc5c08b779c85c44eccdc0c817",
    "densenet_bc_100_12_cifar100_dice.pth.tar": "56cbe261c2612976e11aedcbd60ba00766e8c01c78f96c3f18ff561ead804d47",
    "resnet20_cifar10_akamaster.th": "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
}


SIX_METHODS = "method=[msp,energy,odin,mahalanobis,fssd,feature_norm,feature_norm_blocks]"
ELOC = ["method.eloc.train.autocast=bfloat16", "method.eloc.train.epochs=5", "method.eloc.train.schedule.gamma=0.7"]
FASHIONMNIST = {
    "fssd": ["paper=fssd_fashionmnist"],
    "godin_paper": ["experiment=godin_fashionmnist"],
    "plain": ["experiment=eloc_fashionmnist", *ELOC, "train.autocast=bfloat16"],
}


def command_of(record):
    """The overrides that made the record, as results/README.md states them."""
    if record.model == "densenet_bc_100_12":
        paper, images = f"paper=odin_densenet_{record.id}", f"id={record.id}_png_subset"
        weights = f"checkpoint=densenet_bc_100_12_{record.id}_dice.pth.tar"
        return (paper, images, "protocol.skip=0", "protocol.stop=2000", weights)
    if record.model == "resnet20":
        images, weights = SUBSETS[record.data.id_test.variant], "checkpoint=resnet20_cifar10_akamaster.th"
        return ("model=resnet20", f"id={images}", IMAGENET, weights, SIX_METHODS, "method.fssd.taps=[stages]")
    return tuple(FASHIONMNIST[record.protocol])


def image_set(used, shape, classes=None):
    """A set with the fingerprint of the record's; its pixels, which no key looks at again, are black."""
    images = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (used.n, *shape))
    labels = None if classes is None else np.arange(used.n) % classes
    return ImageSet(used.name, images, labels, used.fingerprint, used.variant)


def networks_of(record, settings):
    """The run's sets and recipe, from which each method takes what it trains."""
    node, data = settings.id, record.data
    train, test = (image_set(one, node["shape"], node["classes"]) for one in (data.id_train, data.id_test))
    base = TrainingSpec(
        model=without_default_head(settings.model),
        recipe=recipe_from(settings.train),
        data=train,
        test=test,
        classes=node["classes"],
        normalisation=node["normalisation"],
        seed=record.seed,
        checkpoint=settings.checkpoint,
    )
    outliers = None if data.outliers is None else image_set(data.outliers, node["shape"])
    return Networks(base, settings.model.get("variants") or {}, outliers, None)


def cells_of(record, settings):
    """The cell of every variant of the record's method, by variant."""
    networks = networks_of(record, settings)
    return {
        detector.variant: Cell(
            method=record.method,
            model=model_title(settings.model),
            detector=detector,
            specs=detector.networks(networks),
            ood_name=record.ood,
            ood=image_set(record.data.ood, settings.id["shape"]),
            test=networks.base.test,
            seed=record.seed,
            protocol=build_protocol(settings.protocol, settings.tune.name),
            resamples=settings.scoring.resamples,
        )
        for detector in build_detector(record.method, settings.method[record.method]).variants(networks)
    }


def imported_key(settings):
    return importer.content_key(importer._spec(settings.checkpoint, settings.model, settings.id, None, None))


@pytest.fixture(autouse=True)
def published_checksums(monkeypatch):
    for module in (importer, training_spec):
        monkeypatch.setattr(module, "sha256_file", lambda path: PUBLISHED[path.name])


def test_the_keys_of_every_committed_record_stay():
    settings_of = {command: compose_settings(command) for command in set(map(command_of, RECORDS))}
    cells, wrong = {}, []
    for record in RECORDS:
        settings = settings_of[command_of(record)]
        which = (command_of(record), record.method, record.ood, record.seed)
        if which not in cells:
            cells[which] = cells_of(record, settings)
        cell = cells[which][record.variant]
        networks = [imported_key(settings)] if settings.checkpoint else [spec.key for spec in cell.specs]
        if networks != [network.key for network in record.checkpoint.networks]:
            wrong.append(f"classifier of {record.cell_key}: {networks}")
        if cell.key != record.cell_key:
            wrong.append(f"cell {record.cell_key}: {cell.key}, {cell.title}")
    assert wrong == []
    assert len(RECORDS) == 416
