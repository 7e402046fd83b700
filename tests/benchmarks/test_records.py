from pathlib import Path

from benchmarks import records
from ood_bench.results import RecordStore

RESULTS = Path(__file__).parents[2] / "results"


def test_every_work_is_measured_on_records_of_their_own(monkeypatch, capsys):
    measured = {}

    def measure(work, results):
        measured[work] = len({record.cell_key for record in RecordStore(results).load()})
        records.WORK[work](results)
        return 1.5, 20.0

    monkeypatch.setattr(records, "measure", measure)
    assert records.main(["--scale", "0.0006", "--results", str(RESULTS)]) == 0
    assert measured == {"load": 30, "check": 30, "report": 3}
    assert "check        30 records     1.50 s       20 MB   limit 60 s for 50,000, 500 MB" in capsys.readouterr().out
