"""Every shipped config composes; every experiment and every paper runs, with tiny data on a processor."""

import copy
import dataclasses
import functools
import hashlib
import importlib
import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import nn

from ood_bench import papers
from ood_bench.config import compose_settings, settings_of
from ood_bench.data import mnist
from ood_bench.methods.base import build_detector
from ood_bench.papers.block import load_blocks
from ood_bench.protocols.base import build_protocol
from ood_bench.runner.execute import execute
from ood_bench.training import artifact
from ood_bench.training.recipe import recipe_from
from ood_bench.utils.configs import conf_dir

TESTS = Path(__file__).parent
GODIN = ("godin_inner", "godin_euclidean", "godin_cosine")
MODULES = {
    "godin_port_baseline": "godin_port",
    **dict.fromkeys(GODIN, "godin"),
    **dict.fromkeys(("outlier_exposure_tune", "outlier_exposure_scratch"), "outlier_exposure"),
    **dict.fromkeys(("mahalanobis_plain", "mahalanobis_inputpre", "mahalanobis_ensemble"), "mahalanobis"),
    **dict.fromkeys(("selected_norm_msp", "selected_norm_energy"), "selected_norm"),
}
TESTED_TOGETHER = {"logitnorm": "retrained", "t2fnorm": "retrained"}


def shipped(group):
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


@pytest.mark.parametrize("name", shipped("model"))
def test_model(name):
    model = compose_settings([f"model={name}"]).model
    assert model["name"] == name or name in ("timm", "torchvision")
    target = get_class(model["_target_"])
    assert Path(importlib.import_module(target.__module__).__file__).parent.name == "models"
    for variant in model.get("variants", {}).values():
        assert variant["name"] != name
        get_class(variant["_target_"])


@pytest.mark.parametrize("name", shipped("method"))
def test_method(name):
    """``conf/method/odin.yaml`` leads to ``ood_bench/methods/odin.py`` and ``tests/methods/test_odin.py``.

    Where several files configure one class, their names begin with the module's.
    """
    nodes = compose_settings([f"method={name}"]).method
    assert list(nodes) == [name]
    detector = build_detector(name, nodes[name])
    module = MODULES.get(name, name)
    assert type(detector).__module__ == f"ood_bench.methods.{module}"
    assert (TESTS / "methods" / f"test_{TESTED_TOGETHER.get(module, module)}.py").is_file()


@pytest.mark.parametrize("name", shipped("protocol"))
def test_protocol(name):
    settings = compose_settings([f"protocol={name}"])
    protocol = build_protocol(settings.protocol, settings.tune.name)
    assert protocol.name == name
    assert type(protocol).__module__ == f"ood_bench.protocols.{name}"
    assert set(protocol.methods) | set(protocol.method_deviations) <= set(shipped("method"))


@pytest.mark.parametrize("name", shipped("tune"))
def test_tune(name):
    settings = compose_settings([f"tune={name}", "protocol=plain"])
    assert settings.tune.name == name
    assert build_protocol(settings.protocol, name).tune == name


CHANGED = ("method", "ood", "protocol")
PAPERS = shipped("paper")
SWEEPS = ["gpu_suite", "gpu_suite_short", "gpu_suite_toy", "posthoc", "definitions"]  # see tests/sweep
WHOLE_RUNS = [f"{group}={name}" for group in ("experiment", "paper") for name in shipped(group) if name not in SWEEPS]


@functools.cache
def composed(run):
    """A shipped run as Hydra composes it, which takes its time."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose("config", overrides=[run])


@functools.cache
def whole_of(run):
    """A shipped run as it is."""
    return settings_of(composed(run), [run])


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


@functools.cache
def blocks():
    return {block.name: block for block in load_blocks()}


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


class StandIn(nn.Module):
    """What a ResNet of the timm library looks like from outside: its modules' names, an image to logits."""

    def __init__(self, name, *, pretrained, num_classes, in_chans):
        assert name in ("resnet34", "resnext50_32x4d")
        assert not pretrained
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(in_chans, 4, 3, stride=4, padding=1), nn.ReLU())
        self.layer2, self.layer3, self.layer4 = (nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()) for _ in "234")
        self.global_pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(4, num_classes)

    def forward(self, x):
        return self.fc(self.global_pool(self.layer4(self.layer3(self.layer2(self.layer1(x))))))


def write_idx(path, values):
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def small_pictures(count, seed, kind):
    """Grey 28x28 images: bright rows that tell the class (ID), or a bright column in noise (OOD)."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 10).astype(np.uint8)
    images = random.integers(0, 100, (count, 28, 28), dtype=np.uint8)
    if kind == "FashionMNIST":
        for offset in (4, 5):
            images[np.arange(count), 2 * labels + offset] = 240
    else:
        images[:, :, seed % 28] = 240
    return images, labels


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    """A data root with the MNIST-like sets, 60 images a split, in the layouts that the shipped configs expect."""
    root = tmp_path_factory.mktemp("data")
    releases = {}
    for number, (name, release) in enumerate(mnist.RELEASES.items()):
        sums = []
        for split, prefix in enumerate(("train", "t10k")):
            images, labels = small_pictures(60, 10 * number + split, name)
            folder = root / name / "raw"
            sums += [
                write_idx(folder / f"{prefix}-images-idx3-ubyte", images),
                write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels),
            ]
        releases[name] = dataclasses.replace(release, plain=tuple(sums))
    images, labels = small_pictures(60, 27, "letters")
    write_idx(root / "idx/emnist_letters/t10k-images-idx3-ubyte", images)
    write_idx(root / "idx/emnist_letters/t10k-labels-idx1-ubyte", labels + 1)
    return root, releases


QUICK = [
    "train.epochs=1",
    "scoring.resamples=20",
    "method.outlier_exposure.train.epochs=1",
    "method.deep_ensemble.members=2",
    "method.mc_dropout.passes=2",
    "method.fssd.noise_images=5",
    "device=cpu",
]
# And what tests/toy_root.py says of the OOD sets.
CIFAR = ["train.epochs=1", "train.batch_size=10", "scoring.resamples=2", "device=cpu"]
STEPS = [f"method.{head}.magnitudes=[0.01,0.02]" for head in GODIN]
VALIDATION = ["protocol.fit_rows=20", "protocol.select_rows=20"]
WIDE = ["model.depth=10", "model.widen=1"]
RESNET = ["model.blocks=[1,1,1,1]", "model.widths=[4,4,8,8]"]
# A paper is made small by what it selects: model, protocol and methods.
SMALL_MODELS = {
    "densenet_bc_100_12": ["model.depth=10", "model.growth=4"],
    "wrn_28_10": WIDE,
    "wrn_40_2": WIDE,
    "resnet18": RESNET,
    "resnet34": RESNET,
    "resnet20_v2": ["model.depth=11"],
    "vgg11": [],
    "allconv": ["model.widths=[4,8]"],
    "timm_resnet34": [],  # a stand-in is small enough
    "timm_resnext50": [],
}
SMALL_PROTOCOLS = {
    "odin": ["protocol.skip=20"],
    "eloc": ["protocol.validation_rows=20"],
    "godin_paper": ["protocol.id_rows=20"],
    "godin_port": ["protocol.id_rows=20"],
    "fssd": VALIDATION,
    "mahalanobis": VALIDATION,
    "featurenorm": [],
    "outlier_exposure": [],
}
PICTURES = ("imagenet_dogs", "ms1m")  # larger than 32 pixels
SMALL_SETS = ["id.classes=10", "id.shape=[3,32,32]", "id.train.size=32", "id.test.size=32"]
SMALL_METHODS = {
    "eloc": [
        "method.eloc.train.epochs=1",
        "method.eloc.train.selection=last",  # it would look at 1,000 images of 60
        "method.eloc.validation=null",
    ],
    "deep_ensemble": ["method.deep_ensemble.members=2"],
    "mc_dropout": [f"model.variants.{word.replace('model.', 'mc_dropout.', 1)}" for word in RESNET]
    + ["method.mc_dropout.passes=3"],
    **{head: [f"method.{head}.magnitudes=[0.01,0.02]"] for head in GODIN},
    **{
        name: [f"method.{name}.train.{word}" for word in ("epochs=1", "batch_size=10", "outlier_batch_size=10")]
        for name in ("outlier_exposure", "outlier_exposure_tune", "outlier_exposure_scratch")
    },
}
SEARCHES = {  # where many settings are tried
    "fssd": [
        "method.odin.magnitudes=[0.01,0.0]",
        "method.odin.temperatures=[1000]",
        "method.mahalanobis.magnitudes=[0.01]",
        "method.fssd.magnitudes=[0.01,0.0]",
    ],
    "validation_ood": ["method.odin.magnitudes=[0.0,0.002]", "method.odin.temperatures=[1,1000]"],
    "mahalanobis": [
        "method.odin.magnitudes=[0.0,0.01]",
        "method.odin.temperatures=[1,1000]",
        "method.mahalanobis.magnitudes=[0.0,0.01]",
        "method.mahalanobis_inputpre.magnitudes=[0.0,0.01]",
    ],
}
TOYS = {
    "experiment=quickstart": [
        *QUICK,
        "id.train.test_fraction=0.9",  # 140 images to train on
        "id.test.test_fraction=0.03",  # 40 to test
        "ood.digits_held_out.source.split=test",
        "ood.uniform.source.count=20",
        "ood.gaussian.source.count=20",
        "ood.photo_patches.source.count=20",
        "adapt.method.outlier_exposure.outliers.source.count=20",
    ],
    "experiment=godin_fashionmnist": [*CIFAR, *STEPS, "protocol.id_rows=20"],
    "experiment=eloc_fashionmnist": [
        "ood=[mnist]",
        "train.epochs=1",
        "method.eloc.train.epochs=1",
        "scoring.resamples=20",
        "device=cpu",
    ],
    "paper=fssd_fashionmnist": ["ood=[mnist,emnist_letters]", *QUICK, *VALIDATION, *SEARCHES["fssd"]],
}


def toy_of(run, whole):
    """Overrides that make a shipped run small."""
    if run in TOYS:
        return TOYS[run]
    protocol = whole.protocol["_target_"].split(".")[2]
    sets = [f"ood.{name}.source.size=32" for name in whole.ood] + SMALL_SETS if whole.id["name"] in PICTURES else []
    methods = [word for name in whole.method for word in SMALL_METHODS.get(name, [])]
    protocol_searches = SEARCHES.get(protocol if whole.tune.name == "published" else whole.tune.name, [])
    searches = [word for word in protocol_searches if word.split(".")[1] in whole.method]
    return [*CIFAR, *SMALL_MODELS[whole.model["name"]], *SMALL_PROTOCOLS[protocol], *sets, *methods, *searches]


def test_every_paper_is_documented():
    text = (TESTS.parent / "docs/papers.md").read_text(encoding="utf-8")
    assert [name for name in PAPERS if f"`{name}`" not in text] == []


def builds_on_another(run):
    """Whether a paper inherits from one that is executed as well."""
    group, name = run.split("=")
    return any(
        isinstance(one, str) and one in PAPERS for one in OmegaConf.load(conf_dir() / group / f"{name}.yaml").defaults
    )


def one_set_will_do(run):
    """Whether another run that is executed with all OOD sets has this one's protocol and sets."""
    group, name = run.split("=")
    if group != "paper" or builds_on_another(run):
        return builds_on_another(run)
    own = blocks()[name]
    same = [one.name for one in blocks().values() if (one.protocol, one.scored) == (own.protocol, own.scored)]
    return name != next(other for other in same if not builds_on_another(f"paper={other}"))


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


@pytest.fixture(scope="module", params=[run for run in WHOLE_RUNS if not run.startswith("paper=openood")])
def finished(request, small_data, toy_root, toys_on_disk, tmp_path_factory):
    """One shipped run at toy scale: its settings, what it gave, and the folder that it ran in."""
    root, releases = small_data
    folder = tmp_path_factory.mktemp("run")
    run, whole = [request.param], whole_of(request.param)
    if one_set_will_do(request.param):
        validation = [whole.protocol["validation"]] if whole.tune.name == "validation_ood" else []
        few = dict.fromkeys([*validation, next(iter(whole.ood))])
        run.append(f"ood=[{','.join(few)}]")
        whole = whole.model_copy(update={"ood": {name: whole.ood[name] for name in few}})
    small = []
    if whole.id["name"].startswith(("cifar", "svhn", *PICTURES)):
        root, small = toy_root, [*toys_on_disk.words(*whole.ood), *toys_on_disk.outlier_words(whole.method)]
    roots = [f"data.root={root}", f"store.root={folder}/store", f"results.root={folder}/results"]
    settings = compose_settings([*run, *small, *toy_of(request.param, whole), *roots])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(sys.modules, "timm", SimpleNamespace(create_model=StandIn))
        for name, release in releases.items():
            patch.setitem(mnist.RELEASES, name, release)
        yield settings, execute(settings), folder


def load(path):
    return json.loads(Path(path).read_text())


def test_there_is_a_record_for_every_cell(finished):
    settings, done, folder = finished
    variants = dict.fromkeys(settings.method, 1)
    if "feature_norm_blocks" in variants:  # a record for each block
        (ratios,) = {len(one.hyperparameters["norm_ratio"]) for one in done.records if one.method == "feature_norm"}
        variants["feature_norm_blocks"] = ratios
    cells = [(method, node["name"]) for method in settings.method for node in settings.ood.values()]
    cells = [cell for cell in cells for _ in range(variants[cell[0]])]
    own = ("outlier_exposure", "emnist_letters")  # its own outliers
    cells = [cell for cell in cells if cell != own]
    assert sorted((record.method, record.ood) for record in done.records) == sorted(cells)
    assert done.new == len(cells)
    assert sorted(done.paths) == sorted(map(str, (folder / "results" / "records").rglob("*.json")))


def test_records_say_everything(finished):
    settings, done, _ = finished
    for path in done.paths:
        record = load(path)
        names = (record["model"], record["id"], record["protocol"])
        assert names == (settings.model["name"], settings.id["name"], settings.protocol["name"])
        assert record["evaluation"]["convention"] == settings.protocol["convention"]
        assert {"auroc", "fpr95"} <= set(record["exact"])
        for metric in (*record["exact"].values(), *record["metrics"].values()):
            assert 0 <= metric["value"] <= 100
        assert record["exact"]["auroc"]["low"] <= record["exact"]["auroc"]["high"]
        assert min(record["n_id"], record["n_ood"]) > 0
        used = record["data"]
        assert used["id_test"]["n"] >= record["n_id"]
        assert used["ood"]["n"] >= record["n_ood"]
        assert len({used[role]["fingerprint"] for role in ("id_train", "id_test", "ood")}) == 3
        assert (used["outliers"] is not None) == record["method"].startswith("outlier_exposure")
        assert record["environment"]["device"] == "cpu"
        assert record["environment"]["packages"]["torch"]
        assert record["seconds"] >= 0


def test_records_name_their_networks(finished):
    _, done, folder = finished
    cards = {card["key"]: card for card in map(load, (folder / "store" / "classifiers").glob("*/classifier.json"))}
    used = set()
    for record in map(load, done.paths):
        networks = record["checkpoint"]["networks"]
        assert len(networks) == {"deep_ensemble": 2, "godin_port_baseline": 2, "eloc": 5}.get(record["method"], 1)
        for network in networks:
            card = cards[network["key"]]
            assert network["weights_sha256"] == card["weights_sha256"]
            assert network["epochs"] == 1
            assert network["id_accuracy"] == card["id_accuracy"]
            used.add(network["key"])
    assert used == set(cards)


def test_records_hold_the_hyperparameters_of_the_run(finished):
    settings, done, _ = finished
    for record in map(load, done.paths):
        node = settings.method[record["method"]]
        for key, value in record["hyperparameters"].items():
            if key in node and node[key] not in ("norm_ratio", "every"):  # words for what is found out
                assert value == node[key], (record["method"], key)


def refuse(what):
    def fail(*_args, **_kwargs):
        raise AssertionError(what)

    return fail


def forbid_work(patch, *, passes=True):
    patch.setattr(artifact, "Trainer", refuse("something was trained"))
    if passes:
        patch.setattr("ood_bench.scoring.engine.run_pass", refuse("there was a pass"))
        patch.setattr("ood_bench.methods.godin_port.input_gradients", refuse("there was a gradient pass"))
        patch.setattr("ood_bench.tuning.adversarial.input_gradients", refuse("there was a gradient pass"))
        patch.setattr("ood_bench.methods.mc_dropout.sample_passes", refuse("there was a stochastic pass"))


def test_a_second_run_finds_all_records(finished, monkeypatch):
    settings, done, _ = finished
    forbid_work(monkeypatch)
    monkeypatch.setattr("ood_bench.runner.execute.Engine.collect", refuse("something was asked of a bank"))
    monkeypatch.setattr("ood_bench.training.artifact.load_classifier", refuse("a classifier was loaded"))
    again = execute(settings)
    assert (again.new, again.paths) == (0, done.paths)
    assert again.records == done.records


def test_without_records_everything_comes_from_the_store(finished, monkeypatch, tmp_path):
    """Nothing is trained or passed again for the first OOD set, and every number is the same."""
    settings, done, _ = finished
    forbid_work(monkeypatch)
    name = next(iter(settings.ood))
    results = settings.results.model_copy(update={"root": tmp_path})
    again = execute(settings.model_copy(update={"results": results, "ood": {name: settings.ood[name]}}))
    before = [record for record in done.records if record.ood == settings.ood[name]["name"]]
    assert again.new == len(before) >= len(settings.method)
    assert [record.substance() for record in again.records] == [record.substance() for record in before]
