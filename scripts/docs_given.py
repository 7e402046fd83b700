"""What a reader has before a block is run (``<!-- given: NAMES -->``), made small in the working directory.

Usage: ``python scripts/docs_given.py NAME...``
"""

import pickle
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image

import ood_bench
from ood_bench.cli.main import main
from ood_bench.config import compose_settings
from ood_bench.models.classifier import build_network

CLASSES, ROWS = 10, 6
OPENOOD = {"test": 9000, "cifar100": 9000, "tin": 7793}
"""Rows of some of OpenOOD's lists of CIFAR-10."""
QUICK = ("experiment=quickstart", "ood=uniform", "train.epochs=1", "data.root=data")
PAPER = """# @package _global_
# An invented table.
defaults:
  - override /model: lenet
  - override /id: digits
  - override /ood: [uniform]
  - override /method: [msp, energy, odin]
  - override /protocol: odin
protocol: {skip: 20}
paper: {name: mine, title: Mine, csv: mine, table: one, metrics: [fpr95], reference: an invented paper}
"""
NUMBERS = """paper,table,method,model,id_dataset,ood_dataset,metric,value,source
mine,one,msp,lenet,digits,uniform,fpr95,50.0,invented
"""
RANDOM = np.random.default_rng(0)


def pictures() -> None:
    """Folders of pictures: flowers of ten classes, told apart by a bright band, and leaves."""
    for place in [Path("leaves"), *(Path(f"flowers/{label:02}_flower") for label in range(CLASSES))]:
        place.mkdir(parents=True)
        for row in range(ROWS):
            pixels = RANDOM.integers(0, 90, (32, 32, 3), dtype=np.uint8)
            if place.parent.name:
                pixels[3 * int(place.name[:2]) :][:3] = 220
            Image.fromarray(pixels).save(place / f"{row}.png")


def network() -> None:
    """A file ``FILE`` with fresh weights of ``model=resnet20`` for ten classes."""
    model = compose_settings(["model=resnet20"]).model
    torch.save(build_network(model, (3, 32, 32), CLASSES).state_dict(), "FILE")


def tower() -> None:
    """A file ``TOWER`` with fresh weights of a small network of timm for grey images; embeddings of eight classes."""
    torch.save(timm.create_model("test_resnet", num_classes=16, in_chans=1).state_dict(), "TOWER")
    np.save("text.npy", RANDOM.normal(size=(8, 16)))


def records() -> None:
    """Records of three methods by ODIN's protocol on two networks, in ``results``; a paper of one's own has numbers."""
    words = ["method=[msp,energy,odin]", "protocol=odin", "protocol.skip=20", "seed=[0,1]", "scoring.resamples=20"]
    ood_bench.run([*QUICK, *words, "results.root=results"])
    folder = Path("my_conf/paper")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(PAPER, encoding="utf-8")
    (folder / "mine.csv").write_text(NUMBERS, encoding="utf-8")


def sweep() -> None:
    """A sweep of two jobs that is over."""
    if main(["-m", *QUICK, "method=msp", "seed=0,1", "results.root=swept"]):
        raise SystemExit("the sweep failed")


def scores() -> None:
    """Score files as OpenOOD writes them, ``s0/scores/scale.pkl`` to ``s2``; another method's record."""
    for number in range(3):
        parts = {
            name: [RANDOM.integers(0, CLASSES, rows), RANDOM.normal(2 * (name == "test"), 1, rows), np.full(rows, -1)]
            for name, rows in OPENOOD.items()
        }
        parts["test"][2] = parts["test"][0]
        path = Path(f"s{number}/scores/scale.pkl")
        path.parent.mkdir(parents=True)
        near = {name: arrays for name, arrays in parts.items() if name != "test"}
        path.write_bytes(pickle.dumps({"id": {"test": parts["test"]}, "ood": {"near": near}}))
    if main(["scores", "import", "s0/scores/scale.pkl", "--method", "msp", "--id", "cifar10", "--resamples", "0"]):
        raise SystemExit("the import failed")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
