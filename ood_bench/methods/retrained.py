"""Detectors that train a network by a recipe of their own, beside the run's."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ood_bench.methods.base import Networks
from ood_bench.methods.msp import Msp
from ood_bench.training.loss import LossConfig
from ood_bench.training.recipe import changed
from ood_bench.training.spec import TrainingSpec


def retrained(base: TrainingSpec, name: str, train: Mapping[str, Any], **model: Any) -> TrainingSpec:
    """The run's network with another loss, or the run's own if that is it.

    Weights are fresh unless ``train.start`` is ``classifier``.

    Args:
        base: the run's own classifier.
        name: what the recipe's name ends with, unless ``train`` brings one.
        train: changes to the run's recipe, as in ``conf/train``; its ``loss`` takes the place of the run's.
        model: options of the model that differ from the run's.

    Raises:
        ConfigError: on an unknown key, a wrong type, or a value that cannot work.
    """
    recipe = replace(base.recipe, loss=LossConfig()) if "loss" in train else base.recipe
    recipe = changed(recipe, {"name": f"{base.recipe.name}_{name}", **train})
    initial = base if recipe.start == "classifier" else None
    spec = replace(base, model={**base.model, **model}, recipe=recipe, outliers=None, initial=initial, checkpoint=None)
    return base if spec.key == base.key else spec


@dataclass
class RetrainedMsp(Msp):
    """Maximum softmax probability of the run's network, trained with another loss.

    Attributes:
        train: changes to the run's recipe, as in ``conf/train``.
    """

    train: dict[str, Any] = field(default_factory=dict)

    loss: ClassVar[str]
    """Its name, with which the recipe's name ends."""

    needs = ("logits", "networks of its own")

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """The run's network with this loss."""
        return [retrained(networks.base, self.loss, self.train)]
