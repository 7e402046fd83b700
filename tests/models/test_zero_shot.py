import numpy as np
import pytest
import torch
from torchvision.models import get_model

from ood_bench.checkpoints.naming import fit
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import build_detector
from ood_bench.models.classifier import Classifier, build_network, freeze
from ood_bench.scoring.engine import Engine
from ood_bench.utils.files import sha256_file

LENET = {"_target_": "ood_bench.models.lenet.LeNet", "name": "lenet"}
TORCHVISION = {
    "_target_": "ood_bench.models.torchvision_model.TorchvisionModel",
    "name": "torchvision_resnet18",
    "torchvision_name": "resnet18",
    "taps": {"pooled": "avgpool"},
    "penultimate": "pooled",
}


@pytest.fixture
def model(tmp_path):
    """A ``conf/model`` with five classes' embeddings of different lengths; the option ``rows`` saves others."""

    def make(rows=None, **changes):
        rows = np.random.default_rng(0).normal(0, 3, (5, 16)) if rows is None else rows
        np.save(tmp_path / "text.npy", rows)
        plain = {
            "_target_": "ood_bench.models.zero_shot.ZeroShot",
            "name": "zero_shot",
            "tower": LENET,
            "weights_file": str(tmp_path / "text.npy"),
            "weights_sha256": sha256_file(tmp_path / "text.npy"),
            "tau": 0.5,
        }
        return {**plain, **changes}

    return make


def noise(count):
    return ImageSet.of("noise", np.random.default_rng(1).integers(0, 256, (count, 1, 8, 8), dtype=np.uint8))


def built(model, shape=(1, 8, 8), classes=5):
    torch.manual_seed(0)
    return freeze(build_network(model, shape, classes))


def test_logits_are_cosines_over_tau(model):
    network, text = built(model()), np.random.default_rng(0).normal(0, 3, (5, 16))
    x = torch.randn(4, 1, 8, 8)
    for row, image in zip(network(x), network.net(x).double().numpy(), strict=True):
        cosines = [image @ one / np.linalg.norm(image) / np.linalg.norm(one) for one in text]
        np.testing.assert_allclose(row, np.array(cosines) / 0.5, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("tau", [1.0, 0.01])
def test_msp_is_maximum_concept_matching(model, tau):
    """Scored by the engine, on the folded copy; every method that reads the last layer finds it."""
    network, shown = built(model(tau=tau)), noise(12)
    card = {"weights_sha256": "x", "spec": {"model": {"name": "zero_shot"}, "shape": [1, 8, 8], "classes": 5}}
    card["spec"]["normalisation"] = {"mean": [0.3], "std": [0.25]}
    given = Classifier(network, (0.3,), (0.25,), card)
    engine = Engine(None)
    rows = engine.collect(given, shown, build_detector("msp", MSP).quantities(given))
    found = build_detector("msp", MSP).score(next(iter(rows.values())).astype(np.float64))
    embeddings = network.net(given.normalise(torch.from_numpy(shown.images))).double()
    text = torch.from_numpy(np.random.default_rng(0).normal(0, 3, (5, 16)))
    cosines = torch.nn.functional.cosine_similarity(embeddings[:, None], text[None], dim=2)
    expected = torch.softmax(cosines / tau, dim=1).amax(dim=1)
    np.testing.assert_allclose(np.exp(found), expected, rtol=3e-5)
    head = engine.head(given, shown)
    np.testing.assert_allclose(np.linalg.norm(head.weight, axis=1), 1 / tau, rtol=1e-5)


MSP = {"_target_": "ood_bench.methods.msp.Msp"}


def test_a_checkpoint_holds_the_image_tower_only(model):
    """With the library's own names; the text embeddings are not learned, and not in the state."""
    network = built(model(tower=TORCHVISION), shape=(3, 32, 32))
    assert network.taps == {"pooled": "net.avgpool", "embedding": "embedding"}
    theirs = get_model("resnet18", weights=None, num_classes=16).eval()
    network.load_state_dict(fit(theirs.state_dict(), network).state)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network.net(x), theirs(x))
    assert all(name.startswith("net.") for name in network.state_dict())
    assert len(list(network.parameters())) == len(list(theirs.parameters()))


def test_another_file_under_the_same_name_is_refused(model, tmp_path):
    meant = model()
    np.save(tmp_path / "text.npy", np.ones((5, 16)))
    with pytest.raises(ConfigError, match=r"has the SHA-256 .* and model\.weights_sha256 is") as error:
        built(meant)
    assert error.value.hint == f"if this is the file, set model.weights_sha256={sha256_file(tmp_path / 'text.npy')}"


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        (None, {"weights_sha256": ""}, r"model\.weights_sha256 is not given"),
        (None, {"weights_file": "nowhere.npy"}, r"model\.weights_file: cannot read nowhere\.npy"),
        (None, {"tau": 0.0}, r"model\.tau is 0"),
        (np.ones((4, 16)), {}, r"holds float64 \(4, 16\), not one row of floats for each of 5 classes"),
        (np.ones((5, 16), dtype=np.int64), {}, r"holds int64"),
        (np.ones(5), {}, r"holds float64 \(5,\)"),
        (np.zeros((5, 16)), {}, r"holds NaN, infinity, or a row of zeros"),
        (np.full((5, 16), np.nan), {}, r"holds NaN, infinity, or a row of zeros"),
        (np.array([None] * 5), {}, r"cannot read"),
    ],
)
def test_what_is_no_text_embedding_of_the_classes_is_refused(model, rows, changes, message):
    with pytest.raises(ConfigError, match=message):
        built(model(rows, **changes))
