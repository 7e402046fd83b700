"""OpenOOD's folder as its users have it on disk: from its lists to records, settings chosen on its validation lists."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from ood_bench.config import compose_settings
from ood_bench.models.classifier import build_network
from ood_bench.papers.block import load_blocks
from ood_bench.results.scores import ScoreStore
from ood_bench.runner.execute import execute

NAMES = {
    "openood_cifar10_cifar100": "cifar100",
    "openood_cifar10_tin": "tiny_imagenet",
    "openood_mnist": "mnist",
    "openood_svhn": "svhn",
    "openood_textures": "textures",
    "openood_cifar10_places365": "places365",
}
TUNED = {"adascale", "ash", "energy", "fdbd", "gen", "iodin", "nci", "odin", "react", "relation", "scale"}
TINY = ["model=resnet18", "model.blocks=[1,1,1,1]", "model.widths=[4,4,8,16]"]


@pytest.fixture
def words(toy_root, openood_on_disk, tmp_path, monkeypatch):
    """What a run needs to take the toys for OpenOOD's sets of these configs, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def of(*names, known="openood_cifar10"):
        chosen = [f"ood=[{','.join(names)}]", *openood_on_disk.words(known, *names)]
        return [*chosen, "device=cpu", "scoring.resamples=2", f"data.root={toy_root}", "store.root=s", "results.root=r"]

    return of


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A tiny network's weights in the layout of OpenOOD's checkpoints: a bare state dict with its names."""
    monkeypatch.chdir(tmp_path)
    settings = compose_settings([*TINY, "id=openood_cifar10"])
    torch.manual_seed(0)
    state = build_network(settings.model, settings.id["shape"], 10).state_dict()
    names = {"conv1.weight", "bn1.running_var", "layer2.0.shortcut.0.weight", "layer4.0.conv2.weight", "fc.bias"}
    torch.save({name.replace("linear.", "fc."): value for name, value in state.items()}, "best.ckpt")
    assert names <= set(torch.load("best.ckpt", weights_only=True))
    return "checkpoint=best.ckpt"


def test_one_setting_is_chosen_on_the_validation_lists_for_all_sets(words, published):
    run = ["protocol=openood_v15", "tune=aps", "id=openood_cifar10", "method=[msp,react]", *TINY, published]
    done = execute(compose_settings([*run, *words(*NAMES)]))
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


def test_the_papers_block_with_all_its_methods(words):
    """A network is trained, too; two of the six sets are enough, one near, one far."""
    run = ["paper=openood_cifar10", "seed=0", "model.blocks=[1,1,1,1]"]
    small = ["train.epochs=25", "train.batch_size=10", "method.openmax.tail=2", "model.widths=[4,4,8,32]"]
    settings = compose_settings([*run, *small, *words("openood_cifar10_tin", "openood_mnist")])
    done = execute(settings)
    (block,) = (one for one in load_blocks() if one.name == "openood_cifar10")
    assert {(record.method, record.ood) for record in done.records} == {
        (method, ood) for method in block.methods for ood in ("tiny_imagenet", "mnist")
    }
    assert all(block.holds(record) for record in done.records)
    tuned = {record.method for record in done.records if record.tuning is not None}
    assert tuned == TUNED
    titles = {used.title for record in done.records for used in record.data.used}
    assert titles == {"cifar10 (OpenOOD)", "tiny_imagenet (OpenOOD)", "mnist (OpenOOD)"}


def test_the_full_spectrum_counts_shifted_images_as_in_distribution(words, published):
    names = ("openood_mnist", "openood_svhn")
    run = ["protocol=openood_v15", "method=msp", *TINY, published]
    plain, whole = (
        execute(compose_settings([*run, f"id={known}", *words(*names, known=known)])).records
        for known in ("openood_cifar10", "openood_cifar10_fs")
    )
    assert [(one.n_id, one.n_ood) for one in plain + whole] == [(60, 60)] * 2 + [(120, 60)] * 2
    alone, pooled = (ScoreStore(Path("s/scores")).read(one.cell_key) for one in (plain[0], whole[0]))
    np.testing.assert_array_equal(pooled.id[:60], alone.id)  # CIFAR-10 first, then CIFAR-10-C
    labels, scores = np.repeat([1, 0], [120, 60]), np.concatenate([pooled.id, pooled.ood])
    assert whole[0].exact["auroc"].value == pytest.approx(100 * roc_auc_score(labels, scores))
