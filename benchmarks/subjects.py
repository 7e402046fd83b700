"""What is measured: a classifier, its ID images and two OOD sets; real ones where they are at hand."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ood_bench.checkpoints.__main__ import NORMALISATIONS, node_named
from ood_bench.checkpoints.importer import import_checkpoint
from ood_bench.data.image_store import ImageStore
from ood_bench.data.imageset import ImageSet
from ood_bench.data.sources import build_source, source_of
from ood_bench.models.classifier import Classifier, build_network, freeze, load_classifier, to_layout

ID, OODS = "cifar10_png_subset", ("svhn_train_subset", "textures_subset")
_FIT_ROWS = 4  # ID training images for each scored image


@dataclass(frozen=True)
class Subject:
    """A classifier and images for it.

    Attributes:
        title: what they are, as the tables say it.
        classifier: the network, frozen, channels-last.
        train: ID training images with labels.
        test: ID images to score.
        oods: two OOD sets of as many images.
    """

    title: str
    classifier: Classifier
    train: ImageSet
    test: ImageSet
    oods: tuple[ImageSet, ImageSet]


def head(images: ImageSet, count: int, start: int = 0) -> ImageSet:
    """``count`` images of a set from row ``start`` on, in memory; all that are left if there are fewer."""
    rows = slice(start, start + count)
    labels = None if images.labels is None else images.labels[rows]
    return ImageSet.of(images.name, np.ascontiguousarray(images.images[rows]), labels, variant=images.variant)


def mixture(subject: Subject, count: int) -> ImageSet:
    """``count`` images without labels, the first half of them ID, the others of the first OOD set."""
    known = count // 2
    parts = subject.test.images[:known], subject.oods[0].images[: count - known]
    return ImageSet.of("mixture", np.concatenate(parts))


def fashion_images(count: int, root: Path) -> ImageSet:
    """FashionMNIST test images if they are under ``root``, else uniform noise of the same shape."""
    config = {"kind": "torchvision_mnist", "dataset": "FashionMNIST", "split": "test"}
    source = build_source(config, name="fashionmnist")
    if source.missing(root) is not None:
        noise = {"kind": "noise", "recipe": "uniform", "shape": [1, 28, 28], "count": count, "seed": 0}
        source = build_source(noise, name="uniform")
    whole = source.read(root)
    labels = np.arange(min(count, len(whole)), dtype=np.int64) % 10
    return ImageSet.of(whole.name, np.ascontiguousarray(whole.images[:count]), labels)


def fresh_lenet() -> Classifier:
    """A LeNet with fresh weights: its speed is that of a trained one."""
    return fresh("lenet", {"shape": [1, 28, 28], "classes": 10, "normalisation": {"mean": [0.2860], "std": [0.3530]}})


def real_subject(count: int, root: Path, checkpoint: Path | None, store: Path) -> Subject | None:
    """A ResNet-20 and the lossless rows of CIFAR-10 with two OOD sets, or none if a set is not under ``root``.

    Args:
        count: images of each scored set.
        root: data root; decoded sets are kept in its ``store``.
        checkpoint: published weights of a ResNet-20 trained with the ImageNet constants; fresh weights without them.
        store: where the imported classifier is written.

    Raises:
        OodBenchError: if a set or the checkpoint cannot be read.
    """
    node = node_named("id", ID)
    sources = [source_of(node, "train"), source_of(node, "test")]
    sources += [source_of(node_named("ood", name), shape=node["shape"]) for name in OODS]
    if any(source.missing(root) is not None for source in sources):
        return None
    opened = ImageStore(root / "store")
    train, test, *oods = (opened.open(source, root) for source in sources)
    if checkpoint is None:
        classifier, weights = fresh("resnet20", node), "fresh weights"
    else:
        model = node_named("model", "resnet20")
        constants = NORMALISATIONS["imagenet"]
        folder = import_checkpoint(
            checkpoint, model=model, id_node=node, store=store, test=test, normalisation=constants
        )
        classifier = load_classifier(folder, torch.device("cpu"))
        weights = f"{checkpoint.name}, {classifier.card['id_accuracy']:.1f} % on {test.title}"
    cut = head(oods[0], count), head(oods[1], count)
    title = f"resnet20 ({weights}); ID {test.name}, OOD {cut[0].name} and {cut[1].name}"
    return Subject(title, classifier, head(train, _FIT_ROWS * count), head(test, count), cut)


def embedded_subject(count: int) -> Subject:
    """A fresh ResNet-20 on patches of scikit-learn's photographs, labelled in turn, against noise: for speed only."""

    def patches(image: str, number: int) -> ImageSet:
        config = {"kind": "photo_patches", "image": image, "shape": [3, 32, 32], "count": number, "shrink": 2}
        return build_source(config, name=f"{image}_patches").read(Path())

    rows = (_FIT_ROWS + 1) * count
    whole = patches("china", rows)
    known = ImageSet.of(whole.name, whole.images, np.arange(rows, dtype=np.int64) % 10)
    noise = {"kind": "noise", "recipe": "uniform", "shape": [3, 32, 32], "count": count, "seed": 0}
    oods = patches("flower", count), build_source(noise, name="uniform").read(Path())
    node = {"shape": [3, 32, 32], "classes": 10, "normalisation": NORMALISATIONS["half"]}
    title = "resnet20 (fresh weights); patches of scikit-learn's photographs and noise, for speed only"
    train, test = head(known, _FIT_ROWS * count), head(known, count, _FIT_ROWS * count)
    return Subject(title, fresh("resnet20", node), train, test, oods)


def fresh(name: str, node: dict[str, Any]) -> Classifier:
    """A network of ``conf/model`` with fresh weights, for the images of an ID set."""
    torch.manual_seed(0)
    spec = {"model": node_named("model", name), **{part: node[part] for part in ("shape", "classes", "normalisation")}}
    network = to_layout(freeze(build_network(spec["model"], node["shape"], node["classes"])), torch.channels_last)
    mean, std = (tuple(node["normalisation"][moment]) for moment in ("mean", "std"))
    return Classifier(network, mean, std, {"weights_sha256": "fresh weights of seed 0", "spec": spec})
