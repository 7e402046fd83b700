"""Deep ensembles and MC dropout on every shipped model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ood_bench.config import compose_settings, conf_dir
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Networks
from ood_bench.models.classifier import build_network
from ood_bench.scoring.stochastic import dropout_modules

MODELS = sorted(Path(path).stem for path in (conf_dir() / "model").glob("*.yaml"))
SAMPLED = {"lenet", "densenet_bc_100_12", "wrn_28_10", "wrn_40_2", "allconv"}


def networks_of(toys, name):
    node = compose_settings([f"model={name}"]).model
    plain = {key: value for key, value in node.items() if key != "variants"}
    return Networks(replace(toys.base_spec(), model=plain), node.get("variants") or {})


@pytest.mark.parametrize("name", MODELS)
def test_members_of_an_ensemble_differ_by_their_seed_only(name, toys):
    specs = toys.detector("deep_ensemble").networks(networks_of(toys, name))
    assert [spec.seed for spec in specs] == [0, 1, 2, 3, 4]
    assert len({spec.key for spec in specs}) == 5
    assert {spec.model["name"] for spec in specs} == {networks_of(toys, name).base.model["name"]}


@pytest.mark.parametrize("name", sorted(SAMPLED))
def test_dropout_variants_have_active_dropout(name, toys):
    (spec,) = toys.detector("mc_dropout").networks(networks_of(toys, name))
    with torch.device("meta"):
        network = build_network(spec.model, (1, 28, 28) if name == "lenet" else (3, 32, 32), 10)
    assert {module.p for module in dropout_modules(network)} <= {0.2, 0.3, 0.5}
    assert dropout_modules(network)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SAMPLED])
def test_models_without_dropout_say_so(name, toys):
    with pytest.raises(ConfigError, match=r"method mc_dropout: model \S+ has no variants\.mc_dropout in conf/model/"):
        toys.detector("mc_dropout").networks(networks_of(toys, name))
