"""The sweep for one GPU: its jobs are possible, and a rehearsal that was stopped goes on."""

import json
from pathlib import Path

import pytest

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError
from ood_bench.methods.base import build_detector
from ood_bench.protocols.base import build_protocol
from ood_bench.results import RecordStore
from ood_bench.runner.prepare import prepare
from ood_bench.store.__main__ import main as store_command
from ood_bench.training import trainer
from ood_bench.training.recipe import recipe_from
from ood_bench.utils.time_limit import OUT_OF_TIME, OutOfTime

NETWORKS = ("resnet18", "densenet_bc_100_12", "wrn_28_10")
TOY = Path("outputs/gpu_suite_toy")
LEFT_OUT = ("resnet18_odin", "resnet18", "densenet_odin", "densenet", "wrn")
SMALLER = ["ood=uniform", *(f"sweep.jobs.{job}=null" for job in LEFT_OUT)]


def jobs_of(experiment):
    """The settings of each of its jobs."""
    words = [f"experiment={experiment}"]
    listed = compose_settings(words).sweep.overrides()
    return [compose_settings([*own, *words, "sweep=null"]) for own in listed]


@pytest.fixture(scope="module")
def jobs():
    return {name: jobs_of(name) for name in ("gpu_suite", "gpu_suite_short")}


@pytest.mark.parametrize("experiment", ["gpu_suite", "gpu_suite_short"])
def test_each_network_has_odins_table_and_one_of_all_methods(jobs, experiment):
    chosen = jobs[experiment]
    assert [(one.model["name"], one.protocol["name"]) for one in chosen] == [
        (name, protocol) for name in NETWORKS for protocol in ("odin", "plain")
    ]
    for settings in chosen:
        protocol = build_protocol(settings.protocol, settings.tune.name)
        for name, node in settings.method.items():
            protocol.check(name, build_detector(name, node))
        assert settings.id["variant"] == "JPEG copy"
        assert recipe_from(settings.train).autocast == "bfloat16"
        assert ("feature_norm_blocks" in settings.method) == (
            settings.protocol["name"] == "plain" and settings.model["name"] != "densenet_bc_100_12"
        )


def test_odins_search_is_the_papers(jobs):
    odin, plain = jobs["gpu_suite"][:2]
    grid = build_detector("odin", odin.method["odin"]).grid()
    assert [setting["epsilon"] for setting in grid] == pytest.approx([0.0002 * step for step in range(21)], abs=1e-12)
    assert {setting["temperature"] for setting in grid} == {1000}
    assert (odin.tune.name, len(odin.ood), len(plain.ood)) == ("per_set", 4, 8)


def test_short_recipes_take_a_tenth_of_the_epochs_and_say_so(jobs):
    for whole, short in zip(*jobs.values(), strict=True):
        recipe = recipe_from(short.train)
        assert recipe.epochs * 10 == recipe_from(whole.train).epochs
        assert recipe.name.endswith("_short")
        assert any(f"short recipe of {recipe.epochs} epochs" in text for text in recipe.deviations)


def test_it_is_a_sweep_and_nothing_else():
    with pytest.raises(ConfigError, match="this is a sweep of 6 jobs: add -m"):
        prepare(compose_settings(["experiment=gpu_suite_toy"]))


def test_unknown_parts_are_refused():
    with pytest.raises(ConfigError, match=r"sweep\.parts lacks vgg"):
        compose_settings(["experiment=gpu_suite_toy", "sweep.jobs.wrn=[vgg]"])


def test_what_was_stopped_goes_on(tmp_path, monkeypatch, command_line, caplog):
    """One tiny network: stopped after its first epoch, then let go to the end."""
    monkeypatch.chdir(tmp_path)
    words = ["-m", "experiment=gpu_suite_toy", *SMALLER]

    def after_one_epoch(_seconds, what):
        if what.startswith("epoch 2"):
            raise OutOfTime(f"no time left for {what}")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "reserve", after_one_epoch)
        ended = command_line(*words)
    assert (ended.status, RecordStore(TOY / "results").load()) == (OUT_OF_TIME, [])
    assert "out of time: 1 job not finished" in ended.out
    ended = command_line(*words, "time_limit=600")
    assert ended.status == 0
    assert ended.out.endswith("sweep: 2 of 2 cells have a record")
    (card,) = (TOY / "store").rglob("classifier.json")
    assert len(json.loads(card.read_text())["history"]) == 2
    assert store_command(["speeds", "--store", str(TOY / "store"), "speeds.csv"]) == 0
    header, line = Path("speeds.csv").read_text().splitlines()
    speed = dict(zip(header.split(","), line.split(","), strict=True))
    assert (speed["model"], speed["recipe"], speed["epochs"], speed["compiled"]) == ("wrn_28_10", "odin_wrn", "2", "no")
    assert float(speed["images_per_second"]) > 0


def test_without_time_nothing_starts(tmp_path, monkeypatch, command_line):
    monkeypatch.chdir(tmp_path)
    ended = command_line("-m", "experiment=gpu_suite_toy", *SMALLER, "time_limit=0")
    assert ended.status == OUT_OF_TIME
    assert not list(Path().rglob("*.ckpt"))
