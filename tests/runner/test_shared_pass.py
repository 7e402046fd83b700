"""One pass for all methods, and what happens when it fails."""

from types import SimpleNamespace

import pytest

from ood_bench.errors import ArtifactError
from ood_bench.runner.shared_pass import shared_pass
from ood_bench.utils.time_limit import OutOfTime

IMAGES = SimpleNamespace(title="mnist")
ONE, OTHER = SimpleNamespace(key="one"), SimpleNamespace(key="other")


class Engine:
    def __init__(self, error=None):
        self.passes, self.error = [], error

    def collect(self, classifier, images, quantities, steps):
        if self.error:
            raise self.error
        self.passes.append((classifier, images, quantities, steps))


def test_requests_of_several_methods_become_one_pass_for_each_network():
    engine = Engine()
    shared_pass(engine, IMAGES, [(ONE, ["logits"], ()), (OTHER, ["logits"], ()), (ONE, ["features"], ["step"])])
    assert engine.passes == [(ONE, IMAGES, ["logits", "features"], ["step"]), (OTHER, IMAGES, ["logits"], [])]


def test_a_pass_that_fails_is_left_to_the_methods(caplog):
    def requests():
        yield ONE, ["logits"], ()
        raise ValueError("a method cannot say what it wants")

    shared_pass(Engine(MemoryError("too much")), IMAGES, [(ONE, ["logits"], ())])
    shared_pass(Engine(), IMAGES, requests())
    assert [line.split(":")[0] for line in caplog.messages] == [
        "the shared pass over mnist failed (too much)",
        "the shared pass over mnist failed (a method cannot say what it wants)",
    ]


@pytest.mark.parametrize("error", [OutOfTime("no time left"), ArtifactError("the disk is full")])
def test_no_method_could_go_on_without_time_or_store(error):
    with pytest.raises(type(error)):
        shared_pass(Engine(error), IMAGES, [(ONE, ["logits"], ())])
