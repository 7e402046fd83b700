"""What a recipe says of its loss, and the objectives that it may name."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ood_bench.errors import ConfigError
from ood_bench.training.objectives import CrossEntropy, LogitNorm, MarginEntropy, Objective, OutlierExposure
from ood_bench.training.rotpred import RotPred
from ood_bench.training.t2fnorm import T2FNorm
from ood_bench.training.vos import Vos
from ood_bench.utils.build import Strict, build
from ood_bench.utils.suggest import did_you_mean

SHIPPED: Mapping[str, type[Objective]] = {
    "cross_entropy": CrossEntropy,
    "outlier_exposure": OutlierExposure,
    "margin_entropy": MarginEntropy,
    "logitnorm": LogitNorm,
    "t2fnorm": T2FNorm,
    "rotpred": RotPred,
    "vos": Vos,
}


@dataclass(frozen=True)
class LossConfig(Strict):
    """What a recipe says of its objective.

    Attributes:
        name: one of :data:`SHIPPED`, or the import path of a class.
        outlier_weight: weight of the outlier term of outlier exposure.
        options: fields of the objective.
    """

    name: str = "cross_entropy"
    outlier_weight: float = 0.5
    options: dict[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def objective(self) -> Objective:
        """The objective itself.

        Raises:
            ConfigError: if the class is unknown or no objective, an option is unknown, or a value has the wrong type.
        """
        options = {"weight": self.outlier_weight} if self.name == "outlier_exposure" else {}
        options |= self.options
        if self.name in SHIPPED:
            return build(f"train.loss.options of {self.name}", SHIPPED[self.name], options)
        if "." not in self.name:
            raise ConfigError(
                f"train.loss.name: unknown {self.name}{did_you_mean(self.name, SHIPPED)}",
                hint=f"known are {', '.join(SHIPPED)}, and import paths of classes, as in my_package.MyLoss",
            )
        return build(f"train.loss {self.name}", Objective, {**options, "_target_": self.name})  # type: ignore[type-abstract]
