"""Classifiers are found or trained once for all cells that need them."""

from types import SimpleNamespace

from ood_bench.errors import TrainingError
from ood_bench.runner.failures import Failures
from ood_bench.runner.networks import find_or_train
from ood_bench.utils.locks import BusyError


def cell(name, *networks):
    specs = [SimpleNamespace(key=one, title=one) for one in networks]
    return SimpleNamespace(address=name, title=name, specs=specs)


class Store:
    """A store in which one network cannot be trained and another is being trained elsewhere."""

    def __init__(self, *, broken="", busy=""):
        self.broken, self.busy, self.asked = broken, busy, []

    def obtain(self, spec, *, wait=True):
        self.asked.append(spec.key)
        if spec.key == self.broken:
            raise TrainingError("loss is not finite")
        if spec.key == self.busy and not wait:
            raise BusyError
        return f"classifier {spec.key}"


CELLS = [cell("msp", "base"), cell("ensemble", "base", "other"), cell("own", "tuned")]


def test_each_network_is_obtained_once():
    store, failures = Store(), Failures()
    found = find_or_train(store, CELLS, failures)
    assert found == {key: f"classifier {key}" for key in ("base", "other", "tuned")}
    assert store.asked == ["base", "other", "tuned"]
    assert failures.among(CELLS) == CELLS


def test_a_network_that_cannot_be_trained_fails_the_cells_that_need_it_and_is_tried_once():
    store, failures = Store(broken="base"), Failures()
    assert set(find_or_train(store, CELLS, failures)) == {"other", "tuned"}
    assert store.asked.count("base") == 1
    assert failures.among(CELLS) == [CELLS[2]]


def test_a_network_that_another_process_trains_is_waited_for_last():
    store = Store(busy="base")
    assert set(find_or_train(store, CELLS, Failures())) == {"base", "other", "tuned"}
    assert store.asked == ["base", "other", "tuned", "base"]
