"""FeatureNorm against its authors' code."""

import numpy as np
import pytest
import torch

from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.data.jigsaw import jigsaw
from ood_bench.methods.feature_norm import _norm_ratio, candidate_taps
from ood_bench.metrics import evaluate
from ood_bench.models.classifier import build_network
from ood_bench.papers.published import load
from ood_bench.scoring.quantities import RectifiedNorm

SIDES = ("id", "ood")
NAMES = ("auroc", "aupr_in", "fpr95")
MODELS = {"resnet18": "resnet18_featurenorm", "wrn28": "wrn_28_10", "vgg11": "vgg11"}


@pytest.fixture(scope="module")
def values(golden):
    return golden("featurenorm")


def test_norms_of_maps(values):
    for prefix in ("", "jigsaw_"):
        expected = values[f"{prefix}norm"]
        for block in range(expected.shape[1]):
            ours = RectifiedNorm()(torch.from_numpy(values[f"{prefix}map_{block}"]))
            np.testing.assert_allclose(ours[:, 0], expected[:, block], rtol=1e-6)


@pytest.mark.parametrize("prefix", ["", "given_"])
def test_norm_ratios(values, prefix):
    """The code divides by 0, which makes a block's ratio infinite or none; our choice leaves such pairs out."""
    whole, pieces = values[f"{prefix}norm"], values[f"{prefix}jigsaw_norm"]
    for block, official in enumerate(values[f"{prefix}norm_ratio"]):
        ours = _norm_ratio(str(block), whole[:, block], pieces[:, block])
        usable = pieces[:, block] != 0
        assert np.isfinite(official) == usable.all()
        if usable.all():
            assert ours == pytest.approx(official, rel=1e-6)
        else:
            assert ours == _norm_ratio(str(block), whole[usable, block], pieces[usable, block])
            assert np.isfinite(ours)


def test_the_block_that_the_code_has_written_in_is_the_published_one(values):
    """Which NormRatio chooses in each run here; the code's indices count the same candidates."""
    table = load("featurenorm").query("table == 'selected_block' and metric == 'blocks_after'")
    after = {row.model.lower(): float(row.value) for row in table.itertuples()}
    for name, index, count in zip(values["sblock_names"], values["sblock"], values["sblock_blocks"], strict=True):
        settings = compose_settings([f"model={MODELS[str(name)]}"])
        model = {**settings.model, **({"widen": 1} if "widen" in settings.model else {})}
        assert len(candidate_taps(build_network(model, (3, 32, 32), 10))) == count
        assert count - 1 - index == after[str(name)]


@pytest.mark.parametrize("kind", ["color", "gray"])
def test_jigsaws(values, kind):
    images = ImageSet.of(kind, values[f"jigsaw_{kind}_images"])
    ours = jigsaw(images, int(values["jigsaw_seed"]))
    np.testing.assert_array_equal(ours.images, values[f"jigsaw_{kind}_result"])
    drawn = [np.random.default_rng((int(values["jigsaw_seed"]), i)).permutation(9) for i in range(len(images))]
    np.testing.assert_array_equal(drawn, values[f"jigsaw_{kind}_order"])


@pytest.mark.parametrize("case", ["plain", "tied", "ten", "equal"])
def test_metrics(values, case):
    found = evaluate("featurenorm", *(values[f"scores_{case}_{side}"] for side in SIDES))
    np.testing.assert_allclose([found[name] / 100 for name in NAMES], values[f"metrics_{case}"], atol=1e-9)
