import pytest

import ood_bench
from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError, OodBenchError
from ood_bench.sweep import manifest
from ood_bench.sweep.run import conduct


def one_by_one(words):
    """What a launcher does: runs every job, whatever becomes of it."""
    said = []
    for one in words:
        try:
            ood_bench.run(one)
            said.append("")
        except OodBenchError as error:
            said.append(str(error))
    return said


@pytest.fixture
def sweep(toy, capsys):
    """Conducts a sweep over seeds; gives whether it is complete, and what it said."""

    def made(*varied, words=("method=msp",), launch=one_by_one):
        done = conduct([[*toy, *words, one] for one in varied], compose_settings, launch, 1)
        return done, " ".join(capsys.readouterr().out.split())

    return made


def test_it_runs_what_is_missing(sweep, store):
    done, said = sweep("seed=0", "seed=1")
    assert done
    assert "plan: 2 jobs with 2 cells; 0 cells are done, 2 to compute" in said
    assert said.endswith("sweep: 2 of 2 cells have a record")
    ((_, plan),) = manifest.load_all(store)
    assert [job["place"] for job in plan["jobs"]] == [0, 1]
    launched = []
    done, said = sweep("seed=0", "seed=1", "seed=2", launch=lambda jobs: launched.extend(jobs) or one_by_one(jobs))
    assert done
    assert [words[-1] for words in launched] == ["seed=2"]


def test_a_dry_run_starts_nothing(sweep, store):
    def launch(_words):
        raise AssertionError("nothing must be launched")

    done, said = sweep("seed=0", "seed=1", words=["method=msp", "dry_run=true"], launch=launch)
    assert done
    assert "2 to train, 0 of them for several jobs" in said
    assert "jobs in the order in which they start: 0 experiment=quickstart" in said
    assert "nothing is known yet of 4 cells and classifiers" in said
    assert "dry_run" not in said
    assert not manifest.folder(store).exists()


def test_a_failed_job_stops_no_other_and_is_named(sweep, toy):
    done, said = sweep("train.optimizer.lr=1e29", "train.optimizer.lr=0.01", words=["method=msp", "train.epochs=2"])
    assert not done
    assert "sweep: 1 of 2 cells have a record" in said
    assert said.count("failed: ") == 1
    assert "failed: msp on uniform, seed 0: loss or weights of lenet-digits" in said
    assert f"python -m ood_bench {' '.join(toy)} method=msp train.epochs=2 train.optimizer.lr=1e29" in said
    assert "the same sweep again computes all that is missing, and nothing else" in said


def test_a_job_that_ends_without_a_word_is_named(sweep):
    done, said = sweep("seed=0", launch=lambda jobs: [""] * len(jobs))
    assert not done
    assert "failed: msp on uniform, seed 0: its job ended without a word (killed, cancelled or out of memory)" in said


def test_what_would_be_refused_is_refused_before_anything_starts(sweep):
    with pytest.raises(
        ConfigError, match=r"(?s)train: epochs \(-1\).*\(job: .* train\.epochs=-1; nothing of the sweep was started\)"
    ):
        sweep("train.epochs=1", "train.epochs=-1")


def test_a_launcher_that_gives_up_is_called_again_while_that_helps(sweep):
    """As joblib does when one of its workers is killed."""
    calls = []

    def launch(words):
        calls.append(len(words))
        one_by_one(words[:1])
        raise RuntimeError("a worker was killed")

    done, _ = sweep("seed=0", "seed=1", "seed=2", launch=launch)
    assert done
    assert calls == [3, 2, 1]


def test_a_launcher_that_gives_up_for_good(sweep):
    def launch(_words):
        raise RuntimeError("no queue")

    done, said = sweep("seed=0", launch=launch)
    assert not done
    assert "failed: msp on uniform, seed 0: the launcher gave up: RuntimeError: no queue" in said
