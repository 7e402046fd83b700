"""Where a method comes from."""

from ood_bench.papers.methods import Source

__all__ = ["Source"]
