"""Import of published checkpoints: read without running anything in them, renamed, measured, stored."""

from ood_bench.checkpoints.importer import import_checkpoint
from ood_bench.checkpoints.reader import read_state_dict

__all__ = ["import_checkpoint", "read_state_dict"]
