"""Logistic regression over a detector's raw scores, with every option pinned to what papers' code relied on."""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV

from ood_bench.data.imageset import Array

FOLDS = 5


@dataclass(frozen=True)
class Combination:
    """A fitted logistic regression that tells ID (1) from OOD (0) by ``K`` features.

    Attributes:
        coefficients: float64 ``[K]``.
        intercept: the constant.
        strength: inverse regularisation strength C that cross-validation chose.
    """

    coefficients: Array
    intercept: float
    strength: float

    def decision(self, features: Array) -> Array:
        """Log odds of ID ``[n]`` for features ``[n, K]``: ranks like the probability and does not saturate."""
        return np.asarray(features @ self.coefficients + self.intercept)

    def probability(self, features: Array) -> Array:
        """Probability of ID ``[n]``; may round to exactly 0 or 1, which makes ties."""
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(-self.decision(features))))

    def ood_probability(self, features: Array) -> Array:
        """Probability of OOD ``[n]``; tells rows of a sure ID apart, whose probability of ID rounds to 1."""
        return np.asarray(expit(-self.decision(features)))


def fit_combination(id_features: Array, ood_features: Array) -> Combination:
    """Fits the regression that FSSD's code fits.

    scikit-learn 0.23.1's ``LogisticRegressionCV`` with its defaults of that time, spelled out: L2, lbfgs, ten values
    of C from 1e-4 to 1e4, five stratified unshuffled folds, accuracy, refit, 100 iterations at most, tolerance 1e-4,
    intercept, features as they are. The rows are stacked ID first. Its random state is not used by lbfgs.

    Args:
        id_features: float64 ``[n_id, K]``.
        ood_features: float64 ``[n_ood, K]``.
    """
    features = np.concatenate([id_features, ood_features])
    labels = np.concatenate([np.ones(len(id_features), dtype=int), np.zeros(len(ood_features), dtype=int)])
    regression = LogisticRegressionCV(
        Cs=10,
        l1_ratios=(0.0,),
        cv=FOLDS,
        scoring="accuracy",
        solver="lbfgs",
        tol=1e-4,
        max_iter=100,
        fit_intercept=True,
        refit=True,
        use_legacy_attributes=False,
    )
    with warnings.catch_warnings():
        # Unscaled features and 100 iterations are the paper's choice; that it stops early is part of the protocol.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression.fit(features, labels)
    return Combination(regression.coef_[0].astype(float), float(regression.intercept_[0]), float(regression.C_))
