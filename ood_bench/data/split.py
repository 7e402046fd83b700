"""Two parts of one folder: which of its images are for training, and which for testing."""

import random
from collections.abc import Callable, Sequence
from typing import Literal

Part = Literal["all", "train", "test"]


def part_of(paths: Sequence[str], part: Part, fraction: float, seed: int, owner: Callable[[str], str]) -> list[str]:
    """The paths of one part, in their order; both parts together are all of them.

    Each class is split by itself: its sorted paths are shuffled by Python's generator, and the first ones are for
    testing. Another class, or images more in one class, leave the parts of the others as they are.

    Args:
        paths: all images.
        part: which part.
        fraction: share of each class that is for testing, rounded; of two images one goes to each part.
        seed: seed of the shuffle.
        owner: name of the class that a path belongs to.
    """
    if part == "all":
        return list(paths)
    classes: dict[str, list[str]] = {}
    for path in paths:
        classes.setdefault(owner(path), []).append(path)
    test = {path for name, mine in classes.items() for path in _drawn(sorted(mine), fraction, f"{seed}:{name}")}
    return [path for path in paths if (path in test) == (part == "test")]


def _drawn(paths: list[str], fraction: float, seed: str) -> list[str]:
    count = max(1, min(round(fraction * len(paths)), len(paths) - 1)) if len(paths) > 1 else 0
    return random.Random(seed).sample(paths, count)  # noqa: S311 - no secret
