"""What a ``conf/train`` file may say, with types: how a classifier is trained, apart from its data and its seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ood_bench.errors import ConfigError
from ood_bench.training.augment import augmentations
from ood_bench.training.objectives import Objective, build_objective

_MOST = 1e30
_FIRST = 1 / 25


class OptimizerName(StrEnum):
    """Optimizers by the names of torch."""

    sgd = "sgd"
    adadelta = "adadelta"


class ScheduleName(StrEnum):
    """Rules for the learning rate; see :func:`learning_rate_factor`."""

    constant = "constant"
    exponential = "exponential"
    multistep = "multistep"
    cosine = "cosine"
    one_cycle = "one_cycle"
    linear = "linear"


class Decay(StrEnum):
    """What weight decay acts on; see :mod:`ood_bench.training.optim`.

    ``standard``: all parameters but those of the class similarities h of a generalized ODIN head. ``everything``: those
    too. ``kernels``: weights of convolutions and of linear layers, without those of the layer that classifies; no bias
    and no batch norm.
    """

    standard = "standard"
    everything = "everything"
    kernels = "kernels"


class StreamOrder(StrEnum):
    """How the second stream is drawn: with replacement, or shuffled anew whenever all of it was shown."""

    random = "random"
    shuffled = "shuffled"


class Selection(StrEnum):
    """Whose weights are kept: the last epoch's, or those of the best one; see :mod:`ood_bench.training.selection`."""

    last = "last"
    msp_auroc = "msp_auroc"


class Autocast(StrEnum):
    """Precision of the forward and backward pass; the weights stay float32."""

    none = "none"
    bfloat16 = "bfloat16"


class CompileMode(StrEnum):
    """Modes of ``torch.compile``; ``reduce_overhead`` replays CUDA graphs, ``max_autotune`` also times kernels."""

    default = "default"
    reduce_overhead = "reduce-overhead"
    max_autotune = "max-autotune"


class Start(StrEnum):
    """Where training starts: fresh weights, or the classifier of the plain recipe with the same seed."""

    scratch = "scratch"
    classifier = "classifier"


@dataclass
class OptimizerConfig:
    """Optimizer and its constants; ``decay`` says which parameters ``weight_decay`` acts on."""

    name: OptimizerName = OptimizerName.sgd
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    rho: float = 0.9
    eps: float = 1e-6
    decay: Decay = Decay.standard


@dataclass
class ScheduleConfig:
    """Learning-rate schedule; ``milestones`` are epochs counted from 0, ``final_lr`` where the rate ends.

    ``warmup`` is the share of all epochs in which the rate of one-cycle rises.
    """

    name: ScheduleName = ScheduleName.constant
    gamma: float = 0.1
    milestones: list[int] = field(default_factory=list)
    final_lr: float = 0.0
    warmup: float = 0.0


@dataclass
class LossConfig:
    """Objective: a name or an import path, see :mod:`ood_bench.training.objectives`, and its options.

    ``outlier_weight`` scales the outlier term of outlier exposure.
    """

    name: str = "cross_entropy"
    outlier_weight: float = 0.5
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Recipe:
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
        start: fresh weights or fine-tuning.
        selection: whose weights are kept.
        deviations: known differences from the paper's training, as footnotes of every table that uses it.
    """

    name: str = "???"
    epochs: int = 1
    batch_size: int = 64
    outlier_batch_size: int = 0
    outlier_order: StreamOrder = StreamOrder.random
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: list[str] = field(default_factory=list)
    autocast: Autocast = Autocast.none
    compile: bool = False
    compile_mode: CompileMode = CompileMode.default
    channels_last: bool = True
    start: Start = Start.scratch
    selection: Selection = Selection.last
    deviations: list[str] = field(default_factory=list)

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        options = {"weight": self.loss.outlier_weight} if self.loss.name == "outlier_exposure" else {}
        return build_objective(self.loss.name, {**options, **self.loss.options})

    def identity(self) -> dict[str, Any]:
        """Everything that changes the weights, for the artifact's key: all but the name and the footnotes.

        Options younger than the first keys count only where they are used, so that old keys stay.
        """
        whole = OmegaConf.to_container(OmegaConf.structured(self), enum_to_str=True)
        assert isinstance(whole, dict)  # noqa: S101 - a structured config is a mapping
        if self.optimizer.decay is Decay.standard:
            del whole["optimizer"]["decay"]
        if not self.compile or self.compile_mode is CompileMode.default:
            del whole["compile_mode"]
        if not self.schedule.warmup:
            del whole["schedule"]["warmup"]
        if not self.loss.options:
            del whole["loss"]["options"]
        if self.outlier_order is StreamOrder.random:
            del whole["outlier_order"]
        if self.selection is Selection.last:
            del whole["selection"]
        return {str(key): value for key, value in whole.items() if key not in ("name", "deviations")}


def recipe_from(config: Mapping[str, Any]) -> Recipe:
    """Checks the content of a ``conf/train`` file and gives it types.

    Raises:
        ConfigError: on an unknown key, a wrong type, or a value that cannot work.
    """
    try:
        recipe = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Recipe), config))
    except OmegaConfBaseException as error:
        raise ConfigError(f"train: {str(error).splitlines()[0]} (key: train.{error.full_key or ''})") from error
    assert isinstance(recipe, Recipe)  # noqa: S101 - what a structured config of Recipe becomes
    if recipe.epochs < 1 or recipe.batch_size < 1:
        raise ConfigError(f"train: epochs ({recipe.epochs}) and batch_size ({recipe.batch_size}) must be at least 1")
    _refuse_impossible(recipe.optimizer, recipe.schedule)
    augmentations(recipe.augment)
    if recipe.objective.streams > 1 and recipe.outlier_batch_size < 1:
        raise ConfigError(f"train.loss.name={recipe.loss.name} needs train.outlier_batch_size of at least 1")
    return recipe


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """A recipe with ``changes`` laid over it, mapping by mapping; they may bring a name, else it keeps its own.

    Raises:
        ConfigError: as :func:`recipe_from`.
    """
    return recipe_from(_merged({**recipe.identity(), "name": recipe.name}, changes))


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _refuse_impossible(optimizer: OptimizerConfig, schedule: ScheduleConfig) -> None:
    """Refuses constants that torch's optimizers would refuse later, or take and then do harm with."""
    if not 0 < optimizer.lr < _MOST:
        raise ConfigError(f"train.optimizer.lr is {optimizer.lr}: it must be above 0 and below {_MOST:g}")
    bounds = {
        "optimizer.momentum": (optimizer.momentum, 1.0),
        "optimizer.rho": (optimizer.rho, 1.0),
        "optimizer.weight_decay": (optimizer.weight_decay, _MOST),
        "optimizer.eps": (optimizer.eps, _MOST),
        "schedule.gamma": (schedule.gamma, _MOST),
        "schedule.final_lr": (schedule.final_lr, _MOST),
        "schedule.warmup": (schedule.warmup, 1.0),
    }
    for key, (value, most) in bounds.items():
        if not 0 <= value <= most:
            raise ConfigError(f"train.{key} is {value}: it must be from 0 to {most:g}")
    if optimizer.nesterov and optimizer.momentum == 0:
        raise ConfigError("train.optimizer.nesterov=true needs train.optimizer.momentum above 0")
    if (schedule.name is ScheduleName.one_cycle) != (0 < schedule.warmup < 1):
        raise ConfigError(
            f"train.schedule.warmup is {schedule.warmup} with schedule {schedule.name.value}: one_cycle needs a share "
            "between 0 and 1, the others 0"
        )


def learning_rate_factor(schedule: ScheduleConfig, lr: float, epochs: int, epoch: int, progress: float) -> float:
    """Factor on the learning rate.

    Args:
        schedule: the rule. ``exponential`` multiplies by gamma after every epoch, ``multistep`` at each milestone,
            ``cosine`` and ``linear`` go to ``final_lr`` step by step, ``one_cycle`` rises from a 25th to the full rate
            in the first ``warmup`` of all epochs and falls to ``final_lr``, both linearly (Smith and Topin, 2017).
        lr: the starting rate.
        epochs: epochs in all.
        epoch: current epoch, from 0.
        progress: share of the current epoch that is done, in [0, 1).
    """
    match schedule.name:
        case ScheduleName.exponential:
            return float(schedule.gamma**epoch)
        case ScheduleName.multistep:
            return float(schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
        case ScheduleName.cosine | ScheduleName.linear:
            done, floor = epoch + progress, schedule.final_lr / lr
            linear = schedule.name is ScheduleName.linear
            left = 1 - done / epochs if linear else 0.5 * (1 + math.cos(math.pi * done / epochs))
            return floor + (1 - floor) * left
        case ScheduleName.one_cycle:
            done, floor = (epoch + progress) / epochs, schedule.final_lr / lr
            if done < schedule.warmup:
                return _FIRST + (1 - _FIRST) * done / schedule.warmup
            return floor + (1 - floor) * (1 - done) / (1 - schedule.warmup)
        case _:
            return 1.0
