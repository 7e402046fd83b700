from dataclasses import dataclass, field

import numpy as np
import pytest
from omegaconf import OmegaConf

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.methods.base import Detector
from ood_bench.metrics import odin
from ood_bench.protocols.base import build_protocol
from ood_bench.protocols.odin import OdinProtocol


@dataclass
class Stub(Detector):
    """Reads its raw scores off the images and notes which rows it is asked for.

    The first pixel is the statistic, the second what a magnitude takes off it.
    """

    magnitudes: list[float] = field(default_factory=lambda: [0.0])

    def __post_init__(self):
        self.asked, self.calibrated = [], []

    def grid(self):
        return [{"epsilon": magnitude, "temperature": 1000.0} for magnitude in self.magnitudes]

    def calibrate(self, scorer, setting):
        assert scorer == "scorer"
        self.calibrated.append(setting["epsilon"])

    def raw_scores(self, scorer, view, settings):
        self.asked.append((view.images.name, view.rows[0], view.rows[-1], [s["epsilon"] for s in settings]))
        first, less = view.images.images[view.rows, 0, 0].astype(float).T
        return np.stack([(first - s["epsilon"] * less)[:, None] for s in settings])


def protocol(**changes):
    found = OdinProtocol(name="toy", **{"skip": 10, "stop": 40, **changes})
    found.attach({"mine": sets()[1], "tuning": sets("tuning", 25)[1]})
    return found


def sets(name="outside", count=60, first=100, less=0, id_count=50):
    inside, outside = np.zeros((id_count, 1, 1, 2), np.uint8), np.zeros((count, 1, 1, 2), np.uint8)
    inside[:, 0, 0, 0] = 100 + np.arange(id_count)
    outside[:, 0, 0] = np.stack([first + np.arange(count), np.full(count, less)], axis=1)
    return ImageSet.of("inside", inside), ImageSet.of(name, outside)


def run(stub=None, method="stub", given=None, **changes):
    return protocol(**changes).run(method, stub or Stub(), "scorer", *(given or sets()))


# Rows


def test_rows_from_skip_to_stop_in_file_order():
    stub = Stub()
    outcome = run(stub)
    assert stub.asked == [("inside", 10, 39, [0.0]), ("outside", 10, 39, [0.0])]
    assert outcome.id_scores.tolist() == outcome.ood_scores.tolist() == list(range(110, 140))
    assert outcome.rows == "rows 10 to 39 of the ID test set, 10 to 39 of the OOD set, in file order"
    assert (outcome.tuned_on, outcome.tuning) == ("nothing", None)


@pytest.mark.parametrize(("cut_id", "last"), [(["outside"], 24), (["other"], 39), ([], 39)])
def test_a_short_ood_set_also_ends_the_id_stream_where_it_is_named(cut_id, last):
    stub = Stub()
    outcome = run(stub, given=sets(count=25), cut_id=cut_id)
    assert stub.asked == [("inside", 10, last, [0.0]), ("outside", 10, 24, [0.0])]
    assert outcome.rows == f"rows 10 to {last} of the ID test set, 10 to 24 of the OOD set, in file order"


def test_a_short_id_set_does_not_end_the_ood_stream():
    stub = Stub()
    outcome = run(stub, given=sets(id_count=20))
    assert stub.asked == [("inside", 10, 19, [0.0]), ("outside", 10, 39, [0.0])]
    assert outcome.rows.startswith("rows 10 to 19 of the ID test set, 10 to 39")


def test_other_rows_than_the_papers_are_a_deviation():
    (sentence,) = protocol().deviations
    assert sentence == "Rows 10 to 39 are scored, not 1000 to 9999 as in the paper."
    assert protocol(deviations=["One."]).deviations == ["One.", sentence]


# Settings


def test_published_magnitudes_are_taken_by_ood_set():
    stub = Stub([0.1, 0.2])
    outcome = run(stub, "odin", epsilons={"outside": 0.5, "other": 0.7}, temperature=50.0)
    assert outcome.setting == {"epsilon": 0.5, "temperature": 50.0}
    assert outcome.tuned_on == "images of outside: the magnitude published for this set"
    assert outcome.tuning is None
    for method, tune in (("stub", "published"), ("odin", "none")):
        assert run(Stub([0.1]), method, epsilons={"outside": 0.5}, tune=tune).setting["epsilon"] == 0.1


def test_without_a_published_magnitude_the_only_setting_is_taken():
    assert run(Stub([0.3]), "odin", epsilons={"other": 0.7}).setting["epsilon"] == 0.3


def test_nothing_is_tuned_in_secret_where_a_published_magnitude_is_missing():
    with pytest.raises(ConfigError, match=r"protocol\.epsilons names no magnitude for outside, and method odin has 2"):
        run(Stub([0.1, 0.2]), "odin", epsilons={"tuning": 0.7}, validation="tuning")


# The OOD rows start where the ID rows do: a magnitude of 5 moves them below half of the ten, 100 below all.
SEARCH = {"first": 100, "less": 1}


@pytest.mark.parametrize(
    ("magnitudes", "expected", "fpr"),
    [([0.0, 5.0, 100.0, 101.0], 100.0, [100.0, 50.0, 0.0, 0.0]), ([101.0, 100.0, 5.0], 101.0, [0.0, 0.0, 50.0])],
)
def test_the_lowest_fpr_on_the_skipped_rows_wins_and_the_first_of_equals(magnitudes, expected, fpr):
    stub = Stub(magnitudes)
    outcome = run(stub, given=sets(**SEARCH), tune="per_set")
    assert stub.asked[:2] == [("inside", 0, 9, magnitudes), ("outside", 0, 9, magnitudes)]
    assert [rows[1:] for rows in stub.asked[2:]] == [(10, 39, [expected])] * 2
    assert [value for (value,) in outcome.tuning["curve"]] == pytest.approx(fpr)
    assert outcome.setting["epsilon"] == expected
    assert outcome.tuning["seen"] == {"inside": 10, "outside": 10}
    assert outcome.tuning["candidates"] == stub.grid()
    assert outcome.tuned_on == "the first 10 rows each of the ID test set and of outside"
    assert stub.calibrated == [*magnitudes, expected]


def test_the_search_can_use_another_ood_set():
    stub, given = Stub([0.0, 100.0]), sets(first=200, less=0)
    tuning = sets("other", 60, **SEARCH)[1]
    found = OdinProtocol(name="toy", skip=10, stop=40, tune="validation_ood", validation="x")
    found.attach({"x": tuning})
    outcome = found.run("stub", stub, "scorer", *given)
    assert [name for name, *_ in stub.asked] == ["inside", "other", "inside", "outside"]
    assert outcome.setting["epsilon"] == 100.0
    assert outcome.tuning["seen"] == {"inside": 10, "other": 10}
    assert outcome.tuned_on == "the first 10 rows each of the ID test set and of other"


# Metrics


class Maxima(Stub):
    """Papers' code ranks softmax maxima of it, from a little above ``start``."""

    paper_revision = 1
    start = 0.1

    def paper_scores(self, scorer, view, settings):
        return self.start + self.raw_scores(scorer, view, settings) * 1e-6


@pytest.mark.parametrize(
    ("method", "changes", "start", "grid"),
    [
        ("msp", {}, 0.1, "official"),
        ("msp", {}, 0.0998, "data"),
        ("odin", {"classes": 100}, 0.01, "official"),
        ("odin", {"classes": 100}, 0.0103, "data"),
        ("odin", {"classes": 12}, 0.1, "data"),
        ("odin", {"epsilons": {"outside": 0.0}, "temperature": 10.0}, 0.1, "data"),
        ("fssd", {}, 0.1, "data"),
    ],
)
def test_the_official_grid_is_for_softmax_maxima_it_was_made_for(monkeypatch, method, changes, start, grid):
    monkeypatch.setattr(Maxima, "start", start)
    outcome = run(Maxima(), method, **changes)
    row = "msp" if method == "msp" else "odin"
    assert dict(outcome.convention_options) == {"row": row, "classes": changes.get("classes", 10), "grid": grid}
    np.testing.assert_allclose(outcome.convention_scores[0], start + outcome.id_scores * 1e-6, rtol=1e-12)
    np.testing.assert_allclose(outcome.convention_scores[1], start + outcome.ood_scores * 1e-6, rtol=1e-12)
    off = grid == "data" and method in ("msp", "odin") and changes.get("temperature", 1000) == 1000
    assert [note.split(" which")[0] for note in outcome.notes] == off * [
        "Scores lie outside the released code's fixed grid of thresholds,"
    ]


def test_another_convention_gets_no_options_of_the_grid():
    outcome = run(Maxima(), "msp", convention="exact")
    assert (outcome.convention_scores, outcome.convention_options, outcome.notes) == (None, {}, ())


def test_real_detectors_give_softmax_maxima(toys, monkeypatch):
    monkeypatch.setitem(odin._OFFICIAL, ("odin", 4), (0.25, 0.26))
    inside, outside = toys.image_set("id", 30), toys.image_set("blend", 30)
    found, using = toys.fitted("odin", magnitudes=[0.01])
    outcome = OdinProtocol(name="toy", skip=4, stop=20, classes=4).run("odin", found, using, inside, outside)
    for maxima in outcome.convention_scores:
        assert maxima.shape == (16,)
        assert ((maxima > 0.25) & (maxima < 0.26)).all()
    np.testing.assert_allclose(np.log(outcome.convention_scores[0]), outcome.id_scores, rtol=1e-6)  # float32


# Identity and generator


def test_the_pixels_of_the_validation_set_belong_to_the_identity():
    def key(tune, pixels):
        found = OdinProtocol(name="toy", tune=tune, validation="x")
        found.attach({"x": sets("x", pixels)[1]})
        return found.identity()

    assert key("validation_ood", 60) != key("validation_ood", 61)
    assert key("per_set", 60) == key("per_set", 61)
    assert key("per_set", 60) != key("validation_ood", 60)
    assert "deviations" not in key("per_set", 60)


def test_the_generator_follows_the_seed_alone():
    draws = [
        protocol(seed=seed).generator(sets(count=count)[1]).randint(0, 255, 9) for seed, count in ((3, 60), (3, 61))
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    np.testing.assert_array_equal(draws[0], np.random.RandomState(3).randint(0, 255, 9))


# What is refused


@pytest.mark.parametrize(
    ("tune", "method", "changes"),
    [
        ("none", "odin", {}),
        ("published", "odin", {}),
        ("none", "odin", {"epsilons": {"outside": 0.1}}),
        ("published", "fssd", {"epsilons": {"outside": 0.1}}),
    ],
)
def test_several_candidates_need_something_that_chooses(tune, method, changes):
    with pytest.raises(ConfigError, match=f"method {method} has 2 candidate settings: use tune=per_set"):
        protocol(tune=tune, **changes).check(method, Stub([0.1, 0.2]))


@pytest.mark.parametrize(("skip", "stop"), [(-1, 10), (10, 10), (11, 10)])
def test_rows_that_do_not_exist(skip, stop):
    with pytest.raises(ConfigError, match=r"protocol toy: skip \(-?\d+\) must be below stop"):
        OdinProtocol(name="toy", skip=skip, stop=stop)


@pytest.mark.parametrize("counts", [{"count": 19}, {"id_count": 19}, {"count": 10}])
def test_sets_of_which_less_would_be_scored_than_skipped(counts):
    refused = r"protocol toy skips the first 10 rows of .*, which has only \d+, .*: set protocol\.skip=0; tables"
    with pytest.raises(ConfigError, match=refused):
        protocol().check_sets(*sets(**counts))
    with pytest.raises(ConfigError, match=r"set protocol\.skip lower"):
        protocol(tune="per_set").check_sets(*sets(**counts))
    protocol().check_sets(*sets(count=20, id_count=20))
    protocol(skip=0).check_sets(*sets(count=1, id_count=1))


def test_a_set_may_take_the_magnitude_of_the_one_that_it_stands_for():
    options = {"epsilons": {"original": 0.3}, "stands_for": {"rebuilt": "original"}}
    found = protocol(**options)
    outcome = found.run("odin", Stub([0.1]), "scorer", *sets("rebuilt"))
    assert outcome.setting == {"epsilon": 0.3, "temperature": 1000.0}
    assert outcome.tuned_on == "images of original: the magnitude published for this set, for which rebuilt stands in"
    assert found.run("odin", Stub([0.1]), "scorer", *sets("other")).setting["epsilon"] == 0.1
    assert found.identity()["stands_for"] == {"rebuilt": "original"}
    assert "stands_for" not in protocol().identity()


@pytest.mark.parametrize("tune", ["per_set", "validation_ood"])
def test_a_choice_needs_skipped_rows(tune):
    with pytest.raises(ConfigError, match=r"protocol\.skip=0 leaves no rows to tune method odin on"):
        protocol(skip=0, tune=tune, validation="tuning").check("odin", Stub([0.1, 0.2]))
    protocol(skip=0, tune=tune, validation="tuning").check("odin", Stub([0.1]))


def test_the_validation_set_must_be_one_of_the_runs():
    with pytest.raises(
        ConfigError, match=r"protocol\.validation is 'isun', which is none of this run's OOD sets \(mine, "
    ):
        protocol(tune="validation_ood", validation="isun")


def test_the_shipped_protocol(toys):
    file = OmegaConf.load(toys.CONF / "protocol" / "odin.yaml")
    whole = OmegaConf.to_container(OmegaConf.merge({"id": {"classes": 100}}, file), resolve=True)
    shipped = build_protocol({key: value for key, value in whole.items() if key != "id"}, "published")
    assert (shipped.skip, shipped.stop, shipped.cut_id, shipped.classes) == (1000, 10000, ["isun"], 100)
    assert (shipped.convention, shipped.temperature, shipped.validation) == ("odin", 1000.0, "isun")
    for method in toys.METHODS:
        shipped.check(method, toys.detector(method))
