"""The sweep of all post-hoc methods over published networks: its jobs are possible, and no method is forgotten."""

import pytest

from benchmarks.posthoc import posthoc_methods
from ood_bench.checkpoints.registry import registered
from ood_bench.config import compose_settings
from ood_bench.methods.base import build_detector
from ood_bench.protocols.base import build_protocol

WORDS = ["experiment=posthoc"]
JOBS = compose_settings(WORDS).sweep.overrides()


@pytest.mark.parametrize("own", JOBS, ids=[words[0] for words in JOBS])
def test_each_job_scores_eight_sets_by_methods_that_fit_the_protocol(own):
    settings = compose_settings([*own, *WORDS, "sweep=null"])
    assert len(settings.ood) == 8
    assert settings.id["name"] not in settings.ood
    network = registered()[settings.checkpoint.as_posix()]
    assert not network.normalisation.differs(settings.id["normalisation"])
    assert (network.id, network.model) == (settings.id["name"], (f"model={settings.model['name']}",))
    protocol = build_protocol(settings.protocol, settings.tune.name)
    for name, node in settings.method.items():
        protocol.check(name, build_detector(name, node))
    assert settings.method["nnguide"]["share"] == 0.1


def test_no_method_of_logits_and_features_is_forgotten():
    chosen = set(compose_settings([*JOBS[0], *WORDS, "sweep=null"]).method)
    assert set(posthoc_methods()) <= chosen
