"""Logistic regression over a detector's taps as scikit-learn fitted it in 2018, when the Mahalanobis code ran."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from ood_bench.data.imageset import Array
from ood_bench.tuning.logistic import Combination

STRENGTHS = np.logspace(-4, 4, 10)
_TOLERANCE, _RELATIVE, _ITERATIONS = 1e-4, 1e7 * float(np.finfo(np.float64).eps), 100


def fit_combination_2018(id_features: Array, ood_features: Array, folds: int = 3) -> Combination:
    """Fits what ``LogisticRegressionCV()`` of scikit-learn 0.20 fitted; today's cuts other folds and stops elsewhere.

    The first of the strengths with the best accuracy over the folds wins. The final fit of all rows starts at the mean
    of the folds' weights at that strength.

    Args:
        id_features: float64 ``[n_id, K]``, as they are.
        ood_features: float64 ``[n_ood, K]``.
        folds: of the cross-validation; 3 was the default.
    """
    accuracy, weights = cross_validated(id_features, ood_features, folds)
    best = int(accuracy.sum(axis=0).argmax())
    rows, is_id = _stacked(id_features, ood_features)
    final = minimised(rows, is_id, STRENGTHS[best], weights[:, best].mean(axis=0))
    return Combination(final[:-1], float(final[-1]), float(STRENGTHS[best]))


def cross_validated(id_features: Array, ood_features: Array, folds: int) -> tuple[Array, Array]:
    """Accuracy ``[folds, 10]`` on the rows held out, and weights ``[folds, 10, K + 1]``, by fold and strength.

    Each class is cut into blocks in the order of its rows, the first ones a row longer where it does not come out even.
    In each fold the strengths are fitted from the smallest to the largest, each from where the last one ended.
    """
    rows, is_id = _stacked(id_features, ood_features)
    fold = np.concatenate([_blocks(len(id_features), folds), _blocks(len(ood_features), folds)])
    accuracy = np.empty((folds, len(STRENGTHS)))
    weights = np.empty((folds, len(STRENGTHS), rows.shape[1] + 1))
    for number in range(folds):
        train, held_out, last = fold != number, fold == number, np.zeros(rows.shape[1] + 1)
        for column, strength in enumerate(STRENGTHS):
            last = minimised(rows[train], is_id[train], strength, last)
            found = rows[held_out] @ last[:-1] + last[-1] >= 0
            accuracy[number, column], weights[number, column] = np.mean(found == is_id[held_out]), last
    return accuracy, weights


def minimised(
    rows: Array, is_id: npt.NDArray[np.bool_], strength: float, start: Array, tolerance: float = _TOLERANCE
) -> Array:
    """Weights ``[K + 1]`` that minimise :func:`objective`, with the stopping rule of 2018.

    L-BFGS-B ends where no entry of the gradient is above the tolerance, where a step gains less than 2e-9 of the value,
    or after 100 iterations. On features that separate well this is before the optimum, and part of what the code gives.

    Args:
        rows: float64 ``[n, K]``.
        is_id: bool ``[n]``, the positive class.
        strength: C.
        start: ``[K + 1]``.
        tolerance: of the gradient; 0 goes on to the optimum.
    """
    endless = tolerance == 0

    def loss(weights: Array) -> tuple[float, Array]:
        return objective(rows, is_id, strength, weights)

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


def objective(rows: Array, is_id: npt.NDArray[np.bool_], strength: float, weights: Array) -> tuple[float, Array]:
    """The *sum* of the log losses plus ``|w|^2 / (2 C)``, and its gradient, at weights and intercept ``[K + 1]``."""
    way = np.where(is_id, 1.0, -1.0)
    margin = way * (rows @ weights[:-1] + weights[-1])
    pull = (expit(margin) - 1) * way
    value = -log_expit(margin).sum() + 0.5 / strength * weights[:-1] @ weights[:-1]
    return float(value), np.append(rows.T @ pull + weights[:-1] / strength, pull.sum())


def _stacked(id_features: Array, ood_features: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    rows = np.concatenate([id_features, ood_features])
    return rows, np.arange(len(rows)) < len(id_features)


def _blocks(count: int, folds: int) -> npt.NDArray[np.int64]:
    """Fold number of each row of one class, ``[count]``."""
    blocks = np.array_split(np.arange(count), folds)
    return np.repeat(np.arange(folds), [len(block) for block in blocks])
