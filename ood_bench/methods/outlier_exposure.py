"""Outlier exposure: a classifier that was trained to be unsure about outliers."""

from dataclasses import dataclass, field, replace
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks
from ood_bench.methods.msp import Msp
from ood_bench.papers.methods import Source
from ood_bench.training.recipe import changed
from ood_bench.training.spec import TrainingSpec


@dataclass
class OutlierExposure(Msp):
    """Maximum softmax probability of a classifier trained or fine-tuned with outliers.

    Attributes:
        train: changes to the run's recipe, as in ``conf/train``; its ``start`` says whether a trained classifier is
            fine-tuned or fresh weights are trained.
    """

    train: dict[str, Any] = field(default_factory=dict)

    source = Source(
        title="Deep Anomaly Detection with Outlier Exposure",
        authors="Hendrycks, Mazeika and Dietterich",
        venue="ICLR",
        year=2019,
        arxiv="1812.04606",
        code="github.com/hendrycks/outlier-exposure",
        licence="Apache-2.0",
    )
    needs = ("logits", "networks of its own", "outlier images")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The plain classifier's specification with this method's recipe and outliers."""
        if networks.outliers is None:
            raise ConfigError(
                "method outlier_exposure: name the outliers, as in ood@method.outlier_exposure.outliers=…"
            )
        recipe = changed(networks.base.recipe, self.train)
        initial = networks.base if recipe.start == "classifier" else None
        return [replace(networks.base, recipe=recipe, outliers=networks.outliers, initial=initial, checkpoint=None)]
