"""Every shipped config composes; every experiment and every paper runs, with tiny data on a processor."""

import dataclasses
import hashlib
import importlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import get_class

from ood_bench.config import compose_settings, conf_dir
from ood_bench.data import mnist
from ood_bench.data.sources import source_of
from ood_bench.methods.base import build_detector
from ood_bench.pipeline import execute
from ood_bench.protocols.base import build_protocol
from ood_bench.training import artifact
from ood_bench.training.recipe import recipe_from

TESTS = Path(__file__).parent
GODIN = ("godin_inner", "godin_euclidean", "godin_cosine")
GROUPS = ("experiment", "id", "method", "model", "ood", "paper", "protocol", "train", "tune")


def shipped(group):
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


def test_every_group_is_covered_here():
    assert {path.name for path in conf_dir().iterdir() if path.is_dir()} == {*GROUPS, "hydra"}
    assert all(shipped(group) for group in GROUPS)


@pytest.mark.parametrize("name", shipped("model"))
def test_model(name):
    model = compose_settings([f"model={name}"]).model
    assert model["name"] == name or name == "timm"
    target = get_class(model["_target_"])
    assert Path(importlib.import_module(target.__module__).__file__).parent.name == "models"
    for variant in model.get("variants", {}).values():
        assert variant["name"] != name
        get_class(variant["_target_"])


@pytest.mark.parametrize("name", shipped("id"))
def test_id(name):
    node = compose_settings([f"id={name}", "ood=uniform"]).id
    assert name.startswith(node["name"])
    assert {source_of(node, part).name for part in ("train", "test")} == {node["name"]}


@pytest.mark.parametrize("name", shipped("ood"))
def test_ood(name):
    nodes = compose_settings([f"ood={name}"]).ood
    assert list(nodes) == [name]
    assert source_of(nodes[name], shape=(3, 32, 32)).name == nodes[name]["name"]


@pytest.mark.parametrize("name", shipped("method"))
def test_method(name):
    """``conf/method/odin.yaml`` leads to ``ood_bench/methods/odin.py`` and ``tests/methods/test_odin.py``.

    Where several files configure one class, their names begin with the module's.
    """
    nodes = compose_settings([f"method={name}"]).method
    assert list(nodes) == [name]
    detector = build_detector(name, nodes[name])
    module = "godin" if name in GODIN else name
    assert type(detector).__module__ == f"ood_bench.methods.{module}"
    assert (TESTS / "methods" / f"test_{module}.py").is_file()


@pytest.mark.parametrize("name", shipped("train"))
def test_train(name):
    assert recipe_from(compose_settings([f"train={name}"]).train).name == name


@pytest.mark.parametrize("name", shipped("protocol"))
def test_protocol(name):
    settings = compose_settings([f"protocol={name}"])
    protocol = build_protocol(settings.protocol, settings.tune.name)
    assert protocol.name == name
    assert type(protocol).__module__ == f"ood_bench.protocols.{name}"
    assert set(protocol.methods) | set(protocol.method_deviations) <= set(shipped("method"))


@pytest.mark.parametrize("name", shipped("tune"))
def test_tune(name):
    settings = compose_settings([f"tune={name}", f"protocol={'plain' if name == 'id_only' else 'odin'}"])
    assert settings.tune.name == name
    assert build_protocol(settings.protocol, name).tune == name


WHOLE_RUNS = [f"{group}={name}" for group in ("experiment", "paper") for name in shipped(group)]


@pytest.mark.parametrize("run", WHOLE_RUNS)
def test_every_part_of_a_whole_run_fits(run):
    settings = compose_settings([run])
    protocol = build_protocol(settings.protocol, settings.tune.name)
    recipe_from(settings.train)
    for name, node in settings.method.items():
        protocol.check(name, build_detector(name, node))
    if settings.paper is not None:
        assert f"paper={settings.paper['name']}" == run
        assert (settings.paper["model"], settings.paper["id"]) == (settings.model["name"], settings.id["name"])
        assert settings.paper["protocol"] == protocol.name
        ran = set(settings.paper["methods"]) - set(settings.paper.get("published_only", []))
        assert ran == set(settings.method) - {"feature_norm_blocks"}  # which has no published rows
        assert set(settings.paper["ood"]) <= {node["name"] for node in settings.ood.values()}


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
ODIN = ["protocol.skip=20"]
STEPS = [f"method.{head}.magnitudes=[0.01,0.02]" for head in GODIN]
ELOC = [
    "protocol.validation_rows=20",
    "method.eloc.train.epochs=1",
    "method.eloc.train.selection=last",  # it would look at 1,000 images of 60
    "method.eloc.validation=null",
]
WIDE = ["model.depth=10", "model.widen=1"]
RESNET = ["model.blocks=[1,1,1,1]", "model.widths=[4,4,8,8]"]
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
    "paper=godin_densenet_cifar10": [*CIFAR, *STEPS, "protocol.id_rows=20", "model.depth=10", "model.growth=4"],
    "paper=godin_port_cifar10": [*CIFAR, "protocol.id_rows=20", "model.depth=11"],
    "experiment=eloc_fashionmnist": [
        "train.epochs=1",
        "method.eloc.train.epochs=1",
        "scoring.resamples=20",
        "device=cpu",
    ],
    **{f"paper=eloc_densenet_{name}": [*CIFAR, *ELOC, "model.depth=10"] for name in ("cifar10", "cifar100")},
    **{
        f"paper=eloc_wrn_{name}": [*CIFAR, *ELOC, "model.depth=10", "model.widen=1"] for name in ("cifar10", "cifar100")
    },
    "paper=fssd_fashionmnist": [
        *QUICK,
        "protocol.fit_rows=20",
        "protocol.select_rows=20",
        "method.odin.magnitudes=[0.01,0.0]",
        "method.odin.temperatures=[1000]",
        "method.mahalanobis.magnitudes=[0.01]",
        "method.fssd.magnitudes=[0.01,0.0]",
    ],
    "paper=odin_densenet_cifar10": [*CIFAR, *ODIN, "model.depth=10"],
    "paper=odin_densenet_cifar100": [*CIFAR, *ODIN, "model.depth=10"],
    "paper=odin_wrn_cifar10": [*CIFAR, *ODIN, *WIDE],
    "paper=odin_wrn_cifar100": [*CIFAR, *ODIN, *WIDE],
    "paper=featurenorm_resnet18_cifar10": [*CIFAR, *RESNET],
    "paper=featurenorm_wrn_cifar10": [*CIFAR, *WIDE],
    "paper=featurenorm_vgg11_cifar10": CIFAR,
    "paper=fssd_cifar10": [
        *CIFAR,
        *RESNET,
        "protocol.fit_rows=20",
        "protocol.select_rows=20",
        "method.odin.magnitudes=[0.01,0.0]",
        "method.odin.temperatures=[1000]",
        "method.mahalanobis.magnitudes=[0.01]",
        "method.fssd.magnitudes=[0.01,0.0]",
        "method.deep_ensemble.members=2",
    ],
}


def test_every_whole_run_has_a_toy():
    """Who adds an experiment or a paper says here how it is made small."""
    assert set(TOYS) == set(WHOLE_RUNS)


@pytest.fixture(scope="module", params=WHOLE_RUNS)
def finished(request, small_data, toy_root, toys_on_disk, tmp_path_factory):
    """One shipped run at toy scale: its settings, what it gave, and the folder that it ran in."""
    root, releases = small_data
    folder = tmp_path_factory.mktemp("run")
    whole = compose_settings([request.param])
    small = []
    if whole.id["name"].startswith("cifar"):
        root, small = toy_root, toys_on_disk.words(*whole.ood)
    roots = [f"data.root={root}", f"store.root={folder}/store", f"results.root={folder}/results"]
    settings = compose_settings([request.param, *small, *TOYS[request.param], *roots])
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
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


KEYS = {
    "seal",
    "schema",
    "cell_key",
    "method",
    "variant",
    "model",
    "id",
    "ood",
    "seed",
    "protocol",
    "evaluation",
    "metrics",
    "exact",
    "n_id",
    "n_ood",
    "hyperparameters",
    "tuning",
    "checkpoint",
    "data",
    "deviations",
    "notes",
    "environment",
    "seconds",
    "created",
}


def test_records_say_everything(finished):
    settings, done, _ = finished
    for path in done.paths:
        record = load(path)
        assert set(record) == KEYS
        assert record["schema"] == 1
        assert record["seed"] == 0
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
        assert (used["outliers"] is not None) == (record["method"] == "outlier_exposure")
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
        if record["method"].startswith("godin"):
            assert record["evaluation"]["tuned_on"].endswith("rows of the ID test set; no OOD image")
            share = 0.5 if settings.protocol["name"] == "godin_port" else 1.0
            assert record["hyperparameters"]["epsilon"] in [share * one for one in node["magnitudes"]]
        elif settings.protocol["name"] == "fssd":
            assert record["n_id"] == 20
            assert "20 test rows each" in record["evaluation"]["tuned_on"]
        elif settings.protocol["name"] == record["method"] in ("odin", "eloc"):
            assert record["hyperparameters"]["epsilon"] == settings.protocol["epsilons"][record["ood"]]
            assert record["evaluation"]["tuned_on"].endswith("the magnitude published for this set")
        else:
            assert record["evaluation"]["tuned_on"] == "nothing"


def refuse(what):
    def fail(*_args, **_kwargs):
        raise AssertionError(what)

    return fail


def forbid_work(patch, *, passes=True):
    patch.setattr(artifact, "Trainer", refuse("something was trained"))
    if passes:
        patch.setattr("ood_bench.scoring.engine.run_pass", refuse("there was a pass"))
        patch.setattr("ood_bench.methods.godin_port_baseline.input_gradients", refuse("there was a gradient pass"))
        patch.setattr("ood_bench.methods.mc_dropout.sample_passes", refuse("there was a stochastic pass"))


def test_a_second_run_finds_all_records(finished, monkeypatch):
    settings, done, _ = finished
    forbid_work(monkeypatch)
    monkeypatch.setattr("ood_bench.pipeline.Engine.collect", refuse("something was asked of a bank"))
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
