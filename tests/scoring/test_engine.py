import numpy as np
import pytest
import torch

from ood_bench.data.imageset import ImageSet
from ood_bench.scoring.engine import Engine, View
from ood_bench.scoring.quantities import LOGITS, Distance, Flat, Mean, Quantity

CONV = Quantity("conv1", Mean())
HIDDEN = Quantity("fc1", Flat())


@pytest.fixture
def images(toys):
    return toys.image_set("near", 20)


def files(root):
    return sorted(path for path in root.rglob("*.npy"))


def npy(array):
    return array.dtype, array.shape


# What a pass leaves behind


def test_each_quantity_against_a_run_of_each_image_alone(images, toys):
    classifier = toys.classifier()
    centre = np.random.default_rng(0).random((64, 4, 4), dtype=np.float32)
    far = Quantity("conv2", Distance(centre))
    bank = Engine(None, 7).collect(classifier, images, [LOGITS, CONV, far, Quantity("conv2", Flat()), HIDDEN])
    network = toys.double(classifier)
    with torch.no_grad():
        for row, x in enumerate(toys.inputs(images)):
            taps = {tap: toys.tap_value(network, tap, x[None])[0].numpy() for tap in classifier.taps}
            expected = {
                LOGITS: taps["logits"],
                CONV: [channel.mean() for channel in taps["conv1"]],
                far: [np.sqrt(((taps["conv2"] - centre) ** 2).sum())],
                Quantity("conv2", Flat()): taps["conv2"].ravel(),
                HIDDEN: taps["fc1"],
            }
            for quantity, value in expected.items():
                np.testing.assert_allclose(bank[quantity][row], value, rtol=1e-5, atol=1e-5)
    assert {npy(rows) for rows in bank.values()} == {
        (np.dtype(np.float32), (20, width)) for width in (4, 32, 1, 64 * 16, 128)
    }


def test_images_go_through_in_batches_of_the_size_asked_for(images, toys):
    classifier, sizes = toys.classifier(), []
    handle = classifier.scoring_network.register_forward_pre_hook(lambda _module, found: sizes.append(len(found[0])))
    Engine(None, 8).collect(classifier, images, [LOGITS])
    handle.remove()
    assert sizes == [8, 8, 4]
    assert Engine(None, 8).batch_size(classifier) == 8


def test_all_forward_only_methods_together_cost_one_pass(images, toys):
    """As the runner does it: all ask first, one pass answers, then nothing runs any more."""
    using = toys.scorer_with(toys.classifier())
    changes = {"mahalanobis": {"taps": ["all"]}, "deep_ensemble": {"members": 1}, "feature_norm": {"tap": "conv2"}}
    names = ["msp", "mahalanobis", "fssd", "deep_ensemble", "outlier_exposure", "energy", "feature_norm"]
    detectors = [toys.detector(name, **changes.get(name, {})) for name in names]
    for detector in detectors:
        detector.fit(using, np.random.RandomState(0))
    with toys.counting(using.classifier) as counts:
        wanted = [quantity for detector in detectors for quantity in detector.quantities(using.classifier)]
        using.engine.collect(using.classifier, images, wanted)
        assert set(counts.values()) == {20}
        for detector in detectors:
            detector.raw_scores(using, View(images), detector.grid())
            detector.raw_scores(using, View(images, np.arange(5)), detector.grid())
    assert counts[""] == 20
    assert set(counts.values()) == {20}
    assert "backward" not in counts


def test_methods_with_steps_share_the_clean_pass_with_all_others(images, toys):
    """One forward pass and three gradients; each step's own pass ends at its tap."""
    using = toys.scorer_with(toys.classifier())
    odin = toys.detector("odin", magnitudes=[0.1])
    mahalanobis = toys.detector("mahalanobis", magnitudes=[0.1], taps=["conv1", "fc1"])
    mahalanobis.fit(using, np.random.RandomState(0))
    detectors = [odin, mahalanobis]
    steps = [one for detector in detectors for one in detector.steps(using, detector.grid())]
    with toys.counting(using.classifier) as counts:
        bank = using.engine.collect(using.classifier, images, [LOGITS, CONV], steps)
        assert (counts[""], counts["conv2"], counts["fc2"], counts["backward"]) == (80, 60, 40, 60)
        together = [detector.raw_scores(using, View(images), detector.grid()) for detector in detectors]
        assert counts[""] == 80
    np.testing.assert_array_equal(bank[CONV], Engine(None).collect(using.classifier, images, [CONV])[CONV])
    for detector, ours in zip(detectors, together, strict=True):
        alone = detector.raw_scores(toys.scorer_with(using.classifier), View(images), detector.grid())
        np.testing.assert_allclose(ours, alone, rtol=1e-6)


def test_steps_with_batches_of_their_own_have_a_pass_of_their_own(images, toys):
    using, found = toys.scorer_with(toys.classifier()), toys.detector("fssd", magnitudes=[0.1], gradient_batch=7)
    found.fit(using, np.random.RandomState(0))
    steps, sizes = found.steps(using, found.grid()), set()
    using.classifier.scoring_network.register_forward_pre_hook(lambda _module, given: sizes.add(len(given[0])))
    with toys.counting(using.classifier) as counts:
        using.engine.collect(using.classifier, images, [LOGITS], steps)
    assert counts[""] == 20 * (1 + 1 + len(steps))
    assert sizes == {20, 7, 6}


def test_only_what_is_missing_is_computed(images, toys):
    engine, classifier = Engine(None, 8), toys.classifier()
    first = engine.collect(classifier, images, [LOGITS])
    with toys.counting(classifier) as counts:
        both = engine.collect(classifier, images, [CONV, LOGITS, LOGITS])
        assert counts[""] == 20
        engine.collect(classifier, images, [LOGITS, CONV])
        assert counts[""] == 20
        assert engine.collect(classifier, images, []) == {}
    assert list(both) == [CONV, LOGITS]
    assert both[LOGITS] is first[LOGITS]


# Banks on disk


def test_a_second_engine_reads_the_bank_and_runs_nothing(images, toys, tmp_path):
    classifier, wanted = toys.classifier(), [LOGITS, CONV]
    first = Engine(tmp_path, 8).collect(classifier, images, wanted)
    with toys.counting(classifier) as counts:
        second = Engine(tmp_path, 5).collect(classifier, images, wanted)
    assert counts == {}
    for quantity in wanted:
        np.testing.assert_array_equal(first[quantity], second[quantity])
    assert [path.name for path in files(tmp_path)] == ["conv1-mean.npy", "output-flat.npy"]


def test_an_engine_without_a_folder_writes_nothing(images, toys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    engine = Engine(None)
    engine.collect(toys.classifier(), images, [LOGITS])
    engine.cached("x", {}, lambda: np.zeros(2))
    assert list(tmp_path.iterdir()) == []


def save(array):
    return lambda path: np.save(path, array)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "header cut": lambda path: path.write_bytes(path.read_bytes()[:60]),
    "rows cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a web page": lambda path: path.write_bytes(b"<html>quota exceeded</html>" * 40),
    "too few rows": save(np.zeros((19, 4), np.float32)),
    "another type": save(np.zeros((20, 4), np.float64)),
    "another form": save(np.zeros(20, np.float32)),
    "objects": lambda path: np.save(path, np.array([{}] * 20), allow_pickle=True),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_bank_is_made_again(kind, images, toys, tmp_path, caplog):
    classifier = toys.classifier()
    whole = Engine(tmp_path, 8).collect(classifier, images, [LOGITS, CONV])
    damaged = next(path for path in files(tmp_path) if path.name == "output-flat.npy")
    DAMAGE[kind](damaged)
    with toys.counting(classifier) as counts:
        again = Engine(tmp_path, 8).collect(classifier, images, [LOGITS, CONV])
    assert counts[""] == 20
    np.testing.assert_allclose(again[LOGITS], whole[LOGITS], rtol=1e-6)
    np.testing.assert_array_equal(np.load(damaged), again[LOGITS])
    assert str(damaged) in caplog.text
    assert "is made again" in caplog.text


def test_a_bank_belongs_to_weights_normalisation_and_pixels(images, toys, tmp_path):
    network, moved = toys.classifier().network, images.images.copy()
    moved[3, 1, 2, 2] ^= 1
    engine = Engine(tmp_path, 8)
    variants = [
        (toys.classifier(), images),
        (toys.classifier(seed=1), images),
        (toys.classifier_of(network, mean=(0.5, 0.4, 0.61)), images),
        (toys.classifier_of(network, std=(0.2, 0.35, 0.61)), images),
        (toys.classifier(), ImageSet.of("toy_near", moved)),
        (toys.classifier(), ImageSet.of("toy_near", images.images[::-1].copy())),
    ]
    for number, (classifier, pixels) in enumerate(variants):
        with toys.counting(classifier) as counts:
            engine.collect(classifier, pixels, [LOGITS])
        assert counts[""] == 20, number
        assert len(files(tmp_path)) == number + 1
    assert len({path.parent for path in files(tmp_path)}) == 6


def test_the_same_content_under_another_name_shares_its_bank(images, toys):
    engine, classifier = Engine(None), toys.classifier()
    engine.collect(classifier, images, [LOGITS])
    with toys.counting(classifier) as counts:
        engine.collect(classifier, ImageSet.of("other", images.images.copy()), [LOGITS])
        engine.collect(toys.classifier_of(classifier.network), images, [LOGITS])
    assert counts == {}


def test_distances_to_different_points_have_different_files(images, toys, tmp_path):
    engine, classifier = Engine(tmp_path), toys.classifier()
    points = [Quantity("logits", Distance(np.full(4, value, np.float32))) for value in (0.0, 1.0)]
    first, second = engine.collect(classifier, images, points).values()
    assert len(files(tmp_path)) == 2
    assert not np.allclose(first, second)


# Derived arrays


def counted():
    calls = []

    def compute():
        calls.append(None)
        return np.arange(6.0).reshape(2, 3)

    return calls, compute


def test_derived_arrays_are_computed_once_in_memory_and_on_disk(tmp_path):
    calls, compute = counted()
    for root in (None, tmp_path):
        engine = Engine(root)
        for _ in range(2):
            np.testing.assert_array_equal(engine.cached("a", {"x": [1, 2.5]}, compute), np.arange(6.0).reshape(2, 3))
    assert len(calls) == 2  # one for each engine
    np.testing.assert_array_equal(Engine(tmp_path).cached("a", {"x": [1, 2.5]}, compute), np.arange(6.0).reshape(2, 3))
    assert len(calls) == 2


def test_another_identity_or_name_is_another_array(tmp_path):
    calls, compute = counted()
    engine = Engine(tmp_path)
    for what, identity in (("a", {"x": 1}), ("a", {"x": 2}), ("b", {"x": 1}), ("a", {"x": 1, "y": 0})):
        engine.cached(what, identity, compute)
    assert len(calls) == len(files(tmp_path)) == 4
    engine.cached("a", {"y": 0, "x": 1}, compute)  # the order of keys is no difference
    assert len(calls) == 4


@pytest.mark.parametrize("kind", ["empty", "header cut", "rows cut", "a web page", "objects"])
def test_a_damaged_derived_array_is_computed_again(kind, tmp_path, caplog):
    calls, compute = counted()
    Engine(tmp_path).cached("a", {}, compute)
    (path,) = files(tmp_path)
    DAMAGE[kind](path)
    np.testing.assert_array_equal(Engine(tmp_path).cached("a", {}, compute), np.arange(6.0).reshape(2, 3))
    assert len(calls) == 2
    np.testing.assert_array_equal(np.load(path), np.arange(6.0).reshape(2, 3))
    assert f"{path} is damaged" in caplog.text


def test_methods_find_their_own_results_again_and_no_others(images, toys, tmp_path):
    """Nothing that changes a stepped score may be missing from its identity."""
    cases = [
        ("odin", {"magnitudes": [0.01]}, images),
        ("odin", {"magnitudes": [0.02]}, images),
        ("odin", {"magnitudes": [0.01], "temperatures": [1.0]}, images),
        ("fssd", {"magnitudes": [0.01], "taps": ["conv1"]}, images),
        ("fssd", {"magnitudes": [0.01], "taps": ["conv1"], "gradient_batch": 3}, images),
        ("fssd", {"magnitudes": [0.01], "taps": ["conv1"], "noise_images": 99}, images),
        ("mahalanobis", {"magnitudes": [0.01], "taps": ["conv1"]}, images),
        ("mahalanobis", {"magnitudes": [0.01], "taps": ["conv2"]}, images),
        ("mahalanobis", {"magnitudes": [0.02], "taps": ["conv2"]}, images),
        ("mahalanobis", {"magnitudes": [0.02], "taps": ["conv2"]}, toys.image_set("near", 19)),
    ]
    values = []
    for method, changes, pixels in cases:
        using = toys.scorer_with(toys.classifier(), root=tmp_path)
        values.append(toys.raw_scores(method, View(pixels), using=using, **changes))
        fresh = toys.raw_scores(method, View(pixels), using=toys.scorer_with(toys.classifier()), **changes)
        np.testing.assert_allclose(values[-1], fresh, rtol=1e-6)
    assert len(files(tmp_path / "derived")) == len(cases)
    for method, changes, pixels in cases:
        found, using = toys.fitted(method, using=toys.scorer_with(toys.classifier(), root=tmp_path), **changes)
        with toys.counting(using.classifier) as counts:
            again = found.raw_scores(using, View(pixels), found.grid())
        assert counts == {}
        np.testing.assert_array_equal(again, values.pop(0))


@pytest.mark.parametrize("change", ["labels", "classifier", "rows"])
def test_what_else_a_stepped_score_depends_on(change, images, toys, tmp_path):
    """Not in the detector: the training labels, the weights, the rows and their order."""
    changes = {"magnitudes": [0.02], "taps": ["fc1"]}
    toys.raw_scores("mahalanobis", View(images), using=toys.scorer_with(toys.classifier(), root=tmp_path), **changes)
    train = ImageSet.of("other", toys.TRAIN.images, toys.TRAIN.labels // 2) if change == "labels" else toys.TRAIN
    classifier = toys.classifier(seed=1) if change == "classifier" else toys.classifier()
    view = View(images, np.arange(20)[::-1].copy()) if change == "rows" else View(images)
    ours, fresh = (
        toys.raw_scores("mahalanobis", view, using=toys.scorer_with(classifier, train=train, root=root), **changes)
        for root in (tmp_path, None)
    )
    np.testing.assert_allclose(ours, fresh, rtol=1e-6)
