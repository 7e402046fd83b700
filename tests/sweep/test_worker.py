"""Worker processes of a sweep, without a sweep: a process that starts another one and is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import subprocess, sys
from ood_bench.sweep.worker import workers_end_with_me
with workers_end_with_me():
    subprocess.run([sys.executable, "-c", sys.argv[1]])
"""
WORKER = """
import os, pathlib, time
from ood_bench.sweep import worker
worker._LOOK = 0.05
with worker.ending_with_the_sweep():
    try:
        pathlib.Path("pid").write_text(str(os.getpid()))
        {job}
    except KeyboardInterrupt:
        pathlib.Path("interrupted").touch()
time.sleep(60)
"""


def wait_for(happened):
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("job", ["time.sleep(60)", "pass"], ids=["busy", "idle"])
def test_workers_end_when_the_sweep_is_killed(tmp_path, monkeypatch, number, job):
    monkeypatch.chdir(tmp_path)
    words = [sys.executable, "-c", PARENT, WORKER.format(job=job)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: Path("pid").is_file() and Path("pid").read_text())
    worker = int(Path("pid").read_text())
    assert alive(worker)
    parent.send_signal(number)
    assert parent.wait(60) == -number
    wait_for(lambda: not alive(worker))
    assert Path("interrupted").exists() == (job != "pass")
