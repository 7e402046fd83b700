import sys

import pytest

from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network


def test_without_the_library_the_error_names_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    model = {
        "_target_": "ood_bench.models.timm_model.TimmModel",
        "name": "timm_resnet18",
        "timm_name": "resnet18",
        "taps": {"pooled": "global_pool"},
        "penultimate": "pooled",
    }
    with pytest.raises(ConfigError, match=r"pip install 'ood-bench\[timm\]'"):
        build_network(model, (3, 32, 32), 10)
