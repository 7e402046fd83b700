from dataclasses import dataclass, field

import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.metrics import evaluate
from ood_bench.protocols.base import build_protocol
from ood_bench.protocols.fssd import FssdProtocol
from ood_bench.tuning.logistic import fit_combination


@dataclass
class Stub(Detector):
    """Reads its raw scores off the images and notes which rows it is asked for.

    The first pixel is the statistic. Where the second is 1 and a setting's reach is not above the third, the row goes
    unnoticed: its statistic is then larger than any ID row's.
    """

    reaches: list[float] = field(default_factory=lambda: [0.0])
    joint: int = 1

    def __post_init__(self):
        self.asked = []

    @property
    def block(self):
        return self.joint

    def grid(self):
        return [{"reach": reach} for reach in self.reaches]

    def raw_scores(self, scorer, view, settings):
        assert scorer == "scorer"
        self.asked.append((view.images.name, tuple(view.rows), [setting["reach"] for setting in settings]))
        first, hidden, depth = view.images.images[view.rows, 0, 0].astype(float).T
        return np.stack([np.where((hidden == 1) & (depth >= s["reach"]), 9.0, first)[:, None] for s in settings])


def protocol(**changes):
    return FssdProtocol(name="toy", **{"fit_rows": 20, "select_rows": 10, **changes})


def sets(id_count=50, ood_count=70, undetected=()):
    """ID rows around 5, OOD rows around 0; ``undetected`` gives the depth of the OOD selection rows in file order."""
    random = np.random.default_rng(0)
    inside, outside = np.zeros((id_count, 1, 1, 3), np.uint8), np.zeros((ood_count, 1, 1, 3), np.uint8)
    inside[:, 0, 0, 0] = random.integers(4, 7, id_count)
    outside[:, 0, 0, 0] = random.integers(0, 3, ood_count)
    for row, depth in enumerate(undetected, 20):
        outside[row, 0, 0, 1:] = 1, depth
    return ImageSet.of("inside", inside), ImageSet.of("outside", outside)


def run(stub, method="stub", given=None, **changes):
    return protocol(**changes).run(method, stub, "scorer", *(given or sets()))


def permutation(count, seed=42):
    return np.random.RandomState(seed).permutation(list(range(count)))


def asked(stub, name):
    return [rows for where, rows, _ in stub.asked if where == name]


# Rows


@pytest.mark.parametrize("seed", [42, 7])
def test_rows_are_those_of_the_seeded_permutation_of_each_set(seed):
    stub = Stub([1.0, 0.0])
    outcome = run(stub, given=sets(undetected=range(10)), split_seed=seed)
    inside, outside = permutation(50, seed), permutation(70, seed)
    assert set(asked(stub, "inside")) == {tuple(inside[:20]), tuple(inside[20:30]), tuple(inside[30:])}
    assert set(asked(stub, "outside")) == {tuple(outside[:20]), tuple(outside[20:30]), tuple(outside[30:50])}
    assert (len(outcome.id_scores), len(outcome.ood_scores)) == (20, 20)
    assert f"legacy seed {seed}" in outcome.rows


def test_sets_of_equal_length_get_the_same_permutation():
    stub = Stub()
    run(stub, given=sets(50, 50))
    assert asked(stub, "inside") == asked(stub, "outside")


def test_unshuffled_methods_take_rows_in_order():
    stub = Stub()
    outcome = run(stub, "msp", unshuffled=["msp"])
    assert set(asked(stub, "inside")) == {tuple(range(20)), tuple(range(30, 50))}
    assert set(asked(stub, "outside")) == {tuple(range(20)), tuple(range(30, 50))}
    assert "in file order" in outcome.rows
    other = Stub()
    assert "permuted" in run(other, "odin", unshuffled=["msp"]).rows
    assert asked(other, "inside") != asked(stub, "inside")


@pytest.mark.parametrize(("ood_count", "cut", "whole"), [(70, 20, 40), (50, 20, 20), (45, 15, 15)])
def test_ood_rows_are_cut_to_the_id_count_but_for_uncut_methods(ood_count, cut, whole):
    for uncut, kept in (([], cut), (["other"], cut), (["stub"], whole)):
        outcome = run(Stub(), given=sets(50, ood_count), uncut=uncut)
        assert (len(outcome.id_scores), len(outcome.ood_scores)) == (20, kept)
        assert ("all remaining OOD rows" in outcome.rows) == ("stub" in uncut)


@pytest.mark.parametrize(("joint", "scored"), [(1, 20), (16, 32), (20, 20), (512, 40)])
def test_rows_that_are_scored_jointly_are_cut_after_scoring(joint, scored):
    """The script scores all OOD rows and cuts the scores: the batch that holds the last row kept is a whole one."""
    stub = Stub(joint=joint)
    outcome = run(stub)
    order = permutation(70)[30:]
    assert asked(stub, "outside")[-1] == tuple(order[:scored])
    assert asked(stub, "inside")[-1] == tuple(permutation(50)[30:])
    _, outside = sets()
    expected = np.argsort(outside.images[order[:20], 0, 0, 0].astype(int), kind="stable")
    np.testing.assert_array_equal(np.argsort(outcome.ood_scores, kind="stable"), expected)


def test_no_row_is_used_twice():
    stub = Stub([1.0, 0.0])
    run(stub, given=sets(undetected=range(10)))
    for name in ("inside", "outside"):
        parts = set(asked(stub, name))
        together = [row for rows in parts for row in rows]
        assert len(parts) == 3
        assert len(together) == len(set(together))


def test_the_noise_follows_the_permutation_of_the_ood_set():
    _, outside = sets()
    random = np.random.RandomState(42)
    random.permutation(list(range(70)))
    expected = random.randint(0, 255, (100, 3), "uint8")
    np.testing.assert_array_equal(protocol().generator(outside).randint(0, 255, (100, 3), "uint8"), expected)
    np.testing.assert_array_equal(
        protocol(unshuffled=["stub"]).generator(outside).randint(0, 255, (100, 3), "uint8"), expected
    )
    others = [protocol(split_seed=41).generator(outside), protocol().generator(sets(50, 200)[1])]
    for other in others:
        assert not np.array_equal(other.randint(0, 255, (100, 3), "uint8"), expected)


# Selection


def chosen(depths, reaches):
    """The setting that wins, and the curve, where the selection rows of the OOD set lie at ``depths``."""
    outcome = run(Stub(reaches), given=sets(undetected=depths), unshuffled=["stub"])
    return outcome.setting["reach"], [value for (value,) in outcome.tuning["curve"]]


def test_ties_keep_the_earlier_setting():
    # A reach of r notices the rows at depths below r; at reaches 8 and 9 these are the same seven.
    depths = [0, 1, 2, 3, 4, 5, 6, 9, 9, 9]
    assert chosen(depths, [0.5, 8.0, 9.0, 4.5]) == (8.0, pytest.approx([10.0, 70.0, 70.0, 50.0]))
    assert chosen(depths, [9.0, 8.0, 0.5]) == (9.0, pytest.approx([70.0, 70.0, 10.0]))


def test_a_later_setting_wins_only_if_it_is_strictly_better():
    assert chosen(range(10), [0.5, 8.5, 9.5])[0] == 9.5
    assert chosen(range(10), [8.5, 9.5, 9.7])[0] == 9.5


def test_the_search_starts_from_zero():
    assert chosen([5] * 9 + [9], [1.0, 2.0, 6.0, 5.5]) == (6.0, pytest.approx([0.0, 0.0, 90.0, 90.0]))


def test_no_setting_above_zero_is_an_error_that_says_so():
    with pytest.raises(ConfigError, match=r"no setting of Stub reaches a TNR above 0 at 95 % TPR"):
        chosen([9] * 10, [1.0, 2.0])


def test_the_regression_is_fitted_anew_on_the_fit_rows_alone():
    stub, given = Stub([0.5, 9.5]), sets(undetected=range(10))
    outcome = run(stub, given=given, unshuffled=["stub"])
    assert outcome.setting == {"reach": 9.5}
    inside, outside = (images.images[:, 0, 0, 0].astype(float)[:, None] for images in given)
    combination = fit_combination(inside[:20], outside[:20])
    np.testing.assert_allclose(outcome.id_scores, combination.decision(inside[30:]), rtol=1e-12)
    np.testing.assert_allclose(outcome.ood_scores, combination.decision(outside[30:50]), rtol=1e-12)
    inside_probability, outside_probability = outcome.convention_scores
    np.testing.assert_allclose(inside_probability, combination.probability(inside[30:]), rtol=1e-12)
    np.testing.assert_allclose(outside_probability, combination.probability(outside[30:50]), rtol=1e-12)


class Rounded(Stub):
    """Papers' code ranks float32 values of it."""

    paper_revision = 1


@pytest.mark.parametrize("way", [1, -1])
def test_exact_scores_are_the_methods_own_in_the_direction_of_the_regression(way):
    given = sets(50, 50)[::way]  # backwards, OOD rows have the higher statistic
    outcome = run(Rounded(), given=given, unshuffled=["stub"])
    for ours, probabilities, images in zip(
        (outcome.id_scores, outcome.ood_scores), outcome.convention_scores, given, strict=True
    ):
        np.testing.assert_array_equal(ours, way * images.images[30:, 0, 0, 0].astype(float))
        assert (np.diff(probabilities[np.argsort(ours)]) >= 0).all()


def test_the_curve_is_the_tnr_of_the_papers_convention():
    given, stub = sets(undetected=range(10)), Stub([3.5])
    inside, outside = given
    views = [protocol(unshuffled=["stub"])._split("stub", images, None) for images in given]
    fit = [stub.raw_scores("scorer", view.fit, stub.grid())[0] for view in views]
    select = [stub.raw_scores("scorer", view.select, stub.grid())[0] for view in views]
    combination = fit_combination(*fit)
    expected = evaluate("fssd", *(combination.probability(rows) for rows in select))["tnr95"]
    assert chosen(range(10), [3.5, 1.5])[1][0] == pytest.approx(expected)
    assert expected == pytest.approx(40.0)
    assert (len(inside), len(outside)) == (50, 70)


def test_a_single_setting_needs_no_selection_rows():
    stub = Stub([3.0])
    outcome = run(stub, select_rows=0)
    assert outcome.setting == {"reach": 3.0}
    assert asked(stub, "inside")[-1] == tuple(permutation(50)[20:])
    assert [settings for _, _, settings in stub.asked] == [[3.0]] * 4


# What the record says


def test_what_tuning_saw_is_written_down():
    outcome = run(Stub([1.0, 0.0]), given=sets(undetected=range(10)))
    assert outcome.tuned_on == (
        "20 test rows each of the ID set and of outside fit the logistic regression, 10 more of each choose the "
        "hyperparameters"
    )
    assert outcome.tuning["seen"] == {"inside": 30, "outside": 30}
    assert outcome.tuning["candidates"] == [{"reach": 1.0}, {"reach": 0.0}]
    assert len(outcome.tuning["curve"]) == 2
    single = run(Stub([1.0]))
    assert single.tuned_on == "20 test rows each of the ID set and of outside fit the logistic regression"
    assert single.tuning["seen"] == {"inside": 20, "outside": 20}
    assert single.tuning["curve"] == []


# What is refused


def test_tune_none_wants_one_candidate():
    with pytest.raises(ConfigError, match="method stub has 2 candidate settings: with tune=none give it one of each"):
        protocol(tune="none").check("stub", Stub([1.0, 2.0]))
    protocol(tune="none").check("stub", Stub([1.0]))
    protocol().check("stub", Stub([1.0, 2.0]))


def test_a_choice_needs_rows_to_choose_by():
    with pytest.raises(ConfigError, match=r"method stub has 2 candidate settings: set protocol\.select_rows"):
        protocol(select_rows=0).check("stub", Stub([1.0, 2.0]))
    protocol(select_rows=0).check("stub", Stub([1.0]))


@pytest.mark.parametrize(
    ("changes", "counts", "message"),
    [
        ({}, (30, 70), r"takes 20 \+ 10 rows of inside for validation, but it has only 30: set protocol\.fit_rows"),
        ({}, (50, 30), r"takes 20 \+ 10 rows of outside for validation, but it has only 30: set protocol\.fit_rows"),
        ({"fit_rows": 4}, (50, 70), "fit_rows is 4, 5-fold validation needs more"),
        ({"fit_rows": 0}, (50, 70), "fit_rows is 0, 5-fold validation needs more"),
        ({"select_rows": -10}, (50, 70), "select_rows is -10, it must be at least 0"),
    ],
)
def test_sets_that_are_too_small(changes, counts, message):
    with pytest.raises(ConfigError, match=f"protocol toy.*{message}"):
        protocol(**changes).check_sets(*sets(*counts))


def test_the_smallest_sets_that_work():
    given = sets(31, 31)
    protocol().check_sets(*given)
    outcome = run(Stub(), given=given)
    assert (len(outcome.id_scores), len(outcome.ood_scores)) == (1, 1)


# The shipped file


def test_the_shipped_protocol(toys):
    shipped = build_protocol(toys.content("protocol", "fssd"), "published")
    assert (shipped.fit_rows, shipped.select_rows, shipped.split_seed, shipped.convention) == (500, 500, 42, "fssd")
    assert set(shipped.unshuffled) == {"msp", "outlier_exposure", "deep_ensemble", "mc_dropout"}
    assert shipped.uncut == ["deep_ensemble"]
    steps = [0.2, 0.18, 0.16, 0.14, 0.12, 0.1, 0.08, 0.06, 0.04, 0.02, 0.01, 0.008, 0.006, 0.004, 0.002, 0.001]
    steps += [0.0008, 0.0006, 0.0004, 0.0002, 0.0001, 0.0]
    assert shipped.methods["fssd"] == {
        "taps": ["all"],
        "magnitudes": steps,
        "noise_images": 100,
        "gradient_batch": 512,
    }
    assert shipped.methods["odin"] == {"magnitudes": steps, "temperatures": [1, 10, 100, 1000]}
    maha = [0.02, 0.015, 0.01, 0.009, 0.008, 0.007, 0.006, 0.005, 0.004, 0.003, 0.002, 0.0014, 0.001, 0.0005]
    assert shipped.methods["mahalanobis"] == {"taps": ["all"], "magnitudes": maha}
    assert shipped.methods["deep_ensemble"] == {"members": 5, "combine": "mean_of_max"}
    for method, fixed in shipped.methods.items():
        shipped.check(method, toys.detector(method, **fixed))
