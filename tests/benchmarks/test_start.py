import os
import sys

import ood_bench
from benchmarks.start import start


def test_a_run_imports_no_large_library_before_its_first_image(quick, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    ood_bench.run(quick)
    found = start([*quick, "method=mahalanobis"], os.getcwd())
    assert {"torch", "ood_bench.scoring.passes", "ood_bench.methods.mahalanobis"} <= found.modules
    large = {"sklearn", "pandas", "matplotlib", "scipy", "torchvision", "timm", "triton", "openvino", "jinja2"}
    assert large & found.modules == set()
    assert found.beyond > 0
