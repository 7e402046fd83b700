"""Logistic regression over a detector's taps as scikit-learn fitted it in 2018, when the Mahalanobis code ran."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from ood_bench.data.views import Array
from ood_bench.tuning.logistic import Combination

_STRENGTHS = np.logspace(-4, 4, 10)
_TOLERANCE, _RELATIVE, _ITERATIONS = 1e-4, 1e7 * float(np.finfo(np.float64).eps), 100


def fit_combination_2018(id_features: Array, ood_features: Array, folds: int = 3) -> Combination:
    """Fits what ``LogisticRegressionCV()`` of scikit-learn 0.20 fitted; today's stops elsewhere and cuts other folds.

    Ten values of C from 1e-4 to 1e4; each class is cut into ``folds`` blocks in the order of its rows, the first ones a
    row longer where it does not come out even. In each fold the strengths are fitted from the smallest to the largest,
    each starting where the last one ended, and the first strength with the best mean accuracy wins. The final fit of
    all rows starts at the mean of the folds' coefficients at that strength.

    Args:
        id_features: float64 ``[n_id, K]``, as they are.
        ood_features: float64 ``[n_ood, K]``.
        folds: of the cross-validation; 3 was the default.
    """
    rows = np.concatenate([id_features, ood_features])
    is_id = np.arange(len(rows)) < len(id_features)
    fold = np.concatenate([_blocks(len(id_features), folds), _blocks(len(ood_features), folds)])
    accuracy, paths = np.empty((folds, len(_STRENGTHS))), np.empty((folds, len(_STRENGTHS), rows.shape[1] + 1))
    for number in range(folds):
        train, held_out, weights = fold != number, fold == number, np.zeros(rows.shape[1] + 1)
        for column, strength in enumerate(_STRENGTHS):
            weights = minimised(rows[train], is_id[train], strength, weights)
            found = rows[held_out] @ weights[:-1] + weights[-1] >= 0
            accuracy[number, column], paths[number, column] = np.mean(found == is_id[held_out]), weights
    best = int(accuracy.sum(axis=0).argmax())
    weights = minimised(rows, is_id, _STRENGTHS[best], paths[:, best].mean(axis=0))
    return Combination(weights[:-1], float(weights[-1]), float(_STRENGTHS[best]))


def minimised(rows: Array, is_id: np.ndarray, strength: float, start: Array, tolerance: float = _TOLERANCE) -> Array:
    """Coefficients and intercept ``[K + 1]`` that minimise the *sum* of the losses plus ``|w|^2 / (2 C)``.

    L-BFGS-B with the stopping rule of 2018: it ends where no entry of the gradient is above the tolerance, where a step
    gains less than 2e-9 of the value, or after 100 iterations. On features that separate well this is before the
    optimum, which is part of what the code gives.

    Args:
        rows: float64 ``[n, K]``.
        is_id: bool ``[n]``, the positive class.
        strength: C.
        start: ``[K + 1]``.
        tolerance: of the gradient; 0 goes on to the optimum.
    """
    way = np.where(is_id, 1.0, -1.0)

    def loss(weights: Array) -> tuple[float, Array]:
        margin = way * (rows @ weights[:-1] + weights[-1])
        pull = (expit(margin) - 1) * way
        value = -log_expit(margin).sum() + 0.5 / strength * weights[:-1] @ weights[:-1]
        return float(value), np.append(rows.T @ pull + weights[:-1] / strength, pull.sum())

    endless = tolerance == 0
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        options={
            "gtol": tolerance,
            "ftol": 0.0 if endless else _RELATIVE,
            "maxiter": 10_000 if endless else _ITERATIONS,
        },
    )
    return np.asarray(found.x)


def _blocks(count: int, folds: int) -> np.ndarray:
    """Fold number of each row of one class, ``[count]``."""
    blocks = np.array_split(np.arange(count), folds)
    return np.repeat(np.arange(folds), [len(block) for block in blocks])
