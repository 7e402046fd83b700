"""The softmax as papers' code has it: in float32, where confident images tie."""

import torch
import torch.nn.functional as F
from torch import Tensor

_LANES = 16


def max_softmax_float32(logits: Tensor) -> Tensor:
    """Largest softmax probability ``[N]`` of float32 logits ``[N, K]``; confident rows are exactly 1 and tie.

    Rounding a float64 probability gives other ties: it is the sum of the odds, just above 1, that float32 rounds, and
    there it is half as fine as below 1. The odds are added in a fixed order, so that every machine gives the same bits;
    in papers' code the order is the processor's, which moves a few of the ties.
    """
    odds = torch.exp((logits - logits.amax(dim=1, keepdim=True)).double()).float()
    return _fixed_sum(odds).reciprocal()


def _fixed_sum(rows: Tensor) -> Tensor:
    """Sum ``[N]`` of float32 rows ``[N, K]``: up to 15 one after the other, more in 16 lanes that are then joined."""
    count = rows.shape[1]
    width = _LANES if count >= _LANES else 1
    lanes = torch.zeros_like(rows[:, :width])
    padded = F.pad(rows, (0, -count % width))
    for start in range(0, count, width):
        lanes = lanes + padded[:, start : start + width]
    while lanes.shape[1] > 1:
        lower, upper = lanes.chunk(2, dim=1)
        lanes = lower + upper
    return lanes[:, 0]
