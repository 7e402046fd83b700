"""Outlier exposure: a classifier that was trained to be unsure about outliers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks
from ood_bench.methods.msp import Msp
from ood_bench.training.recipe import Start, recipe_from
from ood_bench.training.spec import TrainingSpec


@dataclass
class OutlierExposure(Msp):
    """Maximum softmax probability of a classifier trained or fine-tuned with outliers.

    Source: Hendrycks, Mazeika and Dietterich, "Deep Anomaly Detection with Outlier Exposure", arXiv 1812.04606, and
    its released code.

    Attributes:
        train: changes to the run's recipe, as in ``conf/train``; its ``start`` says whether a trained classifier is
            fine-tuned or fresh weights are trained.
    """

    train: dict[str, Any] = field(default_factory=dict)

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The plain classifier's specification with this method's recipe and outliers."""
        if networks.outliers is None:
            raise ConfigError(
                "method outlier_exposure: name the outliers, as in ood@method.outlier_exposure.outliers=…"
            )
        plain = networks.base.recipe
        recipe = recipe_from(_merged({**plain.identity(), "name": plain.name}, self.train))
        initial = networks.base if recipe.start is Start.classifier else None
        return [replace(networks.base, recipe=recipe, outliers=networks.outliers, initial=initial, checkpoint=None)]


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, mapping by mapping."""
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
