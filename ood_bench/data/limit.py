"""A few images of a set, for a trial run."""

from dataclasses import replace

import numpy as np

from ood_bench.data.imageset import ImageSet, Rows
from ood_bench.data.stream import stream_of, streamed


def limited(images: ImageSet, most: int) -> ImageSet:
    """The first ``most`` images of a set, or of one with labels the first of each class in turn; all if it has no more.

    Its variant says so: it is another set.
    """
    if len(images) <= most:
        return images
    rows = np.arange(most) if images.labels is None else _first_of_each_class(images.labels, most)
    labels = None if images.labels is None else images.labels[rows]
    variant = "; ".join(part for part in (images.variant, f"limited to {most:,} images") if part)
    if (stream := stream_of(images)) is not None:
        identity = {"set": images.fingerprint, "limit": most}
        part = stream.take(rows)
        return streamed(images.name, part, labels, identity, variant=variant, class_names=images.class_names)
    found = ImageSet.of(images.name, images.images[rows], labels, variant=variant)
    return replace(found, class_names=images.class_names)


def _first_of_each_class(labels: Rows, most: int) -> Rows:
    """Row numbers, ascending: first images of all classes, second ones, and so on until there are ``most``."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    turn = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    chosen = np.lexsort((order, turn))[:most]
    return np.sort(order[chosen])
