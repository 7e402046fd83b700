import numpy as np
import pytest
from last_layer import learner
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ood_bench.errors import ConfigError
from ood_bench.methods.neco import Neco

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
MIXING = RANDOM.normal(size=(8, 8)) * [9, 5, 3, 1, 1, 0.3, 0.1, 0.1]
TRAIN, ROWS = RANDOM.normal(size=(200, 8)) @ MIXING.T + 3, RANDOM.normal(size=(40, 8)) * 6 + 2
learned = learner(Neco, TRAIN, WEIGHT, BIAS)


def slow(rows, dim, *, standardise=True):
    """The ratio as the authors compute it, image by image, with scikit-learn."""
    scaler = StandardScaler(with_mean=standardise, with_std=standardise).fit(TRAIN)
    pca = PCA(8).fit(scaler.transform(TRAIN))
    dim = dim or np.where(np.cumsum(pca.explained_variance_ratio_) >= 0.9)[0][0] + 1
    ratios = []
    for row in rows:
        whole = scaler.transform(row[None])
        ratios.append(np.linalg.norm(pca.transform(whole)[0, :dim]) / np.linalg.norm(whole[0]))
    return np.array(ratios)


@pytest.mark.parametrize("dim", [0, 1, 5])
@pytest.mark.parametrize("standardise", [True, False])
def test_score_against_the_authors_computation(dim, standardise):
    ratios = slow(ROWS, dim, standardise=standardise)
    found = learned(dim=dim, standardise=standardise)
    np.testing.assert_allclose(found.score(ROWS), ratios * (ROWS @ WEIGHT.T + BIAS).max(axis=1), rtol=1e-9)
    found = learned(dim=dim, standardise=standardise, logit=False)
    np.testing.assert_allclose(found.score(ROWS), ratios, rtol=1e-9)


def test_the_port_of_maha_norm_standardises_training_images_only():
    scaled = StandardScaler().fit_transform(TRAIN)
    pca = PCA(8).fit(scaled)
    dim = np.where(np.cumsum(pca.explained_variance_ratio_) >= 0.9)[0][0] + 1
    ratios = np.array([np.linalg.norm(pca.transform(row[None])[0, :dim]) / np.linalg.norm(row) for row in ROWS])
    found = learned(definition="maha_norm")
    np.testing.assert_allclose(found.score(ROWS), ratios * (ROWS @ WEIGHT.T + BIAS).max(axis=1), rtol=1e-9)
    assert not np.allclose(found.score(ROWS), learned().score(ROWS), rtol=0.01)
    assert found.variant == "as maha_norm"
    with pytest.raises(ConfigError, match=r"method neco: definition is maha_norm.*: set method\.neco\.standardise"):
        Neco(definition="maha_norm", standardise=False)


def test_all_dimensions_leave_the_largest_logit():
    largest = (ROWS @ WEIGHT.T + BIAS).max(axis=1)
    for found in (learned(dim=8), learned(variance=1.0)):
        np.testing.assert_allclose(found.score(ROWS), largest, rtol=1e-10)


def test_scale_and_shift_of_each_feature_count_only_without_standardising():
    scale = RANDOM.uniform(0.2, 5, 8)
    moved = [values * scale + 4 for values in (TRAIN, ROWS)]
    np.testing.assert_allclose(
        learned(moved[0], logit=False).score(moved[1]), learned(logit=False).score(ROWS), rtol=1e-9
    )
    plain = {"standardise": False, "logit": False}
    assert not np.allclose(learned(moved[0], **plain).score(moved[1]), learned(**plain).score(ROWS), rtol=0.01)


def test_a_rotation_changes_nothing_without_standardising():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    ours = learned(TRAIN @ rotation, WEIGHT @ rotation, standardise=False).score(ROWS @ rotation)
    np.testing.assert_allclose(ours, learned(standardise=False).score(ROWS), rtol=1e-9)


def test_a_feature_that_never_varies_is_centred_only():
    def widened(rows, value):
        return np.column_stack([rows, np.full(len(rows), value)])

    found = learned(widened(TRAIN, 0.3), np.column_stack([WEIGHT, np.zeros(3)]), logit=False)
    np.testing.assert_allclose(found.score(widened(ROWS, 0.3)), learned(logit=False).score(ROWS), rtol=1e-9)
    assert (found.score(widened(ROWS, 50.3)) < 0.5).all()


def test_the_mean_image_has_ratio_0():
    np.testing.assert_array_equal(learned().score(TRAIN.mean(axis=0)[None]), [0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dim": 9}, r"dim is 9, and the features have 8 values: set method\.neco\.dim to at most 8"),
        ({"train": np.full((20, 8), 0.1)}, "no feature varies"),
    ],
)
def test_what_cannot_work_is_refused(changes, message):
    with pytest.raises(ConfigError, match=f"method neco: {message}"):
        learned(**changes)
