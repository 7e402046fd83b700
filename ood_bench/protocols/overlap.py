"""Whether rows that a choice has seen are scored."""

from collections.abc import Sequence

import numpy as np

from ood_bench.data.views import View
from ood_bench.training.selection import validation_view
from ood_bench.training.spec import TrainingSpec


def rows_of(view: View) -> np.ndarray:
    """The view's row numbers, also where it has all rows in order."""
    return np.arange(len(view.images)) if view.rows is None else view.rows


def overlapping(scored: Sequence[View], seen: Sequence[View]) -> dict[str, int]:
    """Number of scored rows that were seen, by name of the image set; sets without any are left out."""
    counts = {}
    for view in scored:
        mine = [rows_of(one) for one in seen if one.images.fingerprint == view.images.fingerprint]
        if mine and (count := int(np.isin(rows_of(view), np.concatenate(mine)).sum())):
            counts[view.images.name] = count
    return counts


def seen_in_training(specs: Sequence[TrainingSpec]) -> list[View]:
    """Test and validation rows on which classifiers' epochs were chosen; the same for all of them."""
    spec = next((one for one in specs if one.validation is not None), None)
    if spec is None or spec.validation is None:
        return []
    return [validation_view(images) for images in (spec.test, spec.validation)]
