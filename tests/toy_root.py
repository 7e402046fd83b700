"""A data root of tiny image sets in the real archives' layouts, for whole runs of papers at toy scale.

``fill(root)`` writes them; ``accept(patch)`` makes the readers take the toys' MD5 sums for the publishers', which the
fixture ``toy_root`` does; ``words`` are the overrides that make the OOD configs expect the toys' counts.
"""

import dataclasses
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision import datasets

from ood_bench.data import mnist
from ood_bench.data.cifar import LAYOUTS

COUNT, SHORT = 60, 40  # images a split; of iSUN, whose length ends the ID stream of ODIN's protocol
SKIP = 20  # rows that leave multiples of 20 of each, so that some threshold keeps exactly 95 % of ID
# OOD configs that read an archive: file, folder inside, sides of the pictures, suffix.
ARCHIVES = {
    "tin_crop": ("Imagenet.tar.gz", "Imagenet/test", (36, 36), "jpg"),
    "tin_resize": ("Imagenet_resize.tar.gz", "Imagenet_resize/Imagenet_resize", (32, 32), "jpg"),
    "lsun_crop": ("LSUN.tar.gz", "LSUN/test", (36, 36), "png"),
    "lsun_resize": ("LSUN_resize.tar.gz", "LSUN_resize/LSUN_resize", (32, 32), "jpg"),
    "isun": ("iSUN.tar.gz", "iSUN/iSUN_patches", (32, 32), "jpeg"),
    "textures": ("dtd-r1.0.1.tar.gz", "dtd/images/banded", (40, 52), "jpg"),
    "places365_sample": ("test_256.tar", "test_256", (64, 64), "jpg"),
    "tin_resize_rebuilt": ("tiny-imagenet-200.zip", "tiny-imagenet-200/test/images", (64, 64), "JPEG"),
}
SUMS: dict[str, dict[str, str]] = {}


def pixels(kind: str, count: int = COUNT, side: tuple[int, int] = (32, 32), classes: int = 10) -> np.ndarray:
    """Pictures uint8 ``[N, H, W, 3]``: a bright band that tells the class (ID), a bright column in noise (OOD).

    The ground has a colour of its own in each picture, so that even an untrained network's scores do not tie.
    """
    random = np.random.default_rng(list(kind.encode()))
    images = random.integers(0, 60, (count, *side, 3), dtype=np.uint8)
    images += random.integers(0, 150, (count, 1, 1, 3), dtype=np.uint8)
    if kind.startswith("cifar"):
        for image, label in zip(images, np.arange(count) % classes, strict=True):
            image[3 * (label % 10) : 3 * (label % 10) + 3, :, label // 10 % 3] = 220
    else:
        images[:, :, random.integers(0, side[1])] = 240
    return images


def words(*names: str) -> list[str]:
    """Overrides for those of the shipped OOD configs whose toys have another count and sum than the real files."""
    found = []
    for name in names:
        if name not in (*ARCHIVES, "uniform", "gaussian"):
            continue
        found.append(f"ood.{name}.source.count={SHORT if name == 'isun' else COUNT}")
        found += [f"++ood.{name}.source.md5=null"] if name in ARCHIVES else []
        found += [f"ood.{name}.source.sample={COUNT // 2}"] if name == "places365_sample" else []
    return found


def outlier_words(methods: Mapping[str, Any]) -> list[str]:
    """Overrides for the methods whose outliers are the authors' file."""
    named = [name for name, node in methods.items() if (node.get("outliers") or {}).get("name") == "tiny_images_300k"]
    return [f"method.{name}.outliers.source.count={COUNT}" for name in named]


def fill(root: Path) -> None:
    """Writes CIFAR-10, CIFAR-100, a lossless part of CIFAR-10, SVHN, outliers and the archives."""
    for name in ("cifar10", "cifar100"):
        write_cifar(root, name)
    for split in ("train", "test"):
        for row, image in enumerate(pixels(f"cifar subset {split}")):
            path = root / f"cifar10-png-subset/{split}/{row % 10}/{row:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_encoded(image, "png"))
    for folder in ("imagenet-dogs/train", "imagenet-dogs/test", "ms1m/train", "ms1m/test", "imagenet-non-dogs", "ijbc"):
        for row, image in enumerate(pixels(f"cifar {folder}" if "/" in folder else folder)):
            path = root / folder / f"{row % 10}/{row:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_encoded(image, "png"))
    SUMS["svhn"] = {split: _write_svhn(root, split) for split in ("train", "test")}
    np.save(root / "300K_random_images.npy", pixels("tiny_images"))
    for name, (archive, folder, side, suffix) in ARCHIVES.items():
        count = SHORT if name == "isun" else COUNT
        files = {f"{folder}/{row}.{suffix}": image for row, image in enumerate(pixels(name, count, side))}
        _write_archive(root / archive, {path: _encoded(image, suffix) for path, image in files.items()})


def fill_mnist(root: Path) -> dict[str, mnist.Release]:
    """Writes the MNIST-like sets; returns their releases, with the toys' sums in place of the publishers'."""
    releases = {}
    for number, (name, release) in enumerate(mnist.RELEASES.items()):
        sums = []
        for split, prefix in enumerate(("train", "t10k")):
            images, labels = _grey(10 * number + split, name)
            folder = root / name / "raw"
            sums += [
                _write_idx(folder / f"{prefix}-images-idx3-ubyte", images),
                _write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels),
            ]
        releases[name] = dataclasses.replace(release, plain=tuple(sums))
    images, labels = _grey(27, "letters")
    _write_idx(root / "idx/emnist_letters/t10k-images-idx3-ubyte", images)
    _write_idx(root / "idx/emnist_letters/t10k-labels-idx1-ubyte", labels + 1)
    return releases


def _grey(seed: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey 28x28 images: bright rows that tell the class (ID), or a bright column in noise (OOD)."""
    random = np.random.default_rng(seed)
    labels = (np.arange(COUNT) % 10).astype(np.uint8)
    images = random.integers(0, 100, (COUNT, 28, 28), dtype=np.uint8)
    if kind == "FashionMNIST":
        for offset in (4, 5):
            images[np.arange(COUNT), 2 * labels + offset] = 240
    else:
        images[:, :, seed % 28] = 240
    return images, labels


def _write_idx(path: Path, values: np.ndarray) -> str:
    return _write(path, struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes())


def accept(patch) -> None:
    """Lets the readers of CIFAR and SVHN take the toys for the published files."""
    for name in ("cifar10", "cifar100"):
        accept_cifar(patch, name)
    for split, found in SUMS["svhn"].items():
        patch.setitem(datasets.SVHN.split_list, split, ["", f"{split}_32x32.mat", found])


def accept_cifar(patch, name: str) -> None:
    """Lets the reader of one CIFAR take the toy for the published files."""
    reader, sums = getattr(datasets, name.upper()), SUMS[name]
    for split, files in LAYOUTS[name].splits.items():
        patch.setattr(reader, f"{split}_list", [[file, sums[file]] for file in files])
    patch.setitem(reader.meta, "md5", sums[LAYOUTS[name].meta])


def cifar(name: str, split: str) -> np.ndarray:
    """One split's images, uint8 ``[N, 3, 32, 32]``."""
    return pixels(f"{name} {split}", classes=_shown(name)).transpose(0, 3, 1, 2)


def _shown(name: str) -> int:
    """Number of classes that have images: two or more each, so that features vary within them."""
    return min(int(name.removeprefix("cifar")), COUNT // 2)


def write_cifar(root: Path, name: str) -> None:
    """Writes both splits of one CIFAR."""
    layout, classes = LAYOUTS[name], int(name.removeprefix("cifar"))
    folder, sums = root / layout.folder, {}
    folder.mkdir(parents=True)
    for split, files in layout.splits.items():
        images = cifar(name, split).reshape(COUNT, -1)
        labels = np.arange(COUNT) % _shown(name)
        for file, rows in zip(files, np.array_split(np.arange(COUNT), len(files)), strict=True):
            held = {"data": images[rows], "labels" if name == "cifar10" else "fine_labels": labels[rows].tolist()}
            sums[file] = _write(folder / file, pickle.dumps(held))
    names = [f"class {label}" for label in range(classes)]
    held = {getattr(datasets, name.upper()).meta["key"]: names}
    SUMS[name] = sums | {layout.meta: _write(folder / layout.meta, pickle.dumps(held))}


def _write_svhn(root: Path, split: str) -> str:
    from scipy.io import savemat  # noqa: PLC0415 - slow to import, and few tests need it

    content = io.BytesIO()
    savemat(content, {"X": pixels(f"svhn {split}").transpose(1, 2, 3, 0), "y": np.arange(COUNT)[:, None] % 10 + 1})
    return _write(root / f"svhn/{split}_32x32.mat", content.getvalue())


def _write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _encoded(image: np.ndarray, suffix: str) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image).save(content, "png" if suffix == "png" else "jpeg")
    return content.getvalue()


def _write_archive(path: Path, files: dict[str, bytes]) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        return
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
