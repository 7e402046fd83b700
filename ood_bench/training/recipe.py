"""What a ``conf/train`` file may say, with types: how a classifier is trained, apart from its data and its seed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, cast

from omegaconf import OmegaConf
from pydantic import Field

from ood_bench.training.augment import AugmentationName
from ood_bench.training.epoch import StreamOrder
from ood_bench.training.loss import LossConfig
from ood_bench.training.objectives import Objective
from ood_bench.training.optim import OptimizerConfig
from ood_bench.training.schedule import ScheduleConfig
from ood_bench.utils.build import Strict, build

Selection = Literal["last", "msp_auroc"]
"""Whose weights are kept: the last epoch's, or those of the best one; see :mod:`ood_bench.training.selection`."""
Autocast = Literal["none", "bfloat16"]
"""Precision of the forward and backward pass; the weights stay float32."""
CompileMode = Literal["default", "reduce_overhead", "max_autotune"]
"""Modes of ``torch.compile``; ``reduce_overhead`` replays CUDA graphs, ``max_autotune`` also times kernels."""
_Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Recipe(Strict):
    """How a classifier is trained.

    Attributes:
        name: name in records and tables.
        epochs: passes over the ID training set.
        batch_size: ID images a step.
        outlier_batch_size: images of the second stream a step, for losses that have one.
        outlier_order: how the second stream is drawn.
        augment: names from :mod:`ood_bench.training.augment`, applied in order.
        autocast: precision of the passes.
        compile: whether to run the network through ``torch.compile``.
        compile_mode: how, if so.
        channels_last: memory format of the passes.
        start: fresh weights, or those of the classifier of the plain recipe with the same seed.
        selection: whose weights are kept.
        deviations: known differences from the paper's training, as footnotes of every table that uses it.
    """

    name: str
    epochs: _Positive = 1
    batch_size: _Positive = 64
    outlier_batch_size: Annotated[int, Field(ge=0)] = 0
    outlier_order: StreamOrder = "random"
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: list[AugmentationName] = field(default_factory=list)
    autocast: Autocast = "none"
    compile: bool = False
    compile_mode: CompileMode = "default"
    channels_last: bool = True
    start: Literal["scratch", "classifier"] = "scratch"
    selection: Selection = "last"
    deviations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.objective.streams > 1 and self.outlier_batch_size < 1:
            raise ValueError(f"loss.name={self.loss.name} needs an outlier_batch_size of at least 1")

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return self.loss.objective

    def identity(self) -> dict[str, Any]:
        """Everything that changes the weights, for the artifact's key: all but the name and the footnotes.

        Options younger than the first keys count only where they are used, so that old keys stay.
        """
        whole = asdict(self)
        del whole["name"], whole["deviations"]
        if self.optimizer.decay == "standard":
            del whole["optimizer"]["decay"]
        if not self.compile or self.compile_mode == "default":
            del whole["compile_mode"]
        if not self.schedule.warmup:
            del whole["schedule"]["warmup"]
        if not self.loss.options:
            del whole["loss"]["options"]
        if self.outlier_order == "random":
            del whole["outlier_order"]
        if self.selection == "last":
            del whole["selection"]
        return whole


def recipe_from(config: Mapping[str, Any]) -> Recipe:
    """Checks the content of a ``conf/train`` file and gives it types.

    Raises:
        ConfigError: on an unknown key, a wrong type, or a value that cannot work.
    """
    return build("train", Recipe, config)


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with ``changes`` laid over it, mapping by mapping; they may bring a name, else it keeps its own.

    Raises:
        ConfigError: as :func:`recipe_from`.
    """
    parts: list[Any] = [recipe.identity() | {"name": recipe.name}, dict(changes)]
    merged = OmegaConf.merge(*parts)
    return recipe_from(cast(dict[str, Any], OmegaConf.to_container(merged)))
