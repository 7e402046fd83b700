import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import ood_bench
from ood_bench.data.imageset import ImageSet
from ood_bench.store.speeds import trained_cards
from ood_bench.sweep import estimate
from ood_bench.sweep.estimate import Estimator, duration


def card(model="lenet", recipe="quickstart", epochs=4, images=100, seconds=800.0):
    return {
        "spec": {"model": {"name": model}},
        "recipe": recipe,
        "history": [{}] * epochs,
        "data": {"n": images},
        "trained_seconds": seconds,
    }


def test_training_is_scaled_by_images_and_epochs(job):
    (spec,) = job("method=msp", "train.epochs=3").classifiers
    assert Estimator([], [card()]).training(spec) == pytest.approx(2.0 * 3 * len(spec.data))
    assert Estimator([], [card(recipe="other", seconds=400.0)]).training(spec) == pytest.approx(3.0 * len(spec.data))
    both = Estimator([], [card(), card(recipe="other", seconds=1.0)])
    assert both.training(spec) == pytest.approx(2.0 * 3 * len(spec.data))
    assert Estimator([], [card(model="resnet18")]).training(spec) is None


def test_cards_of_torn_classifiers_do_not_count(tmp_path):
    whole = card() | {"key": "0123", "id_accuracy": 90.0}
    whole["spec"] |= {"seed": 0, "recipe": {"compile": False}}
    for name in ("lenet-0123", "lenet-0123.torn"):
        (tmp_path / "classifiers" / name).mkdir(parents=True)
        (tmp_path / "classifiers" / name / "classifier.json").write_text(json.dumps(whole))
    assert trained_cards(tmp_path) == [whole]


def test_cells_cost_what_similar_ones_cost(job, toy):
    ood_bench.run([*toy, "method=msp"])
    estimator = Estimator.of([job("method=[msp,energy]", "seed=1")])
    cells = {cell.method: cell for cell in job("method=[msp,energy]", "seed=1").cells}
    assert estimator.cell(cells["msp"]) > 0
    assert estimator.cell(cells["energy"]) is None
    assert estimator.unknown([job("method=[msp,energy]", "seed=1")]) == 1


def test_cells_are_scaled_by_rows_from_the_most_similar_records():
    """Records of 10 rows that took 1, 3 and 8 seconds a row; the median of those that are nearest counts."""
    names = {"method": "msp", "model": "lenet", "id": "digits", "n_id": 4, "n_ood": 6}
    kinds = [("mnist", "plain", 10.0), ("kmnist", "plain", 30.0), ("kmnist", "odin", 80.0)]
    known = [SimpleNamespace(**names, ood=ood, protocol=protocol, seconds=taken) for ood, protocol, taken in kinds]

    def seconds(ood, protocol):
        test, outside = (ImageSet.of(name, np.zeros((n, 1, 1, 1), np.uint8)) for name, n in (("digits", 30), (ood, 20)))
        rule = SimpleNamespace(name=protocol)
        cell = SimpleNamespace(method="msp", model="lenet", test=test, protocol=rule, ood=outside)
        return Estimator(known, []).cell(cell)

    assert [seconds("mnist", "plain"), seconds("svhn", "plain"), seconds("svhn", "fssd")] == [50.0, 100.0, 150.0]


def test_no_median_is_taken_twice(monkeypatch):
    """A cell looks up what was computed from all records once: a plan has thousands of cells."""
    known = [
        SimpleNamespace(
            method="msp", model="lenet", id="digits", protocol="plain", ood="mnist", n_id=4, n_ood=6, seconds=s
        )
        for s in (1.0, 2.0, 6.0)
    ]
    estimator, images = Estimator(known, []), ImageSet.of("mnist", np.zeros((5, 1, 1, 1), np.uint8))
    monkeypatch.setattr(estimate.statistics, "median", None)
    cell = SimpleNamespace(
        method="msp",
        model="lenet",
        test=replace(images, name="digits"),
        protocol=SimpleNamespace(name="plain"),
        ood=images,
    )
    assert [estimator.cell(cell) for _ in range(2)] == [2.0, 2.0]


def test_who_comes_second_waits(job):
    """Two jobs that need one classifier of 100 s; a third needs another."""
    jobs = [job("method=msp"), job("method=energy"), job("method=msp", "seed=1")]
    images = len(jobs[0].classifiers[0].data)
    estimator = Estimator([], [card(epochs=1, images=images, seconds=100.0)])
    assert estimator.schedule(jobs, 1) == pytest.approx((200.0, 200.0))
    assert estimator.schedule(jobs, 2) == pytest.approx((200.0, 200.0))  # the second waits where the third could train
    assert estimator.schedule([jobs[0], jobs[2], jobs[1]], 2) == pytest.approx((200.0, 100.0))
    assert estimator.schedule([], 2) == (0.0, 0.0)


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (600, "10 min"), (7200, "2.0 h")])
def test_durations(seconds, words):
    assert duration(seconds) == words
