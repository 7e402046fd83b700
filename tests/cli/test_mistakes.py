"""Mistakes that users make: each ends with one short message that names the remedy, most before any image is read."""

import re
import sys
from pathlib import Path

import pytest
import torch
from hydra.errors import MissingConfigException

from ood_bench.data.image_store import ImageStore
from ood_bench.models.lenet import LeNet
from ood_bench.models.resnet import ResNet
from ood_bench.training.trainer import Trainer
from ood_bench.utils.compose import explained

# The words, and what the message says.
BEFORE_IMAGES = [
    ("method=mahalnobis", "no method 'mahalnobis' (did you mean mahalanobis?)"),
    ("method=[knnn,msp,vimm]", "no method 'knnn' (did you mean knn?), 'vimm' (did you mean vim?)"),
    ("paper=odin_densnet_cifar10", "(did you mean odin_densenet_cifar10?)"),
    ("methods=msp", "no key 'methods' (did you mean method?) hint: write method=msp"),
    ("method=odin method.odin.temperatur=5", "hint: write method.odin.temperatures=5"),
    ("train.optimzer.lr=1", "hint: write train.optimizer.lr=1"),
    ("method.odin.epsilon=5", "choose method=odin"),
    ("--method msp", "'--method' is no flag hint: settings have no dashes: write method=msp"),
    ("--method=msp", "write method=msp"),
    ("--seed", "write seed=VALUE"),
    ("seed=abc", "seed: it takes whole numbers, not 'abc': write seed=3, or 'seed=[0,1,2]'"),
    ("seed=[0,1.5]", "seed: it takes whole numbers, not 1.5"),
    ("seed=-1", "seed.0: input should be greater than or equal to 0"),
    ("device=gpu", "device: there is no 'gpu': choose auto, cpu, cuda or cuda:NUMBER"),
    ("hydra/launcher=joblib", "add -m and what to sweep over, such as seed=0,1,2; or leave it out"),
    ("method=msp,odin", "'method=[msp,odin]' for a list, or -m method=msp,odin for a sweep"),
    (
        "-m paper=glob(odn*)",
        "paper=glob(odn*) matches nothing, and the sweep has no job hint: see ood-bench list paper",
    ),
    ("-m paper=glob(odin*),glob(fssd*)", "a glob stands alone; several patterns and names go into one: 'GROUP=glob("),
    ("checkpoint=epoch=1.ckpt", "needs quotes inside: 'checkpoint=\"epoch=1.ckpt\"'"),
    ("data.root=~/data", f"'data.root=\"{Path.home()}/data\"'"),
    ("data.root=üñ", "'data.root=\"üñ\"'"),
    ("ood=[]", "choose one or more, as in ood=mnist"),
    ("ood=own --config-dir mine", "/mine hint: name another one by --config-dir DIR"),
    ("ood=own --config-dir my", "begins with the line `# @package ood.NAME`"),
    ("+ood=folder --config-dir my", "++ood.folder.source.mode=L converts them"),
    ("ood.uniform.source.kind=imagefolder", "(did you mean folder?)"),
    (
        "ood=svhn",
        "ood.svhn: images of svhn have 3 channels, those of the ID set have 1 hint: choose a set",
    ),
    ("method=outlier_exposure ood@method.outlier_exposure.outliers=svhn", "ood@method.outlier_exposure.outliers=NAME"),
    ("ood.uniform.source=${id.test}", "ood.uniform: its images are the ID test images of digits hint: choose another"),
    ("ood=kmnist", "ood-bench data fetch kmnist --root outputs/quickstart"),
    ("method=odin method.odin.magnitudes=[-1]", "magnitudes.0: input should be greater than or equal to 0, is -1"),
    ("method=odin method.odin.temperatures=[0]", "temperatures.0: input should be greater than 0, is 0"),
    ("scoring.batch_size=-1", "scoring.batch_size: input should be greater than or equal to 0"),
    ("scoring.resamples=-5", "scoring.resamples: input should be greater than or equal to 0"),
    ("train.optimizer.lr=-1", "optimizer.lr: input should be greater than 0"),
    ("train.epochs=0", "epochs: input should be greater than or equal to 1"),
    ("checkpoint=nowhere.pth", "checkpoint=null trains instead"),
    ("checkpoint=torchvision.pth model=small --config-dir my", "choose model=torchvision"),
    ("checkpoint=inserted.pth", "(in a run \"checkpoint_rename={*.inner.: '*.'}\")"),
    ("checkpoint=other.pth method=[msp,odin]", '(in a run "checkpoint_rename={OLD: NEW}")'),
]
AFTER = [
    ("ood.uniform.source.count=1", "ood.uniform has one image"),
    ("protocol=fssd", "set protocol.fit_rows and protocol.select_rows lower"),
    ("id.classes=7", "labels go from 0 to 7, id.classes=7 needs 0 to 6"),
    ("results.root=taken", "a file lies where a folder is needed: remove it, or set store.root (or results.root)"),
]


@pytest.fixture
def mistaken(quick, command_line, tmp_path):
    """Runs the quickstart with a mistake, where a few files of a beginner lie."""
    Path("my/ood").mkdir(parents=True)
    Path("my/model").mkdir()
    Path("taken").touch()
    Path("my/ood/own.yaml").write_text("name: own\nsource: {kind: noise, recipe: uniform, shape: [1, 8, 8]}\n")
    Path("my/ood/folder.yaml").write_text(
        "# @package ood.folder\nname: folder\nsource: {kind: folder, path: mine, layout: flat}\n"
    )
    Path("my/model/small.yaml").write_text(
        "_target_: ood_bench.models.resnet.ResNet\nname: small\nblocks: [1, 1]\nwidths: [4, 8]\n"
    )
    state = LeNet((1, 8, 8), 8).state_dict()
    torch.save({name.replace(".", ".inner."): value for name, value in state.items()}, "inserted.pth")
    torch.save({f"{number}.w": value for number, value in enumerate(state.values())}, "other.pth")
    stem = {"conv1.weight": torch.zeros(4, 3, 7, 7)}
    torch.save({**ResNet((3, 8, 8), 10, blocks=(1, 1), widths=(4, 8)).state_dict(), **stem}, "torchvision.pth")

    def run(words):
        keys = {word.split("=")[0].lstrip("+") for word in words.split()}
        base = quick if "paper" not in keys else []
        kept = [word for word in base if word.split("=")[0] not in keys and not ("ood" in keys and "ood." in word)]
        said = command_line(*kept, *words.split())
        assert (said.status, said.out) == (2, "")
        assert not (tmp_path / "outputs/quickstart/results").exists()
        return said.err

    return run


@pytest.mark.parametrize(("words", "remedy"), BEFORE_IMAGES, ids=[words for words, _ in BEFORE_IMAGES])
def test_before_an_image_is_read_or_a_library_of_networks_loaded(mistaken, monkeypatch, words, remedy):
    for library in ("torchvision", "timm"):
        monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(ImageStore, "open", lambda *_: pytest.fail("images were read"))
    first, error, said = mistaken(words).partition("error: ")
    assert re.fullmatch(r"(\[[\d :-]+\] loading PyTorch )?", first)
    assert remedy in said
    assert len(error + said) < 12 * 80


@pytest.mark.parametrize(("words", "remedy"), AFTER, ids=[words for words, _ in AFTER])
def test_before_a_network_is_trained(mistaken, monkeypatch, words, remedy):
    monkeypatch.setattr(Trainer, "run", lambda *_: pytest.fail("training began"))
    said = mistaken(words).partition("error: ")[2]
    assert remedy in said
    assert len(said) < 12 * 80


def test_a_launcher_that_is_not_installed():
    error = MissingConfigException("", missing_cfg_file="hydra/launcher/joblib", options=["basic"])
    assert "pip install '.[cluster]'" in explained(error, ["hydra/launcher=joblib"]).hint
