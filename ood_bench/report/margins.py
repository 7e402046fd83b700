"""Differences from published numbers that do not matter."""

from typing import NamedTuple


class Margins(NamedTuple):
    """Differences in points that do not matter.

    Attributes:
        usual: of most metrics.
        fpr: of false positive rates.
    """

    usual: float = 1.0
    fpr: float = 2.0

    def of(self, metric: str) -> float:
        """That of a metric."""
        return self.fpr if metric.startswith("fpr") else self.usual

    def __str__(self) -> str:
        return f"{self.usual:g} point{'s' * (self.usual != 1)}, {self.fpr:g} for false positive rates"


DEFAULT = Margins()
