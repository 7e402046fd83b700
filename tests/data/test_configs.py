from pathlib import Path

import hydra
import pytest
from omegaconf import OmegaConf

from ood_bench.data.catalogue import conf_dir, entries
from ood_bench.data.source import Source
from ood_bench.data.sources import source_of

ID = sorted((conf_dir() / "id").glob("*.yaml"))
OOD = sorted((conf_dir() / "ood").glob("*.yaml"))


def stem(path):
    return path.stem


@pytest.fixture
def compose(tmp_path: Path):
    """Composes the shipped groups under an empty root config, as Hydra does for the tool."""
    (tmp_path / "config.yaml").write_text("defaults:\n  - _self_\n")

    def composed(*overrides: str):
        with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
            search = f"hydra.searchpath=[file://{conf_dir()}]"
            return OmegaConf.to_container(hydra.compose("config", [search, *overrides]), resolve=True)

    return composed


@pytest.mark.parametrize("path", ID, ids=stem)
def test_an_id_config_is_complete(path):
    node = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(node, dict)
    assert set(node) - {"note"} == {
        "name",
        "variant",
        "licence",
        "classes",
        "shape",
        "normalisation",
        "train",
        "test",
    }
    assert len(node["normalisation"]["mean"]) == len(node["normalisation"]["std"]) == node["shape"][0]
    assert all(isinstance(source_of(node, part), Source) for part in ("train", "test"))


@pytest.mark.parametrize("path", OOD, ids=stem)
def test_an_ood_config_is_complete(path):
    assert path.read_text().splitlines()[0] == f"# @package ood.{path.stem}"
    whole = OmegaConf.create({"id": {"shape": [1, 8, 8]}, "ood": {path.stem: OmegaConf.load(path)}})
    node = OmegaConf.to_container(whole, resolve=True)["ood"][path.stem]
    assert set(node) - {"note"} == {"name", "variant", "licence", "source"}
    assert isinstance(source_of(node), Source)
    if node["source"]["kind"] in ("folder", "archive"):  # so that the command line can change them
        assert {"resize", "size"} <= set(node["source"])


def test_messages_name_configs_that_exist():
    for entry in entries():
        if entry.source.fetchable:
            assert entry.source.name == entry.key


def test_several_sets_are_selected_at_once(compose):
    found = compose("+id=fashionmnist", "+ood=[mnist,uniform]", "ood.uniform.source.count=7")
    assert list(found["ood"]) == ["mnist", "uniform"]
    noise = source_of(found["ood"]["uniform"])
    assert noise.parameters() == {"recipe": "uniform", "shape": (1, 28, 28), "count": 7, "seed": 0}
    assert source_of(found["id"], "test").name == "fashionmnist"


def test_a_crop_set_can_be_resized_and_says_so(compose):
    found = compose("+ood=lsun_crop", "ood.lsun_crop.source.resize=squash", "ood.lsun_crop.source.size=32")
    assert source_of(found["ood"]["lsun_crop"]).full_variant == "squashed to 32×32, PIL bilinear"
    assert source_of(compose("+ood=lsun_crop")["ood"]["lsun_crop"]).full_variant == ""


def test_digits_constants_are_those_of_the_training_part(tmp_path):
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / "id/digits.yaml"))
    assert isinstance(node, dict)
    values = source_of(node, "train").read(tmp_path).images / 255
    assert node["normalisation"] == {"mean": [round(values.mean(), 4)], "std": [round(values.std(), 4)]}


def test_bundled_sets_fit_together(tmp_path, compose):
    found = compose("+id=digits", "+ood=[digits_held_out,photo_patches,uniform,gaussian]")
    sets = [source_of(found["id"], part) for part in ("train", "test")]
    sets += [source_of(node) for node in found["ood"].values()]
    read = [source.read(tmp_path) for source in sets]
    assert {one.shape for one in read} == {(1, 8, 8)}
    assert {one.name for one in read} == {"digits", "digits_held_out", "photo_patches", "uniform", "gaussian"}
