import math
from dataclasses import asdict

import pytest

from ood_bench.errors import ConfigError
from ood_bench.training.recipe import changed, recipe_from


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "train: name: field required"),
        ({"epoch": 3}, r"train: epoch: unknown key \(did you mean epochs\?\) \(known keys: name, epochs,"),
        ({"optimizer": {"momentun": 3}}, r"optimizer\.momentun: unknown key \(did you mean optimizer\.momentum\?\)"),
        ({"epochs": 1.5}, r"epochs: .*valid integer"),
        ({"optimizer": {"name": "adam"}}, r"optimizer\.name: input should be 'sgd' or 'adadelta', is 'adam'"),
        (
            {"loss": {"name": "margin_entrpy"}},
            r"train\.loss\.name: unknown margin_entrpy \(did you mean margin_entropy\?\): known are cross_entropy, ",
        ),
        ({"loss": {"options": {"margin": 1}}}, r"train\.loss\.options of cross_entropy: margin"),
        ({"loss": {"name": "margin_entropy"}}, r"margin_entropy needs an outlier_batch_size of at least 1"),
        ({"augment": ["flip", "blur"]}, r"augment\.1: input should be 'flip'.*is 'blur'"),
        ({"epochs": 0}, r"epochs: input should be greater than or equal to 1, is 0"),
        ({"batch_size": 0}, r"batch_size: input should be greater than or equal to 1, is 0"),
        ({"optimizer": {"lr": 0}}, r"optimizer\.lr: input should be greater than 0, is 0"),
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
    ],
)
def test_what_cannot_work_is_refused_by_key(config, message):
    with pytest.raises(ConfigError, match=message):
        recipe_from({"name": "x", **config} if config else {})


def test_identity_is_all_but_name_and_footnotes():
    plain = recipe_from({"name": "a"})
    assert recipe_from({"name": "b", "deviations": ["other"]}).identity() == plain.identity()
    whole = asdict(plain)
    del whole["name"], whole["deviations"], whole["compile_mode"], whole["outlier_order"], whole["selection"]
    del whole["optimizer"]["decay"], whole["schedule"]["warmup"], whole["loss"]["options"]
    assert plain.identity() == whole


def test_younger_options_count_only_where_they_are_used():
    """The key of a recipe that knew nothing of them stays."""
    plain = recipe_from({"name": "a"})
    assert recipe_from({"name": "a", "compile_mode": "reduce_overhead"}).identity() == plain.identity()
    compiled = recipe_from({"name": "a", "compile": True, "compile_mode": "reduce_overhead"})
    assert compiled.identity() == {**plain.identity(), "compile": True, "compile_mode": "reduce_overhead"}
    assert recipe_from({"name": "a", "schedule": ONE_CYCLE}).identity()["schedule"]["warmup"] == 0.25
    assert recipe_from({"name": "a", "optimizer": {"decay": "kernels"}}).identity()["optimizer"]["decay"] == "kernels"
    for key, value in (("outlier_order", "shuffled"), ("selection", "msp_auroc")):
        assert recipe_from({"name": "a", key: value}).identity() == {**plain.identity(), key: value}
    options = {"name": "margin_entropy", "options": {"margin": 0.3}}
    loss = recipe_from({"name": "a", "loss": options, "outlier_batch_size": 1}).identity()["loss"]
    assert loss == {**options, "outlier_weight": 0.5}


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
