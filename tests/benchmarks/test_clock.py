import time

import pytest

from benchmarks import clock
from benchmarks.clock import Step, Timing, interleaved, timed


@pytest.fixture
def said(monkeypatch):
    """Steps that say their name, on a clock that lets each of them last as long as its result says."""
    calls = []

    def step(name, seconds, images=10, slow=False):
        return Step(lambda: calls.append(name) or seconds, images, slow)

    def fake(run):
        seconds = run()
        return seconds, 2 * seconds, seconds  # half of the wall-clock time is another program's

    monkeypatch.setattr(clock, "timed", fake)
    return calls, step


def test_steps_take_turns_each_after_its_own_bare_pass(said):
    calls, step = said
    steps = {"one": step("one", 3.0), "two": step("two", 4.0)}
    interleaved(steps, step("bare", 1.0), 2, by_cpu=True)
    assert calls == ["bare", "one", "bare", "two"] * 3  # the first round warms up


def test_a_single_round_is_not_warmed_up(said):
    calls, step = said
    interleaved({"one": step("one", 3.0)}, step("bare", 1.0), 1, by_cpu=True)
    assert calls == ["bare", "one"]


def test_slow_steps_run_in_every_other_round_and_never_to_warm_up(said):
    calls, step = said
    found = interleaved({"slow": step("slow", 3.0, slow=True)}, step("bare", 1.0), 4, by_cpu=True)
    assert calls == ["bare", "slow"] * 2
    assert len(found["slow"].ratios) == 2


def test_ratios_are_per_image_and_warming_up_is_left_out(said):
    _, step = said
    found = interleaved({"work": step("work", 3.0, images=5)}, step("bare", 0.5, images=20), 3, by_cpu=True)["work"]
    assert found.ratios == [pytest.approx((3.0 / 5) / (0.5 / 20))] * 3
    assert found.seconds == [6.0] * 3
    assert found.result == 3.0


def test_the_clock_is_chosen(said, monkeypatch):
    _, step = said
    walls = iter([2.0, 9.0])
    monkeypatch.setattr(clock, "timed", lambda run: (run(), next(walls), 1.0))
    found = interleaved({"work": step("work", 0.0)}, step("bare", 0.0), 1, by_cpu=False)
    assert found["work"].ratios == [4.5]


def test_the_ratio_is_the_median():
    assert Timing(ratios=[9.0, 1.0, 2.0]).ratio == 2.0


def test_sleeping_takes_wall_clock_time_but_no_processor_time():
    result, wall, cpu = timed(lambda: time.sleep(0.05) or "done")
    assert result == "done"
    assert wall >= 0.05
    assert cpu < 0.04
