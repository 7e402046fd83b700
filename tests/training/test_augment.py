import math
from typing import get_args

import numpy as np
import pytest
import torch

from ood_bench.training.augment import AUGMENTATIONS, AugmentationName

PAD = {"crop4": "constant", "reflect_crop4": "reflect"}


def batch(count, channels=3, height=9, width=7, seed=0):
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.integers(1, 256, (count, channels, height, width), dtype=np.uint8))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_shape_type_and_input_stay(name):
    images = batch(6)
    before = images.clone()
    changed = AUGMENTATIONS[name](images, seeded())
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)
    torch.testing.assert_close(images, before, rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_the_generator_alone_decides(name):
    images = batch(16)
    first = AUGMENTATIONS[name](images, seeded(1))
    torch.manual_seed(99)
    torch.rand(3)
    assert torch.equal(first, AUGMENTATIONS[name](images, seeded(1)))
    assert not torch.equal(first, AUGMENTATIONS[name](images, seeded(2)))
    moved = seeded(1)
    AUGMENTATIONS[name](images, moved)
    assert not torch.equal(first, AUGMENTATIONS[name](images, moved))


def test_flip_mirrors_each_image_or_leaves_it():
    images = batch(2000, channels=1, height=2, width=3)
    flipped = AUGMENTATIONS["flip"](images, seeded())
    mirrored = torch.from_numpy(images.numpy()[:, :, :, ::-1].copy())
    left = (flipped == images).flatten(1).all(dim=1)
    right = (flipped == mirrored).flatten(1).all(dim=1)
    assert bool((left | right).all())
    # 2,000 throws of a fair coin leave this range once in ten thousand times; the seed is fixed
    assert 910 < int((right & ~left).sum()) < 1090


def windows(image, mode):
    """Every window of the padded image, by offset."""
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)), mode=mode)
    height, width = image.shape[1:]
    return {(top, left): padded[:, top : top + height, left : left + width] for top in range(9) for left in range(9)}


@pytest.mark.parametrize("crop", PAD)
def test_crops_are_windows_of_the_padded_image(crop):
    images = batch(40)
    for image, cropped in zip(images.numpy(), AUGMENTATIONS[crop](images, seeded()).numpy(), strict=True):
        found = [place for place, window in windows(image, PAD[crop]).items() if np.array_equal(window, cropped)]
        assert len(found) == 1


@pytest.mark.parametrize("crop", PAD)
def test_all_81_offsets_are_equally_likely(crop):
    count = 8100
    image = np.arange(1, 65, dtype=np.uint8).reshape(1, 8, 8)
    images = torch.from_numpy(image).expand(count, 1, 8, 8).contiguous()
    place = {window.tobytes(): offset for offset, window in windows(image, PAD[crop]).items()}
    assert len(place) == 81
    counts = dict.fromkeys(place.values(), 0)
    for cropped in AUGMENTATIONS[crop](images, seeded()).numpy():
        counts[place[cropped.tobytes()]] += 1
    statistic = sum((found - count / 81) ** 2 / (count / 81) for found in counts.values())
    assert statistic < 140  # chi-square with 80 degrees of freedom: 1 in 25,000


def test_recipes_may_name_every_augmentation():
    assert list(AUGMENTATIONS) == list(get_args(AugmentationName))


def mirrored(index, size):
    """Index of a pixel beyond the edge, where the image goes on as in a mirror that stands at its border."""
    index %= 2 * size
    return 2 * size - 1 - index if index >= size else index


def slow_warp(image, source):
    """Bilinear values of one image at ``source(x, y)``, positions in pixels from the image's middle."""
    channels, height, width = image.shape
    out = np.empty(image.shape)
    for row in range(height):
        for column in range(width):
            x, y = source(column - (width - 1) / 2, row - (height - 1) / 2)
            x, y = x + (width - 1) / 2, y + (height - 1) / 2
            left, top = math.floor(x), math.floor(y)
            right_share, low_share = x - left, y - top
            for channel in range(channels):
                corner = [
                    [
                        float(image[channel, mirrored(top + down, height), mirrored(left + over, width)])
                        for over in (0, 1)
                    ]
                    for down in (0, 1)
                ]
                rows = [a * (1 - right_share) + b * right_share for a, b in corner]
                out[channel, row, column] = rows[0] * (1 - low_share) + rows[1] * low_share
    return out


def rotations(count):
    angles = (2 * torch.rand(count, generator=seeded()) - 1) * 0.04 * math.pi
    assert angles.abs().max() < math.radians(7.2)
    assert angles.min() < 0 < angles.max()
    turns = [(math.cos(one), math.sin(one)) for one in angles.tolist()]
    return [lambda x, y, c=c, s=s: (c * x - s * y, s * x + c * y) for c, s in turns]


def zooms(count):
    factors = 0.8 + 0.4 * torch.rand(2, count, generator=seeded())
    return [lambda x, y, a=a, b=b: (a * x, b * y) for a, b in factors.T.tolist()]


@pytest.mark.parametrize(("warp", "sources"), [("rotate7", rotations), ("zoom20", zooms)])
def test_warps_against_a_slow_resampling(warp, sources):
    images = batch(4, channels=2)
    ours = AUGMENTATIONS[warp](images, seeded())
    for image, moved, source in zip(images, ours, sources(4), strict=True):
        # half a grey value of rounding, and what float32 positions cost
        np.testing.assert_allclose(moved.numpy(), slow_warp(image.numpy(), source), atol=0.51)
