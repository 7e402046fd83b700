import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from ood_bench.errors import ConfigError
from ood_bench.results import RecordStore
from ood_bench.suite import run as suite_run
from ood_bench.suite.run import UNFINISHED, Finished, main, run
from ood_bench.training import trainer
from ood_bench.utils.time_limit import OutOfTime

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stopped_and_continued(toy):
    """One tiny network: stopped after its first epoch, then again after its first job, then let go to the end."""
    plan, seen = toy(), []
    with pytest.MonkeyPatch.context() as patch:

        def after_one_epoch(_seconds, what):
            if what.startswith("epoch 2"):
                raise OutOfTime(what)

        patch.setattr(trainer, "reserve", after_one_epoch)
        seen.append((run(plan, 1e9), len(RecordStore(plan.results).load()), epochs(plan)))
    with pytest.MonkeyPatch.context() as patch:

        def before_the_second_job(_seconds, what):
            if "msp, odin, energy" in what:
                raise OutOfTime(what)

        patch.setattr(suite_run, "reserve", before_the_second_job)
        seen.append((run(plan, 1e9), len(RecordStore(plan.results).load()), epochs(plan)))
    seen.append((run(plan, 1e9), len(RecordStore(plan.results).load()), epochs(plan)))
    return plan, seen


def epochs(plan):
    """Epochs of all finished networks."""
    return [len(json.loads(path.read_text())["history"]) for path in plan.store.rglob("classifier.json")]


def test_it_goes_on_where_it_was_stopped(stopped_and_continued):
    _, seen = stopped_and_continued
    jobs_of_odin, all_methods, blocks = 2 * 2, 2 * 5, 2 * 3
    assert seen == [(UNFINISHED, 0, []), (UNFINISHED, jobs_of_odin, [2]), (0, jobs_of_odin + all_methods + blocks, [2])]


def test_a_finished_suite_does_nothing(stopped_and_continued, monkeypatch):
    plan, _ = stopped_and_continued
    monkeypatch.setattr(suite_run, "execute", lambda _: pytest.fail("a job ran again"))
    assert run(plan, 0) == 0
    assert all(job in Finished(plan.results) for job in plan.jobs())


def test_tables_and_speeds_come_last(stopped_and_continued, capsys):
    plan, _ = stopped_and_continued
    words = ["--toy", "--networks", "wrn_28_10", "--results", str(plan.results), "--store", str(plan.store)]
    assert main([*words, "--data", str(plan.data)]) == 0
    told = capsys.readouterr().out
    assert told.index("networks") < told.index("AUROC in percent")
    assert all(word in told for word in ("wrn_28_10", "odin_wrn", "feature_norm", "uniform", "gaussian"))
    (line,) = pd.read_csv(plan.results / "speeds.csv").to_dict("records")
    assert (line["model"], line["recipe"], line["epochs"], line["compiled"]) == ("wrn_28_10", "odin_wrn", 2, "no")
    assert line["images_per_second"] > 0


def test_one_failure_does_not_stop_the_others(toy, monkeypatch):
    plan, ran = toy(seeds=(0, 1)), []

    def execute(settings):
        ran.append(settings.seed)
        if settings.seed == [0]:
            raise ConfigError("no") if len(ran) % 2 else RuntimeError("out of memory")

    monkeypatch.setattr(suite_run, "execute", execute)
    assert run(plan, 1e9) == 1
    assert ran == [[0]] * 3 + [[1]] * 3
    ran.clear()
    assert run(plan, 1e9) == 1
    assert ran == [[0]] * 3


def test_without_time_nothing_starts(toy, monkeypatch):
    monkeypatch.setattr(suite_run, "execute", lambda _: pytest.fail("a job ran"))
    assert run(toy(), -1) == UNFINISHED


def test_wrong_words_are_one_line(tmp_path, caplog):
    assert main(["--toy", "--networks", "vgg", "--results", str(tmp_path)]) == 1
    assert "error: the suite has no network vgg" in caplog.text


def test_the_script_is_the_package(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "gpu_suite.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=True, timeout=300)
    assert "--toy" in done.stdout
    assert "75" in done.stdout
