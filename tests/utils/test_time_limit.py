import pytest

from ood_bench.utils import time_limit as module
from ood_bench.utils.time_limit import OutOfTime, reserve, time_for, time_limit


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless it is moved."""
    now = [50.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_without_a_limit_there_is_time_for_everything():
    assert time_for(1e9)
    reserve(1e9, "anything")


def test_what_fits_may_start(clock):
    with time_limit(10 / 60):
        reserve(10, "the first part")
        clock[0] += 6
        assert time_for(4)
        assert not time_for(4.5)
        with pytest.raises(OutOfTime, match="no time left for the second part: run the same command again"):
            reserve(5, "the second part")
    assert time_for(1e9)


def test_the_nearer_limit_counts(clock):
    with time_limit(10 / 60):
        with time_limit(20 / 60):
            assert not time_for(11)
        with time_limit(2 / 60):
            assert not time_for(3)
        with time_limit(None):
            assert not time_for(11)
        clock[0] += 1
        assert time_for(9)
