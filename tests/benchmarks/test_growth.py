import json

import pytest

from benchmarks import growth
from benchmarks.growth import AXES, Curve, measured
from benchmarks.growth_work import RESULTS, Kept, Runs, Sweeps, Wide
from benchmarks.records import copies
from ood_bench.results import RecordStore


def test_the_exponent_is_the_slope_between_the_last_two_sizes():
    square = Curve("jobs", "plan", {10: 9.0, 100: 2.0, 200: 8.0}, {10: 0.0, 100: 1.0, 200: 3.0})
    assert square.exponent == pytest.approx(2)
    assert square.line.split() == ["plan", "9.000", "2.000", "8.000", "40.000", "3", "2.00", "1.0", "above"]
    assert Curve("jobs", "plan", {10: 1.0, 20: 2.0}, {10: 0.0, 20: 0.0}).line.split()[-2:] == ["1.00", "1.0"]


def test_every_axis_is_measured_in_a_process_of_its_own(monkeypatch, capsys, tmp_path):
    asked = []

    def run(command, **_):
        asked.append(command[4:])
        said = json.dumps([["work", {"2": 1.0, "4": 3.0}, {"2": 0.0, "4": 7.0}]])
        return type("Done", (), {"stdout": f"a line of the work\n{said}\n"})

    monkeypatch.setattr(growth.subprocess, "run", run)
    assert growth.main(["--quick", "--plot", str(tmp_path / "growth.svg")]) == 0
    assert asked == [[axis, "--sizes", ",".join(map(str, one.quick))] for axis, one in AXES.items()]
    said = capsys.readouterr().out
    assert said.count("work ") == said.count("1.58   1.0  above") == len(AXES)
    picture = (tmp_path / "growth.svg").read_text()
    assert picture.count('<g id="axes_') == 2 * 4


def test_runs_do_what_they_say(tmp_path):
    runs = Runs(tmp_path)
    for work, cells in ((runs.images(60, warm=True, resamples=3), 5), (runs.methods(2), 2), (runs.sets(2), 10)):
        finished = work()
        assert (finished.new, len(finished.records)) == (cells, cells)
    assert {record.n_ood for record in finished.records} == {1000}


def test_records_and_plans_do_what_they_say(tmp_path):
    few = tmp_path / "few"
    copies(RESULTS, few, 3)
    kept = Kept(tmp_path, few)
    assert kept.work(8, kind="check")() is None
    store = RecordStore(tmp_path / "8")
    models = [record.model for record in store.load()]
    assert (len(models), sum(name.endswith("_2") for name in models), store.problems) == (8, 2, [])
    assert Sweeps(tmp_path, few).jobs(2)() is None
    assert {path.name for path in tmp_path.iterdir()} == {"few", "8", "results-2", "store"}


def test_methods_learn_from_many_classes(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "works", lambda *_: Wide(tmp_path, 8, ["msp", "knn"]).classes)
    curves = measured("classes", (2, 3))
    assert [(one.name, list(one.seconds)) for one in curves] == [("msp", [2, 3]), ("knn", [2, 3])]
    assert all(seconds > 0 for one in curves for seconds in one.seconds.values())
