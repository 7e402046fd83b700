import math

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.training.objectives import OutlierExposure
from ood_bench.training.recipe import (
    Autocast,
    OptimizerName,
    Recipe,
    ScheduleConfig,
    ScheduleName,
    Start,
    learning_rate_factor,
    recipe_from,
)
from ood_bench.utils.files import content_key

LR = 0.3


def torch_rates(make_scheduler, steps):
    """Learning rates that torch's own scheduler gives, one a step of the scheduler."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def own_rates(schedule, epochs):
    return [LR * learning_rate_factor(schedule, LR, epochs, epoch, 0.5) for epoch in range(epochs)]


@pytest.mark.parametrize("gamma", [0.7, 1.0, 0.1])
def test_exponential_is_torchs(gamma):
    expected = torch_rates(lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma), 14)
    assert own_rates(ScheduleConfig(ScheduleName.exponential, gamma=gamma), 14) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("milestones", [[], [3, 7], [7, 3], [1], [2, 2], [0, 9], [20]])
def test_multistep_is_torchs(milestones):
    def make(optimizer):
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.2)

    found = own_rates(ScheduleConfig(ScheduleName.multistep, gamma=0.2, milestones=milestones), 10)
    assert found == pytest.approx(torch_rates(make, 10), rel=1e-12)


@pytest.mark.parametrize("final", [0.0, 1e-6, 0.1])
def test_cosine_is_torchs_taken_step_by_step(final):
    epochs, steps = 5, 8

    def make(optimizer):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps, eta_min=final)

    schedule = ScheduleConfig(ScheduleName.cosine, final_lr=final)
    found = [
        LR * learning_rate_factor(schedule, LR, epochs, epoch, step / steps)
        for epoch in range(epochs)
        for step in range(steps)
    ]
    assert found == pytest.approx(torch_rates(make, epochs * steps), rel=1e-9)
    assert found[0] == pytest.approx(LR)
    assert found[-1] < final + 0.01 * LR


@pytest.mark.parametrize("final", [0.0, 1e-4])
def test_linear_is_torchs_taken_step_by_step(final):
    epochs, steps = 5, 8

    def make(optimizer):
        return torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, final / LR, epochs * steps)

    schedule = ScheduleConfig(ScheduleName.linear, final_lr=final)
    found = [
        LR * learning_rate_factor(schedule, LR, epochs, epoch, step / steps)
        for epoch in range(epochs)
        for step in range(steps)
    ]
    assert found == pytest.approx(torch_rates(make, epochs * steps), rel=1e-9)


def test_constant_stays():
    assert own_rates(ScheduleConfig(ScheduleName.constant, gamma=0.1, milestones=[1]), 3) == [LR] * 3


def test_typed_values():
    recipe = recipe_from(
        {
            "name": "x",
            "optimizer": {"name": "adadelta"},
            "schedule": {"name": "cosine"},
            "loss": {"name": "outlier_exposure"},
            "outlier_batch_size": 4,
            "autocast": "bfloat16",
            "start": "classifier",
        }
    )
    assert isinstance(recipe, Recipe)
    assert recipe.optimizer.name is OptimizerName.adadelta
    assert recipe.schedule.name is ScheduleName.cosine
    assert recipe.objective == OutlierExposure(0.5)
    assert recipe.autocast is Autocast.bfloat16
    assert recipe.start is Start.classifier


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "mandatory value: name"),
        ({"epoch": 3}, r"Key 'epoch' not in 'Recipe' \(key: train\.epoch\)"),
        ({"optimizer": {"beta": 3}}, r"key: train\.optimizer\.beta"),
        ({"schedule": {"steps": [3]}}, r"key: train\.schedule\.steps"),
        ({"loss": {"weight": 1}}, r"key: train\.loss\.weight"),
        ({"epochs": "many"}, r"Value 'many'.*key: train\.epochs"),
        ({"epochs": 1.5}, r"key: train\.epochs"),
        ({"epochs": None}, r"train\.epochs"),
        ({"batch_size": [3]}, r"train\.batch_size"),
        ({"optimizer": {"lr": "fast"}}, r"key: train\.optimizer\.lr"),
        ({"optimizer": {"name": "adam"}}, r"Invalid value 'adam', expected one of \[sgd, adadelta\]"),
        ({"schedule": {"name": "stairs"}}, r"Invalid value 'stairs'.*exponential"),
        ({"schedule": {"milestones": [1.5]}}, r"train\.schedule\.milestones"),
        ({"schedule": {"milestones": 3}}, r"train\.schedule\.milestones"),
        (
            {"loss": {"name": "mse"}},
            r"train\.loss\.name: unknown mse; known are cross_entropy, outlier_exposure, margin_entropy",
        ),
        ({"loss": {"options": {"margin": 1}}}, r"train\.loss\.options of cross_entropy: margin"),
        ({"selection": "first"}, r"Invalid value 'first', expected one of \[last, msp_auroc\]"),
        ({"outlier_order": "sorted"}, r"Invalid value 'sorted', expected one of \[random, shuffled\]"),
        ({"loss": {"name": "margin_entropy"}}, r"margin_entropy needs train\.outlier_batch_size of at least 1"),
        ({"autocast": "float16"}, r"Invalid value 'float16', expected one of \[none, bfloat16\]"),
        ({"start": "yes"}, r"Invalid value 'yes'"),
        ({"compile": "maybe"}, r"key: train\.compile"),
        ({"augment": ["blur"]}, r"train\.augment: unknown blur"),
        ({"augment": "flip"}, r"train\.augment"),
        ({"epochs": 0}, r"epochs \(0\)"),
        ({"batch_size": 0}, r"batch_size \(0\)"),
        ({"optimizer": {"lr": 0}}, r"train\.optimizer\.lr is 0"),
        ({"optimizer": {"lr": -0.1}}, r"train\.optimizer\.lr is -0\.1"),
        ({"optimizer": {"lr": math.nan}}, r"train\.optimizer\.lr is nan"),
        ({"optimizer": {"lr": 1e39}}, r"train\.optimizer\.lr is 1e\+39"),
        ({"optimizer": {"momentum": -0.1}}, r"train\.optimizer\.momentum is -0\.1"),
        ({"optimizer": {"rho": 1.1}}, r"train\.optimizer\.rho is 1\.1"),
        ({"optimizer": {"eps": -1e-6}}, r"train\.optimizer\.eps"),
        ({"optimizer": {"weight_decay": -1}}, r"train\.optimizer\.weight_decay"),
        ({"optimizer": {"weight_decay": math.inf}}, r"train\.optimizer\.weight_decay is inf"),
        ({"optimizer": {"nesterov": True, "momentum": 0}}, r"nesterov=true needs train\.optimizer\.momentum above 0"),
        ({"schedule": {"gamma": -0.5}}, r"train\.schedule\.gamma is -0\.5"),
        ({"schedule": {"final_lr": math.nan}}, r"train\.schedule\.final_lr is nan"),
        ({"loss": {"name": "outlier_exposure"}}, r"needs train\.outlier_batch_size of at least 1"),
    ],
)
def test_what_cannot_work_is_refused_by_key(config, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from({"name": "x", **config} if config else {})


@pytest.mark.parametrize("name", [one.value for one in OptimizerName])
def test_bounds_let_everything_through_that_torch_takes(name):
    """The extremes that are allowed make an optimizer."""
    for optimizer in (
        {"momentum": 0.0, "weight_decay": 0.0, "rho": 0.0, "eps": 0.0},
        {"momentum": 1.0, "weight_decay": 1e30, "rho": 1.0, "eps": 1e30, "nesterov": True},
    ):
        made = recipe_from({"name": "x", "optimizer": {"name": name, **optimizer}}).optimizer
        assert made.weight_decay == optimizer["weight_decay"]


# Keys that came after the first trained classifiers: not part of their identity at the default.
LATER = {"outlier_order": "shuffled", "selection": "msp_auroc"}


def test_later_keys_are_part_of_the_identity_once_they_say_something():
    plain = recipe_from({"name": "a"}).identity()
    assert plain["loss"] == {"name": "cross_entropy", "outlier_weight": 0.5}
    for key, value in LATER.items():
        assert recipe_from({"name": "a", key: value}).identity() == {**plain, key: value}
    options = {"name": "margin_entropy", "options": {"margin": 0.3}}
    loss = recipe_from({"name": "a", "loss": options, "outlier_batch_size": 1}).identity()["loss"]
    assert loss == {**options, "outlier_weight": 0.5}


def test_identity_is_all_but_name_and_footnotes():
    plain = recipe_from({"name": "a"})
    assert recipe_from({"name": "b", "deviations": ["other"]}).identity() == plain.identity()
    assert set(plain.identity()) == set(vars(plain)) - {"name", "deviations", "compile_mode", *LATER}
    assert plain.identity()["optimizer"]["name"] == "sgd"


# Content keys of the identities when the first networks were trained: their artifacts are found by them.
FIRST_KEYS = {
    "featurenorm_resnet18": "396a6a8b4fca084f",
    "featurenorm_vgg11": "84c94c2b87a903ef",
    "featurenorm_wrn": "74bde70be070fb66",
    "fssd_lenet": "4247edb9e44d673a",
    "fssd_resnet34": "420f39871eb36b57",
    "odin_densenet": "41584e43641ff3d3",
    "odin_wrn": "34fb6794fe83b7c0",
    "quickstart": "59fa803d31a75c93",
    "resnet20": "086e24cfaf3ecda2",
}


@pytest.mark.parametrize("name", sorted(FIRST_KEYS))
def test_keys_of_the_first_recipes_stay(name):
    recipe = recipe_from(compose_settings([f"train={name}"]).train)
    assert content_key(recipe.identity()) == FIRST_KEYS[name]


def test_younger_options_count_only_where_they_are_used():
    """The key of a recipe that knew nothing of them stays."""
    plain = recipe_from({"name": "a"})
    assert set(plain.identity()["schedule"]) == {"name", "gamma", "milestones", "final_lr"}
    assert recipe_from({"name": "a", "compile_mode": "reduce_overhead"}).identity() == plain.identity()
    compiled = recipe_from({"name": "a", "compile": True, "compile_mode": "reduce_overhead"})
    assert compiled.identity() == {**plain.identity(), "compile": True, "compile_mode": "reduce_overhead"}
    assert recipe_from({"name": "a", "schedule": ONE_CYCLE}).identity()["schedule"]["warmup"] == 0.25


ONE_CYCLE = {"name": "one_cycle", "warmup": 0.25, "final_lr": 0.03}


def test_one_cycle_is_three_points_joined_by_lines():
    epochs, steps = 8, 5
    schedule = recipe_from({"name": "a", "schedule": ONE_CYCLE}).schedule
    places = [(epoch, step / steps) for epoch in range(epochs) for step in range(steps)]
    found = [LR * learning_rate_factor(schedule, LR, epochs, *place) for place in places]
    expected = np.interp([sum(place) for place in places], [0, 2, 8], [LR / 25, LR, 0.03])
    assert found == pytest.approx(expected.tolist(), rel=1e-12)
    assert max(found) == found[2 * steps] == LR


@pytest.mark.parametrize("schedule", [{"name": "one_cycle"}, {"name": "one_cycle", "warmup": 1}, {"warmup": 0.2}])
def test_warmup_and_one_cycle_go_together(schedule):
    with pytest.raises(ConfigError, match=r"train\.schedule\.warmup is .* one_cycle needs a share between 0 and 1"):
        recipe_from({"name": "a", "schedule": schedule})
