"""Which of the scored ID rows a cell's networks classify right."""

import numpy as np
import numpy.typing as npt

from ood_bench.methods.base import Scorer
from ood_bench.protocols.base import Outcome
from ood_bench.results.scores import rows_of
from ood_bench.runner.cell import Cell
from ood_bench.scoring.quantities import LOGITS


def correct_rows(cell: Cell, outcome: Outcome, scorer: Scorer) -> npt.NDArray[np.bool_] | None:
    """Whether each scored ID row is predicted right, bool ``[n_id]``; none where rows or labels are not known.

    The prediction is the networks' own on the unchanged image: the class of the largest logit of one network, of the
    largest mean softmax of several, where classes that a network has not learned have probability 0. What a method does
    to features or to the image alters its scores, not the prediction.
    """
    rows = rows_of(outcome.id_scores, outcome.id_rows, cell.test)
    if rows is None or cell.test.labels is None:
        return None
    identity = {
        "networks": [classifier.key for classifier in scorer.classifiers],
        "known": [spec.known for spec in cell.specs],
        "images": cell.test.fingerprint,
        "device": scorer.classifier.device.type,
    }
    predictions = scorer.engine.cached("predictions", identity, lambda: _predictions(cell, scorer))
    return np.asarray(predictions[rows] == cell.test.labels[rows])


def _predictions(cell: Cell, scorer: Scorer) -> npt.NDArray[np.float64]:
    """Predicted classes of all ID test images, ``[N]``."""
    logits = [
        scorer.engine.collect(classifier, cell.test, (LOGITS,))[LOGITS].astype(np.float64)
        for classifier in scorer.classifiers
    ]
    known = [spec.known or tuple(range(rows.shape[1])) for spec, rows in zip(cell.specs, logits, strict=True)]
    if len(logits) == 1:
        return np.asarray(known[0], dtype=np.float64)[logits[0].argmax(axis=1)]
    from scipy.special import softmax  # noqa: PLC0415 - ensembles alone need it, and no run before its first image

    total = np.zeros((len(cell.test), 1 + max(map(max, known))))
    for classes, rows in zip(known, logits, strict=True):
        total[:, classes] += softmax(rows, axis=1)
    return total.argmax(axis=1).astype(np.float64)
