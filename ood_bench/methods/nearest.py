"""Search for the rows of a bank that lie nearest to each of many others, in bounded memory."""

import math

import numpy as np
import numpy.typing as npt
import torch

from ood_bench.data.imageset import Rows32
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


def kth_distances(rows: Array, bank: Array, k: int) -> Array:
    """Squared distance from each of ``rows`` to the k-th nearest row of ``bank``, exact, in float64.

    The distance is searched by float32 products, and taken from the differences in float64 of those rows of the bank
    that may be the k-th, by the bound of the products' error: mostly one. Memory is as for :func:`largest_products`,
    and the bank once more in float32.

    Args:
        rows: float64 ``[n, D]``.
        bank: float64 ``[N, D]``.
        k: 1 for the nearest, at most N.

    Returns:
        ``[n]``.
    """
    wide = np.empty((len(bank), bank.shape[1] + 1), dtype=np.float32)  # so that products are g b - |b|^2 / 2
    wide[:, :-1], wide[:, -1] = bank, -0.5 * np.einsum("nd,nd->n", bank, bank)
    parts = [rows[first : first + _ROWS] for first in range(0, len(rows), _ROWS)]
    return np.concatenate([_kth(part, bank, wide, k) for part in parts]) if parts else np.empty(0)


def _kth(rows: Array, bank: Array, wide: Rows32, k: int) -> Array:
    """:func:`kth_distances` of a few rows; ``wide`` is the bank in float32, half its squared length taken off last."""
    queries = np.hstack([rows, np.ones((len(rows), 1))]).astype(np.float32)

    def products(first: int) -> Rows32:
        return queries @ wide[first : first + _BANK].T

    starts = range(0, len(bank), _BANK)
    values = products(0)
    best = _top(values, k)
    for first in starts[1:]:
        values = products(first)
        best = _top(np.hstack([best, _top(values, k)]), k)
    middle, slack = best.min(axis=1, keepdims=True), _slack(rows, wide)
    found = []
    for first in starts:
        if len(starts) > 1:
            values = products(first)
        places = np.flatnonzero(values >= middle - slack)
        mine = places // values.shape[1]
        sure = values.ravel()[places] > (middle + slack)[mine, 0]
        found.append((mine, places - mine * values.shape[1] + first, sure))
    mine, places, sure = (np.concatenate(parts) for parts in zip(*found, strict=True))
    above = np.bincount(mine[sure], minlength=len(rows))
    mine, places = mine[~sure], places[~sure]
    distances = np.empty(len(mine))
    for some in (slice(first, first + _BANK) for first in range(0, len(mine), _BANK)):
        distances[some] = ((rows[mine[some]] - bank[places[some]]) ** 2).sum(axis=1)
    order = np.lexsort((distances, mine))
    return distances[order[np.searchsorted(mine[order], np.arange(len(rows))) + k - 1 - above]]


def _slack(rows: Array, wide: Rows32) -> Array:
    """By how much two products may seem to differ in float32 that do not, at most, ``[n, 1]``."""
    longest = float(np.sqrt(-2 * wide[:, -1].min()))
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), longest)
    return np.asarray((wide.shape[1] + 8) * 2.0**-22 * longest * lengths)


def _top(values: Rows32, count: int) -> Rows32:
    """The ``count`` largest of each row, in any order, or all if there are fewer."""
    left = max(0, values.shape[1] - count)
    return np.partition(values, left, axis=1)[:, left:]


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
