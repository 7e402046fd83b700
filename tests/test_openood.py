"""OpenOOD's folder as its users have it on disk: from its lists to records, settings chosen on its validation lists."""

import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.models.classifier import build_network
from ood_bench.runner.execute import execute

NAMES = {
    "openood_cifar10_cifar100": "cifar100",
    "openood_cifar10_tin": "tiny_imagenet",
    "openood_mnist": "mnist",
    "openood_svhn": "svhn",
    "openood_textures": "textures",
    "openood_cifar10_places365": "places365",
}
TINY = ["model=resnet18", "model.blocks=[1,1,1,1]", "model.widths=[4,4,8,16]"]


@pytest.fixture
def words(toy_root, openood_on_disk, tmp_path, monkeypatch):
    """What a run needs to take the toys for OpenOOD's sets, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    found = [*openood_on_disk.words("openood_cifar10", *NAMES), "device=cpu", "scoring.resamples=2"]
    return [*found, f"data.root={toy_root}", f"store.root={tmp_path}/store", f"results.root={tmp_path}/results"]


@pytest.fixture
def published(words):
    """A tiny network's weights in the layout of OpenOOD's checkpoints: a bare state dict with its names."""
    settings = compose_settings([*TINY, "id=openood_cifar10"])
    torch.manual_seed(0)
    state = build_network(settings.model, settings.id["shape"], 10).state_dict()
    names = {"conv1.weight", "bn1.running_var", "layer2.0.shortcut.0.weight", "layer4.0.conv2.weight", "fc.bias"}
    torch.save({name.replace("linear.", "fc."): value for name, value in state.items()}, "best.ckpt")
    assert names <= set(torch.load("best.ckpt", weights_only=True))
    return "checkpoint=best.ckpt"


def test_one_setting_is_chosen_on_the_validation_lists_for_all_sets(words, published):
    run = ["protocol=openood_v15", "tune=aps", "id=openood_cifar10", f"ood=[{','.join(NAMES)}]", "method=[msp,react]"]
    done = execute(compose_settings([*run, *TINY, *words, published]))
    sets = {record.data.ood.name: record.data.ood for record in done.records}
    assert {record.data.ood.title for record in done.records} == {f"{name} (OpenOOD)" for name in NAMES.values()}
    assert len({one.fingerprint for one in sets.values()}) == len(done.records) / 2 == 6
    assert {(record.n_id, record.n_ood, record.data.id_test.title) for record in done.records} == {
        (60, 60, "cifar10 (OpenOOD)")
    }
    tuned = [record for record in done.records if record.method == "react"]
    assert len({record.hyperparameters["percentile"] for record in tuned}) == 1
    for record in tuned:
        assert sorted(record.tuning.seen.values()) == [60, 60]
        assert [one["percentile"] for one in record.tuning.candidates] == [85.0, 90.0, 95.0, 99.0]
        assert "all 60 rows of tiny_imagenet (OpenOOD) (validation list)" in record.evaluation.tuned_on
