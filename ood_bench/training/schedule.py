"""The learning rate over a training."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from ood_bench.utils.build import Strict

_FIRST = 1 / 25


@dataclass(frozen=True)
class ScheduleConfig(Strict):
    """Learning-rate schedule.

    Attributes:
        name: the rule, see :func:`learning_rate_factor`.
        gamma: factor of ``exponential`` and ``multistep``.
        milestones: epochs of ``multistep``, counted from 0.
        final_lr: where the rate of ``cosine``, ``linear`` and ``one_cycle`` ends.
        warmup: share of all epochs in which the rate of ``one_cycle`` rises.
    """

    name: Literal["constant", "exponential", "multistep", "cosine", "one_cycle", "linear"] = "constant"
    gamma: Annotated[float, Field(ge=0, le=1e30)] = 0.1
    milestones: list[int] = field(default_factory=list)
    final_lr: Annotated[float, Field(ge=0, le=1e30)] = 0.0
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.0

    def __post_init__(self) -> None:
        if (self.name == "one_cycle") != (0 < self.warmup < 1):
            raise ValueError(
                f"warmup is {self.warmup} with schedule {self.name}: one_cycle needs a share between 0 and 1, the "
                "others 0"
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
    done, floor = (epoch + progress) / epochs, schedule.final_lr / lr
    match schedule.name:
        case "exponential":
            return float(schedule.gamma**epoch)
        case "multistep":
            return float(schedule.gamma ** sum(epoch >= milestone for milestone in schedule.milestones))
        case "cosine":
            left = 0.5 * (1 + math.cos(math.pi * (epoch + progress) / epochs))
        case "linear":
            left = 1 - done
        case "one_cycle":
            if done < schedule.warmup:
                return _FIRST + (1 - _FIRST) * done / schedule.warmup
            return floor + (1 - floor) * (1 - done) / (1 - schedule.warmup)
        case "constant":
            return 1.0
    return floor + (1 - floor) * left
