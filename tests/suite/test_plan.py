from pathlib import Path

import pytest

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.methods.base import build_detector
from ood_bench.protocols.base import build_protocol
from ood_bench.suite.plan import _LARGE, _SMALL, NETWORKS, Plan
from ood_bench.training.recipe import recipe_from


def real(folder, networks=tuple(NETWORKS), seeds=(0,), **options):
    return Plan(networks, seeds, data=folder, store=folder, results=folder, **options)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """All jobs of a plan whose every set is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "_there", lambda _, names: list(names))
        return real(tmp_path_factory.mktemp("data"), seeds=(0, 1)).jobs()


def test_what_there_is_for_each_network_and_seed(jobs):
    """Every kind of job composes and is possible."""
    tables = [job for job in jobs if "FeatureNorm of" not in job.title]
    assert [job.title.split(":")[0] for job in tables] == [
        f"{name}, seed {seed}" for seed in (0, 1) for name in NETWORKS for _ in ("odin", "plain")
    ]
    chosen = [compose_settings(job.overrides) for job in tables[:6]]
    assert [(one.model["name"], one.protocol["name"]) for one in chosen] == [
        (name, protocol) for name in NETWORKS for protocol in ("odin", "plain")
    ]
    for settings in chosen:
        protocol = build_protocol(settings.protocol, settings.tune.name)
        for name, node in settings.method.items():
            protocol.check(name, build_detector(name, node))
        assert settings.id["variant"] == "JPEG copy"
        recipe = recipe_from(settings.train)
        assert (recipe.name, recipe.compile) == (NETWORKS[settings.model["name"]].recipe, False)
        assert recipe.autocast == "bfloat16"
    odin, plain = chosen[:2]
    assert (list(odin.ood), list(odin.method), odin.tune.name) == (list(_LARGE), ["msp", "odin"], "per_set")
    grid = build_detector("odin", odin.method["odin"]).grid()
    assert [setting["epsilon"] for setting in grid] == pytest.approx([0.0002 * step for step in range(21)], abs=1e-12)
    assert {setting["temperature"] for setting in grid} == {1000}
    assert list(plain.ood) == [*_LARGE, *_SMALL]
    assert "feature_norm" in plain.method


def test_featurenorm_of_every_block_is_one_job(jobs):
    swept = [job.overrides for job in jobs if {"method=feature_norm_blocks", "seed=0"} <= set(job.overrides)]
    models = [one for overrides in swept for one in overrides if one.startswith("model=")]
    assert models == ["model=resnet18", "model=wrn_28_10"]


def test_keys_tell_jobs_apart(jobs):
    assert len({job.key for job in jobs}) == len({job.title for job in jobs}) == len(jobs)


def test_recipes_and_compilation_are_choices(tmp_path):
    plan = real(tmp_path, ("densenet_bc_100_12",), short=True, compile="reduce_overhead")
    recipe = recipe_from(compose_settings(plan.jobs()[0].overrides).train)
    assert (recipe.name, recipe.compile) == ("densenet_short", True)
    assert recipe.compile_mode == "reduce_overhead"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_short_recipes_take_a_tenth_of_the_epochs_and_say_so(name):
    network = NETWORKS[name]
    whole, short = (
        recipe_from(compose_settings([f"train={recipe}"]).train) for recipe in (network.recipe, network.short)
    )
    assert short.epochs * 10 == whole.epochs
    assert short.name.endswith("_short")
    assert any(f"short recipe of {short.epochs} epochs" in text for text in short.deviations)


def test_sets_that_are_not_there_are_left_out(tmp_path):
    plan = real(tmp_path, ("densenet_bc_100_12",))
    assert plan.missing() == ["tin_crop_rebuilt", "tin_resize_rebuilt", *_SMALL]
    assert {one for job in plan.jobs() for one in job.overrides if one.startswith("ood=")} == {"ood=[uniform,gaussian]"}


def test_an_unknown_network_is_refused():
    with pytest.raises(ConfigError, match="the suite has no network resnet19; it has resnet18, densenet_bc_100_12"):
        Plan(("resnet18", "resnet19"), (0,), Path("a"), Path("b"), Path("c"))
