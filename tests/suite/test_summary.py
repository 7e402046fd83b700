import io

import pandas as pd
from rich.console import Console

from ood_bench.suite.run import run
from ood_bench.suite.summary import SPEEDS, _table, show, write_speeds


def drawn(results):
    console = Console(width=140, file=io.StringIO())
    show(results, console)
    return console.file.getvalue()


def test_nothing_yet(tmp_path):
    write_speeds(tmp_path, tmp_path / "store")
    assert drawn(tmp_path).strip() == ""
    assert not (tmp_path / SPEEDS).exists()


def test_only_networks_of_these_records_are_listed(toy, tmp_path):
    plan = toy()
    jobs = plan.jobs()[:1]
    object.__setattr__(plan, "jobs", lambda: jobs)
    assert run(plan, 1e9) == 0
    write_speeds(plan.results, plan.store)
    assert len(pd.read_csv(plan.results / SPEEDS)) == 1
    write_speeds(tmp_path, plan.store)
    assert not (tmp_path / SPEEDS).exists()


def test_unknown_values_are_dashes():
    console = Console(width=80, file=io.StringIO())
    console.print(_table("t", pd.DataFrame({"model": ["a", "b"], "share": [12.345, None]})))
    told = console.file.getvalue()
    assert "12.35" in told or "12.34" in told
    assert "–" in told
