import numpy as np

from benchmarks.ours import bare_pass, every_tap, feature_norms, forward_only
from benchmarks.subjects import mixture
from ood_bench.methods.energy import Energy
from ood_bench.methods.msp import Msp
from ood_bench.methods.odin import Odin
from ood_bench.metrics import measure


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


def test_a_table_holds_the_auroc_of_every_cell(ours, subject):
    detectors = ours.fit({"msp": Msp(), "energy": Energy()})
    sets = [subject.test, *subject.oods]
    known, *others = ours.cold(detectors, sets)
    table = ours.table(detectors, sets)
    assert table.shape == (2, 2)
    assert table[1, 0] == measure("exact", known[0], others[1][0], resamples=0)[1]["auroc"].value


def test_a_grid_holds_the_auroc_of_every_setting(ours, subject):
    mixed = mixture(subject, 6)
    odin = Odin([0.0, 0.004], [1.0, 1000.0])
    found = ours.grid(odin, mixed, 3)
    scores = ours.cold([Odin([0.004], [1.0])], [mixed])[0][0]
    assert found.shape == (4,)
    expected = measure("exact", scores[:3], scores[3:], resamples=0)[1]["auroc"].value
    assert found[odin.grid().index({"epsilon": 0.004, "temperature": 1.0})] == expected
