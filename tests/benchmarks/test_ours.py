import numpy as np

from benchmarks.ours import bare_pass, every_tap, feature_norms, forward_only
from ood_bench.methods.msp import Msp
from ood_bench.methods.odin import Odin


def test_forward_only_methods_are_those_that_read_the_shared_pass():
    names = set(forward_only())
    assert {"msp", "energy", "mahalanobis", "feature_norm", "fssd"} <= names
    assert not {"odin", "mc_dropout", "deep_ensemble", "outlier_exposure"} & names


def test_every_block_has_a_norm(subject):
    detectors = feature_norms(subject.classifier)
    assert list(detectors) == [f"feature_norm block{s}.{b}" for s in (1, 2, 3) for b in (1, 2, 3)]
    quantities = {detector.quantities(subject.classifier) for detector in detectors.values()}
    assert len(quantities) == 9


def test_the_bare_pass_sees_every_image_once(subject):
    seen = []
    handle = subject.classifier.network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    bare_pass(subject.classifier, subject.test, 4)
    handle.remove()
    assert seen == [4, 2]


def test_scores_are_the_same_from_an_empty_and_from_a_warm_store(ours, subject, tmp_path):
    detectors = ours.fit({"msp": Msp(), "odin": Odin(), **every_tap()})
    sets = [subject.test, *subject.oods]
    cold, warm = ours.cold(detectors, sets), ours.scores(detectors, sets, tmp_path / "warm")
    again = ours.scores(detectors, sets, tmp_path / "warm")
    assert [rows.shape for rows in cold] == [(3, 6)] * 3
    for one, other, third in zip(cold, warm, again, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, third)
    assert [path.name for path in tmp_path.iterdir()] == ["warm"]


def test_one_pass_over_each_set_serves_all_forward_only_methods(ours, subject):
    detectors = ours.fit({**forward_only(), **every_tap(), **feature_norms(subject.classifier)})
    seen = []
    handle = subject.classifier.scoring_network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    ours.cold(detectors, [subject.test, subject.oods[0]])
    handle.remove()
    assert sum(seen) == len(subject.test) + len(subject.oods[0])
