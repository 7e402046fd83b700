"""Torchvision and timm take seconds to import: only what uses them may do so."""

from pathlib import Path

LOOK = """
import sys
from pathlib import Path
from hydra.experimental.callback import Callback
from ood_bench.data.catalogue import entries

class Look(Callback):
    def on_job_end(self, config, **_):
        for entry in entries():
            entry.source.missing(Path("data")), entry.source.origin()
        Path("modules").write_text(" ".join(sys.modules))
"""


def test_a_run_on_digits_imports_neither(quick, forked):
    Path("look.py").write_text(LOOK)
    forked.start(*quick, "+hydra.callbacks.look._target_=look.Look")
    ended = forked.end()
    assert ended.status == 0, ended.said
    modules = set(Path("modules").read_text().split())
    assert "ood_bench.data.catalogue" in modules
    assert not modules & {"torchvision", "timm"}
