"""Search for the rows of a bank that lie nearest to each of many others, in bounded memory."""

import math

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array

_ROWS, _BANK = 512, 16384


def largest_products(rows: Array, bank: Array, count: int) -> tuple[Array, Array]:
    """The largest inner products of each of ``rows`` with the rows of ``bank``, exact, in float64.

    Products are formed for 512 rows and 16,384 of the bank at a time: at most 64 MiB.

    Args:
        rows: float64 ``[n, D]``.
        bank: float64 ``[N, D]``.
        count: how many for each row, at most N.

    Returns:
        Products ``[n, count]``, largest first, and the rows of the bank that they belong to.
    """
    parts = (torch.from_numpy(rows[first : first + _ROWS]) for first in range(0, len(rows), _ROWS))
    found = [_largest(part, bank, count) for part in parts]
    values, places = (torch.cat(column).numpy() for column in zip(*found, strict=True))
    return values, places


def _largest(rows: torch.Tensor, bank: Array, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.empty(len(rows), 0, dtype=torch.float64)
    places = torch.empty(len(rows), 0, dtype=torch.int64)
    for first in range(0, len(bank), _BANK):
        products = rows @ torch.from_numpy(bank[first : first + _BANK]).T
        best, where = products.topk(min(count, products.shape[1]), dim=1)
        values, places = torch.cat([values, best], dim=1), torch.cat([places, where + first], dim=1)
        values, order = values.topk(min(count, values.shape[1]), dim=1)
        places = places.gather(1, order)
    return values, places


def drawn_bank(images: int, share: float, k: int, seed: int, method: str) -> npt.NDArray[np.int64]:
    """Rows of the ID training images that make a bank: a share of them, drawn at random.

    Args:
        images: how many there are.
        share: above 0, at most 1.
        k: how many the bank needs at least.
        seed: seeds the draw.
        method: for the message.

    Raises:
        ConfigError: if the bank has fewer images than ``k``.
    """
    count = int(images * share)
    if count < k:
        enough = math.ceil(1000 * k / images) / 1000
        remedies = [f"method.{method}.share to {enough:g}"] if enough <= 1 else []
        remedies += [f"method.{method}.k to at most {count}"] if count else []
        raise ConfigError(
            f"method {method}: k is {k}, and the bank has {count} of {images} ID training images",
            f"set {' or '.join(remedies)}" if remedies else "use more training images",
        )
    return np.random.RandomState(seed).permutation(images)[:count]
