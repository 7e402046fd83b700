import hashlib
import logging
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from ood_bench.checkpoints import registry
from ood_bench.checkpoints.__main__ import main
from ood_bench.checkpoints.registry import Registered, registered, remarks, resolve
from ood_bench.config import compose_settings
from ood_bench.errors import ArtifactError, ConfigError, DataError
from ood_bench.models.classifier import load_classifier

ENTRY = Registered(
    name="toy/net",
    file="toy/net.pth",
    source="nowhere",
    licence="MIT",
    layout="bare state dict",
    id="toy",
    model=["model=lenet"],
    normalisation={"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
)


@pytest.fixture
def put(monkeypatch):
    """Registers networks that differ from the toy's entry in some keys."""

    def register(**changed):
        entry = ENTRY.model_copy(update=changed)
        monkeypatch.setattr(registry, "registered", lambda: {entry.name: entry})
        monkeypatch.setattr("ood_bench.checkpoints.commands.registered", registry.registered)
        return entry

    return register


@pytest.fixture
def served(mirror, put):
    """A network on a server, with its whole SHA-256."""
    return put(url=mirror.address, sha256=hashlib.sha256(mirror.content).hexdigest())


def test_every_entry_is_complete():
    known = registered()
    assert {"openood/cifar10/s0", "odin/densenet10", "dice/densenet100", "pytorch_ood/wrn-40-2/cifar10/oe/s2"} <= set(
        known
    )
    assert len({entry.file for entry in known.values()}) == len(known)
    for entry in known.values():
        assert entry.url.startswith("https://") or "Google Drive" in entry.by_hand, entry.name
        assert len(entry.normalisation.mean) == len(entry.normalisation.std) == 3
        assert entry.accuracy is None or 60 < entry.accuracy < 100


@pytest.mark.parametrize("family", ["dice", "akamaster", "chenyaofo/cifar100"])
def test_the_words_of_an_entry_make_its_network(family):
    for entry in registered().values():
        if entry.name.rpartition("/")[0] == family:
            settings = compose_settings([*entry.model, entry.moments, f"id={entry.id}"])
            assert not remarks(entry, settings.id)
            assert settings.id["normalisation"]["std"] == list(entry.normalisation.std)


@pytest.mark.parametrize("c", ["cifar10", "cifar100"])
def test_openoods_networks_suit_openoods_id_sets(c):
    settings = compose_settings([f"id=openood_{c}"])
    assert remarks(registered()[f"openood/{c}/s1"], settings.id) == []
    assert len(remarks(registered()[f"openood/{c}/s1"], compose_settings(["id=mnist"]).id)) == 2
    named = remarks(registered()["akamaster/resnet20"], compose_settings(["id=openood_cifar10"]).id)
    assert named == [
        "it was trained with another normalisation than this ID set's: "
        "'id.normalisation={mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}'"
    ]


def test_files_at_hand_have_the_sums_of_the_registry(real):
    files = ("dice/densenet10", "dice/densenet100", *(f"akamaster/resnet{depth}" for depth in (20, 32, 44, 56)))
    for name in files:
        entry = registered()[name]
        path = real(f"checkpoints/{entry.file}")
        assert resolve(Path(name), root=path.parent).path == path


def test_a_network_is_fetched_once_and_goes_on_where_it_was_cut(mirror, served, tmp_path, capsys):
    mirror.cut_after = [30_000]
    words = ["fetch", "toy/net", "--root", str(tmp_path)]
    assert main(words) == 0
    assert (tmp_path / "toy/net.pth").read_bytes() == mirror.content
    assert mirror.asked == [None, "bytes=30000-"]
    assert main(words) == 0
    assert len(mirror.asked) == 2
    assert capsys.readouterr().out.splitlines() == [f"toy/net: {tmp_path}/toy/net.pth"] * 2


def test_another_file_is_refused(mirror, served, tmp_path, capsys):
    mirror.content = b"something else"
    assert main(["fetch", "toy", "--root", str(tmp_path)]) == 1
    assert f"SHA-256 is {hashlib.sha256(mirror.content).hexdigest()}, not {served.sha256}" in capsys.readouterr().out
    (tmp_path / "toy").mkdir(exist_ok=True)
    (tmp_path / "toy/net.pth").write_bytes(b"mine")
    assert main(["verify", "--root", str(tmp_path)]) == 1
    with pytest.raises(ArtifactError, match=r"toy/net\.pth is not toy/net: its SHA-256 is [0-9a-f]{64}"):
        resolve(Path("toy/net"), root=tmp_path)


@pytest.mark.parametrize(("digits", "said"), [(64, "whole"), (8, "the 8 digits"), (0, "no SHA-256 is known")])
def test_verify_says_how_much_is_known(put, tmp_path, capsys, digits, said):
    put(sha256=hashlib.sha256(b"net").hexdigest()[:digits])
    assert main(["verify", "toy/net", "--root", str(tmp_path)]) == 1
    assert "toy/net: missing; get it by hand" in capsys.readouterr().out
    assert main(["verify", "--root", str(tmp_path)]) == 0
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/net.pth").write_bytes(b"net")
    assert main(["verify", "--root", str(tmp_path)]) == 0
    assert said in capsys.readouterr().out


def test_the_list_says_what_a_run_needs(capsys, tmp_path):
    assert main(["list", "--root", str(tmp_path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for word in ("odin/densenet10", "CC BY-NC 4.0", "95.19", "missing", "entry state_dict, prefix module."):
        assert word in text
    with pytest.raises(SystemExit, match="2"):
        main(["fetch"])
    assert main(["verify", "odin/densnet10"]) == 2
    assert "did you mean odin/densenet10?" in capsys.readouterr().err


def test_what_checkpoint_stands_for(served, mirror, tmp_path, caplog, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = Path("toy/net")
    assert resolve(Path("other")).entry is None
    with pytest.raises(ConfigError, match=r"net\.pth is missing: .*fetch toy/net --root .*data.download=true"):
        resolve(name, root=tmp_path / "files")
    found = resolve(name, root=tmp_path / "files", download_it=True)
    assert (found.path, found.entry) == (tmp_path / "files/toy/net.pth", served)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/net").write_bytes(b"a file of that name")
    with caplog.at_level(logging.WARNING):
        assert resolve(name).path == name
    assert "the file of that name is taken, not the registered network" in caplog.text


def test_a_network_without_an_address_says_how_to_get_it(put, tmp_path):
    entry = put(by_hand="a zip on Google Drive")
    with pytest.raises(ConfigError, match="no program can fetch it: get it by hand: a zip on Google Drive"):
        entry.fetch(tmp_path)


def test_an_unreachable_network_is_named(put, tmp_path):
    entry = put(url="http://127.0.0.1:9/")
    with pytest.raises(DataError, match=r"net\.pth could not be fetched"):
        entry.fetch(tmp_path)


@pytest.fixture
def files(network, tiny_model, id_node, tmp_path, monkeypatch):
    """The folder of checkpoints with the toy's file, and its model and ID set as configs."""
    OmegaConf.save(tiny_model, tmp_path / "model.yaml")
    OmegaConf.save(id_node, tmp_path / "id.yaml")
    (tmp_path / "toy").mkdir()
    torch.save(network.state_dict(), tmp_path / "toy/net.pth")
    monkeypatch.setenv("OOD_BENCH_CHECKPOINTS", str(tmp_path))
    return tmp_path


def test_import_takes_what_the_registry_says(put, files, tmp_path, capsys):
    put(accuracy=91.0)
    words = ["--model", str(tmp_path / "model.yaml"), "--id", str(tmp_path / "id.yaml"), "--skip-accuracy"]
    assert main(["import", "toy/net", *words, "--store", str(tmp_path / "s"), "--source", "mine"]) == 0
    classifier = load_classifier(Path(capsys.readouterr().out.strip()), torch.device("cpu"))
    assert (classifier.mean, classifier.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    said = classifier.card["checkpoint"]
    assert (said["accuracy"], said["licence"], said["source"]) == (91.0, "MIT", "mine")
