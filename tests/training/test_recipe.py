import math

import pytest

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.training.objectives import OutlierExposure
from ood_bench.training.recipe import Recipe, changed, recipe_from
from ood_bench.utils.files import content_key


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
    assert recipe.optimizer.name == "adadelta"
    assert recipe.schedule.name == "cosine"
    assert recipe.objective == OutlierExposure(0.5)
    assert recipe.autocast == "bfloat16"
    assert recipe.start == "classifier"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "train: name: field required"),
        ({"epoch": 3}, r"train: epoch: unknown key \(did you mean epochs\?\) \(known keys: name, epochs,"),
        ({"optimizer": {"momentun": 3}}, r"optimizer\.momentun: unknown key \(did you mean momentum\?\)"),
        ({"schedule": {"steps": [3]}}, r"schedule\.steps: unknown key"),
        ({"loss": {"weight": 1}}, r"loss\.weight: unknown key"),
        ({"epochs": "many"}, r"epochs: .*valid integer.*is 'many'"),
        ({"epochs": 1.5}, r"epochs: .*valid integer"),
        ({"epochs": None}, r"epochs: .*valid integer"),
        ({"batch_size": [3]}, r"batch_size: .*valid integer"),
        ({"optimizer": {"lr": "fast"}}, r"optimizer\.lr: .*valid number"),
        ({"optimizer": {"name": "adam"}}, r"optimizer\.name: input should be 'sgd' or 'adadelta', is 'adam'"),
        ({"schedule": {"name": "stairs"}}, r"schedule\.name: .*'exponential'.*is 'stairs'"),
        ({"schedule": {"milestones": [1.5]}}, r"schedule\.milestones\.0: "),
        ({"schedule": {"milestones": 3}}, r"schedule\.milestones: .*valid list"),
        (
            {"loss": {"name": "margin_entrpy"}},
            r"train\.loss\.name: unknown margin_entrpy \(did you mean margin_entropy\?\): known are cross_entropy, ",
        ),
        ({"loss": {"options": {"margin": 1}}}, r"train\.loss\.options of cross_entropy: margin"),
        ({"selection": "first"}, r"selection: input should be 'last' or 'msp_auroc', is 'first'"),
        ({"outlier_order": "sorted"}, r"outlier_order: input should be 'random' or 'shuffled'"),
        ({"loss": {"name": "margin_entropy"}}, r"margin_entropy needs an outlier_batch_size of at least 1"),
        ({"autocast": "float16"}, r"autocast: input should be 'none' or 'bfloat16', is 'float16'"),
        ({"start": "yes"}, r"start: .*is 'yes'"),
        ({"compile": "maybe"}, r"compile: .*valid boolean"),
        ({"augment": ["flip", "blur"]}, r"augment\.1: input should be 'flip'.*is 'blur'"),
        ({"augment": "flip"}, r"augment: .*valid list"),
        ({"epochs": 0}, r"epochs: input should be greater than or equal to 1, is 0"),
        ({"batch_size": 0}, r"batch_size: input should be greater than or equal to 1, is 0"),
        ({"optimizer": {"lr": 0}}, r"optimizer\.lr: input should be greater than 0, is 0"),
        ({"optimizer": {"lr": -0.1}}, r"optimizer\.lr: .*is -0\.1"),
        ({"optimizer": {"lr": math.nan}}, r"optimizer\.lr: .*finite number, is nan"),
        ({"optimizer": {"lr": 1e39}}, r"optimizer\.lr: .*is 1e\+39"),
        ({"optimizer": {"momentum": -0.1}}, r"optimizer\.momentum: .*is -0\.1"),
        ({"optimizer": {"rho": 1.1}}, r"optimizer\.rho: .*is 1\.1"),
        ({"optimizer": {"eps": -1e-6}}, r"optimizer\.eps"),
        ({"optimizer": {"weight_decay": -1}}, r"optimizer\.weight_decay"),
        ({"optimizer": {"weight_decay": math.inf}}, r"optimizer\.weight_decay: .*finite number, is inf"),
        ({"optimizer": {"nesterov": True, "momentum": 0}}, r"optimizer: nesterov=true needs a momentum above 0"),
        ({"schedule": {"gamma": -0.5}}, r"schedule\.gamma: .*is -0\.5"),
        ({"schedule": {"final_lr": math.nan}}, r"schedule\.final_lr: .*is nan"),
        ({"loss": {"name": "outlier_exposure"}}, r"needs an outlier_batch_size of at least 1"),
    ],
)
def test_what_cannot_work_is_refused_by_key(config, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from({"name": "x", **config} if config else {})


@pytest.mark.parametrize("name", ["sgd", "adadelta"])
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


@pytest.mark.parametrize("schedule", [{"name": "one_cycle"}, {"name": "one_cycle", "warmup": 1}, {"warmup": 0.2}])
def test_warmup_and_one_cycle_go_together(schedule):
    with pytest.raises(ConfigError, match=r"train: schedule: warmup is .* one_cycle needs a share between 0 and 1"):
        recipe_from({"name": "a", "schedule": schedule})


def test_changes_are_laid_over_a_recipe_mapping_by_mapping():
    plain = recipe_from({"name": "a", "epochs": 3, "optimizer": {"lr": 0.5, "momentum": 0.7}})
    found = changed(plain, {"optimizer": {"lr": 0.25}})
    assert (found.name, found.epochs) == ("a", 3)
    assert (found.optimizer.lr, found.optimizer.momentum) == (0.25, 0.7)
    assert changed(plain, {"name": "b"}).name == "b"
