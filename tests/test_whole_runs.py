"""Shipped experiments and one paper of each kind run, with tiny data on a processor."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import OmegaConf
from shipped_runs import LIKE_ANOTHER, PAPERS, PICTURES, WHOLE_RUNS, blocks, toy_of, whole_of
from torch import nn

from ood_bench.config import compose_settings
from ood_bench.data import mnist
from ood_bench.models import vgg
from ood_bench.runner.execute import execute
from ood_bench.training import artifact
from ood_bench.utils.configs import conf_dir


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


@pytest.fixture(scope="module")
def small_data(toys_on_disk, tmp_path_factory):
    """A data root with the MNIST-like sets, 60 images a split, in the layouts that the shipped configs expect."""
    root = tmp_path_factory.mktemp("data")
    return root, toys_on_disk.fill_mnist(root)


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


EXECUTED = [run for run in WHOLE_RUNS if run not in LIKE_ANOTHER and not run.startswith("paper=openood")]


@pytest.fixture(scope="module", params=EXECUTED)
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
        patch.setattr(vgg, "_WIDTHS", tuple(width // 16 for width in vgg._WIDTHS))
        patch.setattr(vgg, "_HIDDEN", vgg._HIDDEN // 16)
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
