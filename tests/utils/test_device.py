import json
import os
import subprocess
import sys

import pytest
import torch

from ood_bench.errors import ConfigError
from ood_bench.utils.device import device_named, generators_of, threads


def test_devices_by_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_named("cpu") == device_named("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="torch finds 0 CUDA devices here"):
        device_named("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_named("auto") == torch.device("cuda")
    assert device_named("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="device=cuda:2"):
        device_named("cuda:2")


def test_only_the_generator_of_the_device_is_saved():
    assert generators_of(torch.device("cpu")) == []
    assert generators_of(torch.device("cuda:1")) == [torch.device("cuda:1")]


def test_threads_are_those_asked_for_and_restored():
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


MEASURE = """
import json, torch
from pathlib import Path
from ood_bench.utils.device import freed_memory_kept

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

found = {}
for device in ("cuda", "cpu"):
    before = resident()
    with freed_memory_kept(torch.device(device)):
        torch.ones(25 << 20)  # 100 MB, freed at once
        inside = resident()
    found[device] = inside - before, resident() - before
print(json.dumps(found))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory that glibc manages, as /proc shows it")
def test_freed_memory_stays_with_the_process_while_a_processor_trains():
    """In a new process, for in one that has worked before much memory is free in places that nobody knows."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", MEASURE], env=environment, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["cpu"] == [pytest.approx(100, abs=20), pytest.approx(0, abs=20)]
    assert found["cuda"] == [pytest.approx(0, abs=20), pytest.approx(0, abs=20)]
