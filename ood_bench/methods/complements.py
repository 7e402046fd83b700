"""One minus a probability, where the probability would round to 1."""

import numpy as np
from scipy.special import logsumexp

from ood_bench.methods.base import Array


def log_complements(log_p: Array) -> Array:
    """``log(1 - p)``, ``[n, K]``, from ``log p`` of at least two classes, ``[n, K]``; finite wherever the latter is.

    That of the largest p is the logarithm of the sum of the others.
    """
    winner, others = log_p.argmax(axis=1)[:, None], log_p.copy()
    np.put_along_axis(others, winner, -np.inf, axis=1)
    found = np.log1p(-np.exp(others))
    np.put_along_axis(found, winner, logsumexp(others, axis=1, keepdims=True), axis=1)
    return np.asarray(found)
