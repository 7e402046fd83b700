"""Synthetic noise images, each drawn from its own stream so that an index always means the same image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ood_bench.data.imageset import Images, ImageSet
from ood_bench.data.source import Source
from ood_bench.utils.progress import ticking

Recipe = Literal["uniform", "gaussian"]
_REPORT_EVERY = 500


def to_bytes(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Values in [0, 1] as 8-bit steps, rounded to the nearest (``v * 255``; ties to even)."""
    return np.rint(values * 255.0).astype(np.uint8)


def noise_image(recipe: Recipe, shape: tuple[int, int, int], seed: int, index: int) -> npt.NDArray[np.uint8]:
    """Noise image number ``index`` of the set with this seed, uint8 ``[C, H, W]``.

    The counter-based generator Philox is keyed by (seed, index): image ``index`` does not depend on how many
    others are drawn, in which order, or by which process.
    """
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, index], dtype=np.uint64)))
    if recipe == "uniform":
        return to_bytes(generator.random(shape))
    return to_bytes(np.clip(generator.normal(0.5, 1.0, shape), 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Noise(Source):
    """Noise as in ODIN (Liang et al. 2018, appendix I): every pixel value drawn on its own, before normalisation.

    ``uniform`` draws from U[0, 1]; ``gaussian`` from N(0.5, 1) clipped to [0, 1].

    Known deviation: the paper's code feeds the drawn floats, here they are rounded to 8-bit steps like any image
    file, an error of at most 1/510.

    Attributes:
        recipe: which distribution.
        shape: channels, height and width; a config takes it from the ID set.
        count: number of images.
        seed: seed of the whole set.
    """

    kind: ClassVar[str] = "noise"
    recipe: Recipe
    shape: tuple[int, int, int]
    count: Annotated[int, Field(gt=0)] = 10_000
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @property
    def channels(self) -> int:
        return self.shape[0]

    def read(self, root: Path) -> ImageSet:
        images: Images = np.empty((self.count, *self.shape), dtype=np.uint8)
        with ticking(f"drawing {self.name}", self.count, "images") as ticker:
            for index in range(self.count):
                images[index] = noise_image(self.recipe, self.shape, self.seed, index)
                if (index + 1) % _REPORT_EVERY == 0:
                    ticker.advance(_REPORT_EVERY)
        return ImageSet.of(self.name, images, variant=self.full_variant)
