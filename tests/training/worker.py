"""One process that asks for a classifier; run by path from ``test_processes.py``, with ``JOB`` set."""

import logging
from pathlib import Path

import torch

from ood_bench.training.artifact import ClassifierStore

job = globals()["JOB"]
logging.basicConfig(filename=job["log"], level=logging.INFO, format="%(message)s")
Path(job["log"]).with_suffix(".asking").touch()
ClassifierStore(job["root"], torch.device("cpu")).obtain(job["spec"])
