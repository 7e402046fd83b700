"""Features at unit length."""

import numpy as np

from ood_bench.methods.base import Array


def unit_length(features: Array) -> Array:
    """Features ``[n, D]`` over their L2 norm; zeros stay zeros."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12))
