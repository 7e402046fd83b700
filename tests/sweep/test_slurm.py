"""What needs no SLURM; ``tests/cluster`` has one."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.utils import JobReturn, JobStatus

from ood_bench.errors import ConfigError
from ood_bench.sweep import slurm
from ood_bench.sweep.hydra import error_of


class Job:
    """As submitit's, with a result that appears when the test says so."""

    def __init__(self, folder, job_id):
        self.job_id = job_id
        self.paths = SimpleNamespace(result_pickle=folder / f"{job_id}.pkl", stderr=folder / f"{job_id}.err")
        self.given = None

    def finish(self, given):
        self.given = given
        self.paths.result_pickle.touch()

    def result(self):
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


def completed():
    returned = JobReturn()
    returned.status, returned.return_value = JobStatus.COMPLETED, None
    return returned


@pytest.fixture
def jobs(tmp_path):
    return [Job(tmp_path, f"7_{number}") for number in range(3)]


def test_waits_for_each_to_end_however_it_ends(jobs):
    """One finishes, one is cancelled, one is queued again after it has vanished for a moment."""
    looks = [{"7_0", "7_1", "7_2"}, {"7_1"}, None, {"7_2"}, set(), set(), set()]
    asked, pauses = [], []

    def queue(arrays):
        asked.append(set(arrays))
        if len(asked) == 2:
            jobs[0].finish(completed())
        if len(asked) == 5:
            jobs[2].finish(completed())
        return looks[len(asked) - 1]

    slurm.wait(jobs, queue, pauses.append)
    assert asked == [{"7"}] * len(asked)
    assert len(asked) == 6  # the cancelled one is gone for good in three looks
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    slurm.wait(jobs, lambda _: {"7_0"} if len(pauses) < 40 else set(), pauses.append)
    assert max(pauses) == 10


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Puts a command of that name into the path."""

    def made(output, status=0, error=""):
        script = tmp_path / "squeue"
        script.write_text(f"#!/bin/sh\ncat <<'X'\n{output}\nX\necho '{error}' >&2\nexit {status}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return made


def test_reads_the_queue(squeue):
    squeue("7_0|7|0|RUNNING\n7_1|7|1|PENDING\n7_2|7|2|CANCELLED\n7_3|7|3|COMPLETING\n7_4|7|4|COMPLETED")
    assert slurm.in_queue(["7"]) == {"7_0", "7_1", "7_3"}
    squeue("9|9|N/A|RUNNING")
    assert slurm.in_queue(["9"]) == {"9"}


def test_a_job_that_slurm_has_forgotten_is_over(squeue):
    squeue("", 1, "slurm_load_jobs error: Invalid job id specified")
    assert slurm.in_queue(["7"]) == set()


def test_a_silent_controller_says_nothing_about_jobs(squeue):
    squeue("", 1, "slurm_load_jobs error: Unable to contact slurm controller")
    assert slurm.in_queue(["7"]) is None


def test_what_jobs_give_back(jobs):
    jobs[0].finish(completed())
    jobs[1].finish(RuntimeError("Traceback\nValueError: a bug"))
    assert error_of(slurm._returned(jobs[0])) is None
    assert str(error_of(slurm._returned(jobs[1]))) == "job 7_1: ValueError: a bug"
    lost = str(error_of(slurm._returned(jobs[2])))
    assert lost.startswith("job 7_2 ended without a result (killed, cancelled or out of memory): ")
    assert lost.endswith("7_2.err")


def test_without_submitit_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ConfigError, match=r"needs submitit: pip install '\.\[cluster\]'"):
        slurm.executor({"submitit_folder": "x", "max_num_timeout": 1})


def test_without_slurm_the_launcher_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r'hydra\.launcher: Could not detect "srun"'):
        slurm.executor({"submitit_folder": str(tmp_path / "logs"), "max_num_timeout": 1})
    assert list(Path(tmp_path).iterdir()) == []
