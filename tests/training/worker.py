"""One process that asks for a classifier; run by path from ``test_processes.py``, with ``JOB`` set."""

import logging
from pathlib import Path
from typing import Any

import torch

from ood_bench.training.artifact import ClassifierStore


def work(root: Path, log: Path, spec: Any) -> None:
    logging.basicConfig(filename=log, level=logging.INFO, format="%(message)s")
    ClassifierStore(root, torch.device("cpu")).obtain(spec)


if __name__ == "__main__":
    work(**globals()["JOB"])
