"""The published five-fold checkpoints of the leave-out ensemble, as small files in their layout."""

import numpy as np
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.methods.base import Networks, Scorer, View, build_detector
from ood_bench.models.wide_resnet import WideResNet
from ood_bench.scoring.engine import Engine
from ood_bench.training.artifact import ClassifierStore
from ood_bench.training.recipe import recipe_from
from ood_bench.training.spec import TrainingSpec

MODEL = {
    "_target_": "ood_bench.models.wide_resnet.WideResNet",
    "name": "wrn_28_10",
    "depth": 10,
    "widen": 1,
    "dropout": 0.3,
}


def write_folds(root):
    """A dict with the state dict in torch's legacy format, its name notwithstanding."""
    states = []
    for fold in range(1, 6):
        torch.manual_seed(fold)
        state = WideResNet((3, 32, 32), 8, depth=10, widen=1, dropout=0.3).state_dict()
        states.append(state)
        path = root / f"checkpoints/cifar10_fold_{fold}_wide_checkpoint/model_best.pth.tar"
        path.parent.mkdir(parents=True)
        content = {
            "epoch": 70 + fold,
            "state_dict": state,
            "best_prec1": 0.98,
            "opt": {"state": {}, "param_groups": []},
        }
        torch.save(content, path, _use_new_zipfile_serialization=False)
    return states


def test_five_folds_are_imported_and_scored(tmp_path):
    states = write_folds(tmp_path)
    random = np.random.default_rng(0)
    images = [ImageSet.of("cifar10", random.integers(0, 256, (20, 3, 32, 32), dtype=np.uint8), np.arange(20) % 10)]
    images.append(ImageSet.of("cifar10", images[0].images[::-1].copy(), images[0].labels[::-1].copy()))
    base = TrainingSpec(
        model=MODEL,
        recipe=recipe_from({"name": "plain"}),
        data=images[0],
        test=images[1],
        classes=10,
        normalisation={"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]},
        seed=0,
        checkpoint=tmp_path,
    )
    train = {"name": "eloc", "loss": {"name": "margin_entropy"}, "outlier_batch_size": 4, "selection": "msp_auroc"}
    found = build_detector("eloc", {"_target_": "ood_bench.methods.eloc.Eloc", "train": train})
    specs = found.networks(Networks(base))
    store = ClassifierStore(tmp_path / "store/classifiers", torch.device("cpu"))
    classifiers = [store.obtain(spec) for spec in specs]
    for spec, classifier, state in zip(specs, classifiers, states, strict=True):
        assert spec.checkpoint.parent.name == f"cifar10_fold_{specs.index(spec) + 1}_wide_checkpoint"
        for name, value in classifier.network.state_dict().items():
            torch.testing.assert_close(value, state[name], rtol=0, atol=0)
        assert classifier.card["measured"]["n"] == 16  # the images of the eight classes that it knows
    scorer = Scorer(Engine(None), classifiers, images[0], images[1])
    found.fit(scorer, np.random.RandomState(0))
    assert 0 <= found.findings()["ensemble_accuracy"] <= 100
    assert len({row.tobytes() for row in found.raw_scores(scorer, View(images[1]), found.grid())[0]}) == 20
