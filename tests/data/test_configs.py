import pytest
from omegaconf import OmegaConf

from ood_bench.data.catalogue import conf_dir, entries
from ood_bench.data.source import Source
from ood_bench.data.sources import source_of

ID = sorted((conf_dir() / "id").glob("*.yaml"))
OOD = sorted((conf_dir() / "ood").glob("*.yaml"))


def stem(path):
    return path.stem


@pytest.mark.parametrize("path", ID, ids=stem)
def test_an_id_config_is_complete(path):
    node = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    assert isinstance(node, dict)
    optional = {"validation", "validation_ood"}
    assert set(node) - {"note"} - optional == {
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
    assert all(isinstance(source_of(node, part), Source) for part in ("train", "test", *(optional & set(node))))


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


def test_digits_constants_are_those_of_the_training_part(tmp_path):
    node = OmegaConf.to_container(OmegaConf.load(conf_dir() / "id/digits.yaml"))
    assert isinstance(node, dict)
    values = source_of(node, "train").read(tmp_path).images / 255
    assert node["normalisation"] == {"mean": [round(values.mean(), 4)], "std": [round(values.std(), 4)]}
