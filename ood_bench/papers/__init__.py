"""Published numbers as data; see the README beside the tables for columns and sources."""

from ood_bench.papers.published import available, load, select

__all__ = ["available", "load", "select"]
