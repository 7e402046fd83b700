"""The sweep of methods by several definitions: its jobs are possible, and no definition is forgotten."""

import pytest

from ood_bench.config import compose_settings
from ood_bench.methods.base import build_detector
from ood_bench.methods.definitions import PROTOCOL, definitions
from ood_bench.papers.methods import methods
from ood_bench.utils.configs import options

WORDS = ["experiment=definitions"]


@pytest.fixture(scope="module")
def jobs():
    return [compose_settings([*own, *WORDS, "sweep=null"]) for own in compose_settings(WORDS).sweep.overrides()]


def test_each_job_scores_the_sets_of_the_sweep_of_post_hoc_methods(jobs):
    network = compose_settings(["experiment=posthoc", "sweep=null", "model=resnet20"])
    for settings in jobs:
        assert list(settings.ood) == list(network.ood)
        assert (settings.id["name"], settings.model) == (network.id["name"], network.model)
        assert settings.protocol["name"] == PROTOCOL


def test_every_definition_of_every_method_is_scored_once(jobs):
    nodes = [(name, node) for job in jobs for name, node in job.method.items()]
    found = sorted((name, node["definition"]) for name, node in nodes)
    posthoc = [name for name in options("method") if "networks of its own" not in methods()[name].needs]
    assert found == sorted((name, definition) for name in posthoc for definition in definitions(name))
    for name, node in nodes:
        shipped = node["definition"] == definitions(name)[0]
        assert build_detector(name, node).variant == ("" if shipped else f"as {node['definition']}")
