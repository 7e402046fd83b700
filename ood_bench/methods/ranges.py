"""Ranges of hyperparameters: a config's value outside is refused, with its key, when the method is built."""

from typing import Annotated

from pydantic import Field

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Percentile = Annotated[float, Field(ge=0, lt=100)]
"""One that leaves something."""
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
"""A number of things that may be none, or a seed of NumPy's generators."""
Seed32 = Annotated[int, Field(ge=0, lt=2**32)]
"""A seed of the generators that take 32 bits."""
Magnitudes = Annotated[list[NotNegative], Field(min_length=1)]
Temperatures = Annotated[list[Positive], Field(min_length=1)]
Edges = Annotated[int, Field(ge=4, multiple_of=2)]
"""Edges of bins that lie alike on both sides of 1/2."""
