from types import SimpleNamespace

import pytest
import torch

from ood_bench.errors import DataError, OodBenchError, TrainingError, reason
from ood_bench.runner.failures import CellsFailedError, Failures
from ood_bench.utils.time_limit import OutOfTime


def cell(name):
    return SimpleNamespace(address=name, title=f"{name} on mnist, seed 0")


def finished(*keys):
    return SimpleNamespace(records=[SimpleNamespace(address=key) for key in keys])


def test_nothing_failed():
    failures, whole = Failures(), finished("fssd")
    with failures.catching([cell("msp")]):
        pass
    assert failures.settle(whole) is whole


def test_the_others_go_on_and_the_end_names_what_failed(caplog):
    failures, cells, whole = Failures(), [cell("msp"), cell("odin"), cell("fssd")], finished("fssd", "msp")
    for one, error in ((cells[0], TrainingError("loss is not finite")), (cells[1], ZeroDivisionError("a bug"))):
        with failures.catching([one]):
            raise error
    assert failures.among(cells) == [cells[2]]
    with pytest.raises(CellsFailedError) as caught:
        failures.settle(whole)
    assert str(caught.value).splitlines() == [
        "2 of 3 cells failed:",
        "  - msp on mnist, seed 0: loss is not finite",
        "  - odin on mnist, seed 0: ZeroDivisionError: a bug",
        "the same command computes what is missing, and nothing else",
    ]
    assert caught.value.finished is whole
    assert "ZeroDivisionError" in caplog.text
    assert [bool(record.exc_info) for record in caplog.records] == [False, True]  # a bug keeps its traceback


def test_where_nothing_came_out_the_first_error_is_raised_as_it_was():
    failures = Failures()
    for error in (DataError("first"), ValueError("second")):
        with failures.catching([cell(str(error))]):
            raise error
    with pytest.raises(DataError, match="first"):
        failures.settle(finished())


def test_a_full_gpu_is_an_error_that_says_what_to_do(caplog):
    failures = Failures()
    with failures.catching([cell("msp")]):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 94.00 MiB.")
    with pytest.raises(OodBenchError, match=r"^the device's memory is full: .*scoring.batch_size=100"):
        failures.settle(finished())
    assert "Traceback" not in caplog.text


def test_the_first_error_of_a_cell_is_the_one_that_is_told():
    failures = Failures()
    for error in (DataError("first"), DataError("second")):
        with failures.catching([cell("msp")]):
            raise error
    with pytest.raises(CellsFailedError, match=r"1 of 2 cells failed:\n.*first"):
        failures.settle(finished("odin"))


def test_ctrl_c_is_no_failure():
    with pytest.raises(KeyboardInterrupt), Failures().catching([cell("msp")]):
        raise KeyboardInterrupt


def test_the_end_of_the_time_is_no_failure():
    with pytest.raises(OutOfTime), Failures().catching([cell("msp")]):
        raise OutOfTime("no time left")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("what is\n  wrong"), "what is wrong"),
        (ValueError("a bug"), "ValueError: a bug"),
        (MemoryError(), "MemoryError: MemoryError"),
    ],
)
def test_an_error_in_one_line(error, line):
    assert reason(error) == line
