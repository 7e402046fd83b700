import copy
import math
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from ood_bench.config import (
    compose_settings,
    settings_of,
)
from ood_bench.errors import ConfigError
from ood_bench.utils import compose as composing
from ood_bench.utils.configs import conf_dir, default_data_root

SMALL = ["model=lenet", "id=digits", "ood=uniform", "method=msp", "train=quickstart"]


def test_the_default_is_the_headline_of_the_odin_paper():
    settings = compose_settings([])
    assert (settings.model["name"], settings.id["name"]) == ("densenet_bc_100_12", "cifar10")
    assert list(settings.ood) == ["lsun_crop"]
    assert settings.method["odin"]["temperatures"] == [1000]
    assert settings.seed == [0]
    assert (settings.paper, settings.checkpoint) == (None, None)
    assert settings.store.root == settings.data.root / "store"


def test_the_data_root_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("OOD_BENCH_DATA", "/somewhere/else")
    assert compose_settings([]).data.root == Path("/somewhere/else")
    assert compose_settings([]).store.root == Path("/somewhere/else/store")
    assert compose_settings(["data.root=/x"]).store.root == Path("/x/store")
    assert default_data_root() == "/somewhere/else"
    monkeypatch.delenv("OOD_BENCH_DATA")
    assert compose_settings([]).data.root == Path(default_data_root()) == Path("data")


@pytest.mark.parametrize(
    ("override", "names"),
    [("ood=mnist", ["mnist"]), ("ood=[mnist]", ["mnist"]), ("ood=[mnist,kmnist]", ["mnist", "kmnist"])],
)
def test_one_ood_set_or_several(override, names):
    settings = compose_settings([override])
    assert list(settings.ood) == names
    assert [node["name"] for node in settings.ood.values()] == names


@pytest.mark.parametrize(("override", "seeds"), [("seed=3", [3]), ("seed=[3]", [3]), ("seed=[0,1,4]", [0, 1, 4])])
def test_one_seed_or_several(override, seeds):
    assert compose_settings([override]).seed == seeds


def test_settings_of_one_set_leave_the_others_alone():
    settings = compose_settings(["ood=[uniform,gaussian]", "ood.uniform.source.count=7"])
    assert settings.ood["uniform"]["source"]["count"] == 7
    assert settings.ood["gaussian"]["source"]["count"] == 10_000
    assert settings.ood["gaussian"]["source"]["shape"] == [3, 32, 32]


def magnitudes(*overrides):
    return compose_settings([*SMALL, *overrides]).method["odin"]["magnitudes"]


FSSD = compose_settings([*SMALL, "protocol=fssd"]).protocol["methods"]["odin"]["magnitudes"]


def test_the_protocol_beats_the_methods_own_file():
    assert len(FSSD) == 22
    assert magnitudes("method=odin") == [0.0014]
    assert magnitudes("method=odin", "protocol=fssd") == FSSD
    assert compose_settings([*SMALL, "method=fssd", "protocol=fssd"]).method["fssd"]["gradient_batch"] == 512


@pytest.mark.parametrize("selection", ["method=odin", "method=[msp,odin,fssd]"])
@pytest.mark.parametrize("base", ["protocol=fssd", "experiment=quickstart", "paper=fssd_fashionmnist"])
def test_the_command_line_beats_protocol_paper_and_experiment(base, selection):
    assert magnitudes(base, selection) == ([0.01] if base == "experiment=quickstart" else FSSD)
    assert magnitudes(base, selection, "method.odin.magnitudes=[0.0]") == [0.0]
    assert magnitudes("++method.odin.magnitudes=[0.5]", selection, base) == [0.5]


def odin(*overrides):
    node = compose_settings([*SMALL, "method=odin", "protocol=fssd", *overrides]).method["odin"]
    return node["magnitudes"], node.get("temperatures")


def test_a_key_of_the_command_line_keeps_only_itself():
    temperatures = odin()[1]
    assert odin("method.odin.temperatures=[7]") == (FSSD, [7])
    assert odin("method.odin={temperatures: [7]}") == (FSSD, [7])
    assert odin("~method.odin.temperatures") == (FSSD, None)
    assert odin("method.odin.magnitudes.0=9") == ([9, *FSSD[1:]], temperatures)
    assert odin("+method.odin.magnitudes_old=1") == (FSSD, temperatures)


def test_a_node_whose_name_begins_alike_is_another():
    changes = ["+adapt.ood.cifar10.variant=changed", "+adapt.ood.cifar100.variant=changed"]
    settings = compose_settings(["ood=[cifar10,cifar100]", *changes, "ood.cifar10={variant:mine}"])
    assert settings.ood["cifar10"]["variant"] == "mine"
    assert settings.ood["cifar100"]["variant"] == "changed"


def test_a_key_below_a_mapping_that_a_paper_changes_leaves_the_rest_of_it():
    paper = "paper=odin_densenet_cifar10"
    epsilons = compose_settings([paper]).protocol["epsilons"]
    assert len(epsilons) == 7
    found = compose_settings([paper, "+protocol.epsilons.lsun_crop=0.001"]).protocol["epsilons"]
    assert found == {**epsilons, "lsun_crop": 0.001}


def outliers(*overrides):
    return compose_settings(["experiment=quickstart", *overrides]).method["outlier_exposure"]["outliers"]


def test_outliers_that_an_experiment_changes_are_changed_further_or_replaced():
    assert outliers("method.outlier_exposure.outliers.variant=mine") == {**outliers(), "variant": "mine"}
    noise = compose_settings(["experiment=quickstart", "ood=uniform"]).ood["uniform"]
    found = outliers("ood@method.outlier_exposure.outliers=uniform")
    assert found == {**noise, "source": {**noise["source"], "count": 10_000}}


def test_the_protocols_own_values_can_be_changed():
    assert magnitudes("method=odin", "protocol=fssd", "protocol.methods.odin.magnitudes=[0.25]") == [0.25]


def test_an_experiments_changes_reach_selected_nodes_only():
    settings = compose_settings(["experiment=quickstart", "ood=gaussian", "method=msp"])
    assert settings.ood["gaussian"]["source"]["count"] == 1000
    assert settings.ood["gaussian"]["source"]["shape"] == [1, 8, 8]
    assert list(settings.ood) == ["gaussian"]
    assert list(settings.method) == ["msp"]
    assert "adapt" not in settings.model_dump()


def test_an_experiment_beats_the_protocol():
    assert magnitudes("experiment=quickstart", "protocol=fssd", "method=odin") == [0.01]


def test_a_dotted_key_changes_one_value_and_leaves_its_neighbours():
    before = compose_settings(["ood=lsun_crop"]).ood["lsun_crop"]
    words = ["+adapt.ood.lsun_crop={source.resize: squash, source.size: 32}", "ood.lsun_crop.source.size=16"]
    after = compose_settings(["ood=lsun_crop", *words]).ood["lsun_crop"]
    assert after["source"] == before["source"] | {"resize": "squash", "size": 16}
    assert after | {"source": None} == before | {"source": None}


@pytest.mark.parametrize("element", ["9", "x", "x.y"])
def test_an_element_that_a_list_does_not_have_is_refused(element):
    with pytest.raises(ConfigError, match=rf"method\.odin\.temperatures\.{element}: its list has no such element"):
        compose_settings(["method=odin", f"+adapt.method.odin={{temperatures.{element}: 3}}"])
    changed = compose_settings(["method=odin", "+adapt.method.odin={temperatures.0: 3}"])
    assert changed.method["odin"]["temperatures"] == [3]


def test_a_papers_changes_reach_the_protocol_of_that_name_only():
    words = ["+adapt.protocol.odin={skip: 5, stop: 50}", "protocol.stop=60"]
    odin = compose_settings(["protocol=odin", *words]).protocol
    assert (odin["skip"], odin["stop"]) == (5, 60)
    assert "skip" not in compose_settings(["protocol=plain", words[0]]).protocol


REFUSED_OVERRIDES = [
    ("foo=1", "there is no key 'foo'"),
    ("+foo=1", r"foo: unknown key"),
    ("method=nope", "there is no method 'nope'; ood-bench list method shows all"),
    ("method=odni", r"there is no method 'odni' \(did you mean odin\?\)"),
    ("ood=[uniform,minst]", r"there is no ood 'minst' \(did you mean mnist\?\)"),
    ("methd=odin", r"there is no key 'methd' \(did you mean method\?\)"),
    ("train.optimzer.lr=1", r"there is no key 'train\.optimzer' \(did you mean train\.optimizer\?\)"),
    ("experiment=nope", "there is no experiment 'nope'.*quickstart"),
    ("ood=[uniform,nope]", "there is no ood 'nope'"),
    ("method.msp.foo=1", r"there is no key 'method\.msp\.foo'"),
    ("ood.mnist.source.kind=x", r"ood\.mnist has a setting, but is not selected: choose ood=mnist"),
    ("+ood.name=mine", r"ood\.name is 'mine', where a mapping .*`# @package ood\.NAME`"),
    ("tune=null", r"tune=null: a group cannot be null: leave it out, or choose an option"),
    ("~method", r"no method is selected: choose one or more, as in method=msp or 'method=\[msp,odin\]'"),
    ("method=[]", r"no method is selected"),
    ("~ood", r"no ood is selected: choose one or more, as in ood=mnist"),
    ("~model", r"model: field required$"),
    ("seed=[0", r"no viable alternative at input '\[0'"),
    ("train.optimizer.lr=nan", r"train\.optimizer\.lr is nan: it must be a finite number"),
]


@pytest.mark.parametrize(("override", "message"), REFUSED_OVERRIDES, ids=[one for one, _ in REFUSED_OVERRIDES])
def test_overrides_that_are_refused(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        compose_settings([*SMALL, override])
    assert str(caught.value).startswith("configuration: ")
    assert len(str(caught.value)) < 700


@pytest.fixture(scope="module")
def composed():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=SMALL)


def changed(composed, key, value):
    config = copy.deepcopy(composed)
    OmegaConf.update(config, key, value, merge=False, force_add=True)
    return settings_of(config)


def test_the_unchanged_config_is_fine(composed):
    assert changed(composed, "seed", 0) == compose_settings(SMALL)


REFUSED = [
    ("data.foo", 1, r"data\.foo: unknown key"),
    ("seed", -1, r"seed\.0: .*greater than or equal to 0, is -1"),
    ("seed", 10**20, r"seed\.0: .*less than 4294967296"),
    ("seed", True, "seed: it takes whole numbers, not True: write seed=3"),
    ("seed", [], r"seed: .*at least 1 item"),
    ("device", "gpu", "device: there is no .gpu.: choose auto, cpu"),
    ("scoring.resamples", -1, r"scoring\.resamples: .*is -1"),
    ("scoring.shards", 0, r"scoring\.shards: .*greater than 0"),
    ("scoring.shard", 0, r"scoring: shard=0 is a part of nothing: say of how many, as in scoring\.shards=4"),
    ("scoring", {"batch_size": 0, "resamples": 0, "shards": 4, "shard": 4}, r"shard=4: those of shards=4 are 0 to 3"),
    ("scoring.details", "some", r"scoring\.details: .*'new', 'all' or 'none'"),
    ("store.root", "${nope}", r"Interpolation key 'nope' not found \(key: store\.root\)"),
    ("ood.uniform.source.shape", [1, "${a.b}"], r"'a\.b' not found \(key: ood\.uniform\.source\.shape\[1\]\)"),
    ("results.root", "???", r"[Mm]issing mandatory value.*results\.root"),
    ("results.root", "${oc.env:OOD_BENCH_NOT_SET}", r"OOD_BENCH_NOT_SET' not found.*key: results\.root"),
    ("protocol", None, r"protocol is None, which is no mapping"),
    ("method.msp", 3, r"method\.msp is 3, where a mapping"),
    ("adapt", None, r"adapt is None"),
    ("adapt.ood.uniform", 3, r"adapt: ood\.uniform: .*is 3"),
    ("adapt.model.name", "x", r"adapt: model: unknown key"),
    ("protocol.methods", 3, r"protocol\.methods: method: .*is 3"),
    ("id.normalisation.std", [math.inf], r"id\.normalisation\.std\.0 is inf: it must be a finite number"),
    ("method.msp.x", {"a": [1, -math.inf]}, r"method\.msp\.x\.a\.1 is -inf"),
    ("model.name", "a/b", r"model\.name is 'a/b': it needs letters"),
    ("id.name", None, r"id\.name is None"),
    ("ood.uniform.name", 7, r"ood\.uniform\.name is 7"),
    ("model._target_", 3, r"model\._target_ is 3: it needs the import path of a class"),
    ("protocol._target_", "", r"protocol\._target_ is ''"),
]


@pytest.mark.parametrize(("key", "value", "message"), REFUSED, ids=[f"{key}={value}" for key, value, _ in REFUSED])
def test_values_that_are_refused_by_their_place(composed, key, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        changed(composed, key, value)
    assert str(caught.value).startswith("configuration: ")
    assert len(str(caught.value)) < 300


def test_several_faults_are_said_at_once():
    with pytest.raises(ConfigError) as caught:
        compose_settings([*SMALL, "device=gpu", "scoring.resamples=-1", "seed=-1"])
    for place in ("device:", "scoring.resamples:", "seed.0:"):
        assert place in str(caught.value)


def test_composing_does_not_mind_an_initialised_hydra():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert compose_settings(SMALL).model["name"] == "lenet"
    assert compose_settings(SMALL) == compose_settings(SMALL)


def test_settings_of_takes_a_bare_config():
    with pytest.raises(ConfigError, match=r"Interpolation key 'b' not found \(key: a\)"):
        settings_of(OmegaConf.create({"a": "${b}"}))


def test_a_changed_file_is_composed_anew_and_what_is_kept_belongs_to_nobody(tmp_path, monkeypatch):
    folder = shutil.copytree(conf_dir(), tmp_path / "conf")
    monkeypatch.setattr("ood_bench.utils.compose.conf_dir", lambda: folder)
    first = composing.composed(SMALL)
    first.seed = 5
    assert composing.composed(SMALL).seed != 5
    with (folder / "config.yaml").open("a") as file:
        file.write("\nfurther: 1\n")
    assert composing.composed(SMALL).further == 1
