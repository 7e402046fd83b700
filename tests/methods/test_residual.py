import numpy as np
import pytest
from last_layer import learner
from sklearn.decomposition import TruncatedSVD

from ood_bench.errors import ConfigError
from ood_bench.methods.residual import Residual, principal_dim

RANDOM = np.random.default_rng(0)
WEIGHT, BIAS = RANDOM.normal(size=(3, 8)), RANDOM.normal(size=3)
SPREAD = np.array([9, 5, 4, 3, 2, 1, 0.5, 0.2])
TRAIN, ROWS = 2 + RANDOM.normal(size=(200, 8)) * SPREAD, RANDOM.normal(size=(40, 8)) * 3
learned = learner(Residual, TRAIN, WEIGHT, BIAS, dim=3)


def origin():
    """The shortest of the points at which all logits are 0."""
    return np.linalg.lstsq(WEIGHT, -BIAS, rcond=None)[0]


def slow(dim):
    """What is left of each row beside its projections on the right singular vectors of the training rows."""
    principal = np.linalg.svd(TRAIN - origin())[2][:dim]
    left = [(row - origin()) - sum(((row - origin()) @ axis) * axis for axis in principal) for row in ROWS]
    return [-np.sqrt(sum(value**2 for value in row)) for row in left]


@pytest.mark.parametrize("dim", [1, 3, 7])
def test_score_against_the_formula(dim):
    np.testing.assert_allclose(learned(dim=dim).score(ROWS), slow(dim), rtol=1e-9)


def test_scikit_learns_decomposition_without_centring_agrees():
    svd = TruncatedSVD(3, algorithm="arpack", random_state=0).fit(TRAIN - origin())
    centred = ROWS - origin()
    rest = centred - svd.inverse_transform(svd.transform(centred))
    np.testing.assert_allclose(learned().score(ROWS), -np.linalg.norm(rest, axis=1), rtol=1e-8)


def test_the_origin_and_the_principal_space_have_no_residual():
    principal = np.linalg.svd(TRAIN - origin())[2][:3]
    inside = origin() + RANDOM.normal(size=(5, 3)) @ principal
    np.testing.assert_allclose(learned().score(np.vstack([origin(), inside])), 0, atol=1e-12)


def test_a_rotation_changes_nothing_and_a_scale_scales():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(8, 8)))
    ours = learned().score(ROWS)
    np.testing.assert_allclose(learned(TRAIN @ rotation, WEIGHT @ rotation).score(ROWS @ rotation), ours, rtol=1e-9)
    np.testing.assert_allclose(learned(TRAIN * 7, WEIGHT / 7).score(ROWS * 7), 7 * ours, rtol=1e-9)


@pytest.mark.parametrize(("width", "dim"), [(4096, 1000), (2048, 1000), (1024, 512), (768, 512), (512, 256), (9, 4)])
def test_dim_0_follows_the_authors_rule(width, dim):
    assert principal_dim(width) == dim


def test_dim_0_of_narrow_features_is_half_their_width():
    np.testing.assert_array_equal(learned(dim=0).score(ROWS), learned(dim=4).score(ROWS))


@pytest.mark.parametrize(
    ("train", "dim", "message"),
    [
        (TRAIN, 8, r"dim is 8, and the features have 8 values.*: set method\.residual\.dim below 8"),
        (TRAIN[:3], 3, r"lie within 3 directions.*: set method\.residual\.dim lower"),
        (TRAIN * [1, 1, 1, 1, 0, 0, 0, 0] + origin() * [0, 0, 0, 0, 1, 1, 1, 1], 4, "lie within 4 directions"),
    ],
)
def test_a_fit_that_leaves_nothing_is_refused(train, dim, message):
    with pytest.raises(ConfigError, match=f"method residual: .*{message}"):
        learned(train, dim=dim)


def test_it_reads_the_networks_features_and_last_layer(toys):
    found, using = toys.fitted("residual")
    layer = using.classifier.network.fc2
    np.testing.assert_allclose(found.weight @ found._space.origin, -layer.bias.detach().double(), atol=1e-12)
