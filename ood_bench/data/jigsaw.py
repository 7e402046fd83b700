"""Jigsaw images: the pseudo-OOD images that NormRatio makes from ID images."""

import numpy as np

from ood_bench.data.imageset import ImageSet

TILES = 3


def jigsaw(images: ImageSet, seed: int) -> ImageSet:
    """Every image with its nine tiles in a random order.

    The tile side is a third of the image's, rounded down. Nine tiles of the top left are permuted, uniformly and anew
    for each image (the identity may come up), and pasted into a black image, so that on 32x32 images the last two rows
    and columns stay black.

    Source: released code of arXiv 2212.02295, which draws from an unseeded generator.

    Args:
        images: any image set.
        seed: seeds the permutations; image i gets the same one whatever the number of images.
    """
    count, channels, height, width = images.images.shape
    rows, columns = height // TILES, width // TILES
    order = np.stack([np.random.default_rng((seed, index)).permutation(TILES * TILES) for index in range(count)])
    area = images.images[:, :, : TILES * rows, : TILES * columns]
    tiles = area.reshape(count, channels, TILES, rows, TILES, columns).transpose(0, 2, 4, 1, 3, 5)
    tiles = tiles.reshape(count, TILES * TILES, channels, rows, columns)
    moved = np.take_along_axis(tiles, order[:, :, None, None, None], axis=1)
    moved = moved.reshape(count, TILES, TILES, channels, rows, columns).transpose(0, 3, 1, 4, 2, 5)
    whole = np.zeros_like(images.images)
    whole[:, :, : TILES * rows, : TILES * columns] = moved.reshape(area.shape)
    return ImageSet.of(f"{images.name}_jigsaw", whole, variant=f"jigsaw of 3x3 tiles, seed {seed}")
