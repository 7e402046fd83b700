"""Every shipped config composes and fits."""

import copy
import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf
from shipped_runs import GODIN, PAPERS, WHOLE_RUNS, blocks, composed, whole_of

from ood_bench import papers
from ood_bench.config import compose_settings, settings_of
from ood_bench.methods.base import build_detector
from ood_bench.papers.block import load_blocks
from ood_bench.protocols.base import build_protocol
from ood_bench.training.recipe import recipe_from
from ood_bench.utils.configs import options

TESTS = Path(__file__).parent
MODULES = {
    "godin_port_baseline": "godin_port",
    **dict.fromkeys(GODIN, "godin"),
    **dict.fromkeys(("outlier_exposure_tune", "outlier_exposure_scratch"), "outlier_exposure"),
    **dict.fromkeys(("mahalanobis_plain", "mahalanobis_inputpre", "mahalanobis_ensemble"), "mahalanobis"),
    **dict.fromkeys(("selected_norm_msp", "selected_norm_energy"), "selected_norm"),
}
TESTED_TOGETHER = {"logitnorm": "retrained", "t2fnorm": "retrained"}


@pytest.mark.parametrize("name", options("model"))
def test_model(name):
    model = compose_settings([f"model={name}"]).model
    assert model["name"] == name or name in ("timm", "torchvision")
    target = get_class(model["_target_"])
    assert Path(importlib.import_module(target.__module__).__file__).parent.name == "models"
    for variant in model.get("variants", {}).values():
        assert variant["name"] != name
        get_class(variant["_target_"])


@pytest.fixture(scope="module")
def method_nodes():
    """The nodes of all methods, composed at once: one by one it would take fifty times as long."""
    return compose_settings([f"method=[{','.join(options('method'))}]"]).method


@pytest.mark.parametrize("name", options("method"))
def test_method(name, method_nodes):
    """``conf/method/odin.yaml`` leads to ``ood_bench/methods/odin.py`` and ``tests/methods/test_odin.py``.

    Where several files configure one class, their names begin with the module's.
    """
    detector = build_detector(name, method_nodes[name])
    module = MODULES.get(name, name)
    assert type(detector).__module__ == f"ood_bench.methods.{module}"
    assert (TESTS / "methods" / f"test_{TESTED_TOGETHER.get(module, module)}.py").is_file()


@pytest.mark.parametrize("name", options("protocol"))
def test_protocol(name):
    settings = compose_settings([f"protocol={name}"])
    protocol = build_protocol(settings.protocol, settings.tune.name)
    assert protocol.name == name
    assert type(protocol).__module__ == f"ood_bench.protocols.{name}"
    assert set(protocol.methods) | set(protocol.method_deviations) <= set(options("method"))


@pytest.mark.parametrize("name", options("tune"))
def test_tune(name):
    settings = compose_settings([f"tune={name}", "protocol=plain"])
    assert settings.tune.name == name
    assert build_protocol(settings.protocol, name).tune == name


CHANGED = ("method", "ood", "protocol")


def values(node, place=""):
    """Every value of nested mappings, by dotted key; a list is one value."""
    if not isinstance(node, Mapping):
        return {place: node}
    return {
        key: value for name, one in node.items() for key, value in values(one, f"{place}.{name}".lstrip(".")).items()
    }


@pytest.mark.parametrize("run", WHOLE_RUNS)
def test_overriding_a_value_that_the_run_changes_leaves_all_others(run):
    before = values(whole_of(run).model_dump())
    untouched = values(OmegaConf.to_container(composed(run), resolve=True))
    changed = [key for key, value in before.items() if untouched.get(key) != value and key.split(".")[0] in CHANGED]
    for key in changed[:: 1 + len(changed) // 3]:
        config = copy.deepcopy(composed(run))
        OmegaConf.update(config, key, "mine", force_add=True)
        after = values(settings_of(config, [run, f"++{key}=mine"]).model_dump())
        assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {key}
        assert after[key] == "mine"


@pytest.mark.parametrize("run", WHOLE_RUNS)
def test_every_part_of_a_whole_run_fits(run):
    settings = whole_of(run)
    protocol = build_protocol(settings.protocol, settings.tune.name)
    recipe_from(settings.train)
    for name, node in settings.method.items():
        protocol.check(name, build_detector(name, node))


@pytest.mark.parametrize("name", PAPERS)
def test_a_papers_block_is_what_the_paper_runs(name):
    settings, block = whole_of(f"paper={name}"), blocks()[name]
    selected = [node["name"] for node in settings.ood.values()]
    assert (block.model, block.id, block.protocol) == tuple(
        node["name"] for node in (settings.model, settings.id, settings.protocol)
    )
    assert set(block.methods) - set(block.published_only) == set(settings.method) - {"feature_norm_blocks"}
    assert set(block.scored) <= set(selected)
    assert not block.average_of or block.average_of == selected


def test_every_paper_is_documented():
    text = (TESTS.parent / "docs/papers.md").read_text(encoding="utf-8")
    assert [name for name in PAPERS if f"`{name}`" not in text] == []


def published_blocks():
    """Every (file, paper, table, model, ID set) of the five systems' published results."""
    columns = ["paper", "table", "model", "id_dataset"]
    files = ("eloc", "featurenorm", "fssd", "godin", "odin")
    found = {(csv, *one) for csv in files for one in papers.load(csv)[columns].itertuples(index=False)}
    return {block for block in found if block[2] != "selected_block"}  # which describes networks


def test_every_published_block_is_in_a_paper():
    named = {
        (one.csv, table, one.theirs(one.model), one.theirs(one.id)) for one in load_blocks() for table in one.tables
    }
    assert {block for block in published_blocks() if (block[0], *block[2:]) not in named} == set()
