"""OpenOOD's folder ``data`` with a few tiny pictures a list: its own list and file names, for its CIFAR benchmarks."""

import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from ood_bench.data.catalogue import entries
from ood_bench.data.imglist import Imglist, list_sum
from ood_bench.data.sources import Joined

COUNT = 60
# By the set in a list's name: the pictures' paths, their sides, and whether they are grey.
PICTURES = {
    "cifar10": ("cifar10/{split}/class{label}/{row:04d}.png", (32, 32)),
    "cifar100": ("cifar100/{split}/class{label}/{row:04d}.png", (32, 32)),
    "cifar10c": ("cifar10c/{row:05d}_1.png", (32, 32)),
    "tin": ("tin/val/images/val_{row}.JPEG", (64, 64)),
    "mnist": ("mnist/{split}/{label}_{row}.jpg", (28, 28)),
    "svhn": ("svhn/{split}/{row:06d}_{label}.jpg", (32, 32)),
    "texture": ("texture/banded/banded_{row:04d}.jpg", (40, 52)),
    "places365": ("places365/field-cultivated/Places365_val_{row:08d}.jpg", (64, 64)),
}
LINES: dict[str, list[str]] = {}


@functools.cache
def _lists() -> dict[str, list[tuple[str, str]]]:
    """Configs that read a list of a CIFAR benchmark and where in them, by the list's path; joined sets read several."""
    found: dict[str, list[tuple[str, str]]] = {}
    for entry in entries():
        place = f"id.{entry.part}" if entry.group == "id" else f"ood.{entry.key}.source"
        sources = {place: entry.source}
        if isinstance(entry.source, Joined):
            parts = zip(entry.source.parts, entry.source.sources, strict=True)
            sources = {f"{place}.parts.{name}": source for name, source in parts}
        for place, source in sources.items():
            if isinstance(source, Imglist) and source.path.startswith("cifar"):
                found.setdefault(source.path, []).append((entry.key, place))
    return found


def fill(root: Path, pixels: Callable[..., np.ndarray]) -> None:
    """Writes lists and pictures below ``root / "data"``; ``pixels`` draws them, see ``toy_root.py``."""
    for number, path in enumerate(_lists()):
        benchmark, name = path.removesuffix(".txt").split("/")
        split, shown = name.split("_", 1)
        template, side = PICTURES[shown]
        is_id = shown.removesuffix("c") == benchmark
        classes = min(int(benchmark.removeprefix("cifar")), COUNT // 2)
        images = pixels(f"{'cifar' if is_id else 'openood'} {path}", COUNT, side, classes)
        LINES[path] = []
        for row, image in enumerate(images):
            values = {
                "split": "train" if split == "train" else "test",
                "label": row % classes,
                "row": 100 * number + row,
            }
            file = template.format(**values)
            LINES[path].append(f"{file} {row % classes if is_id else -1}")
            _write(root / "data/images_classic" / file, image[..., 0] if shown == "mnist" else image)
        _write_text(root / "data/benchmark_imglist" / path, LINES[path])


def words(*names: str) -> list[str]:
    """Overrides that make these configs, of ID or OOD sets, expect the toys' lists."""
    found = []
    for path, readers in _lists().items():
        for key, place in readers:
            if key in names:
                found += [f"{place}.count={COUNT}", f"{place}.sha256={list_sum(LINES[path])}"]
    return found


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    Image.fromarray(image).save(content, "png" if path.suffix == ".png" else "jpeg")
    path.write_bytes(content.getvalue())


def _write_text(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\r\n".join([*lines, ""]), newline="")
