"""Details and scores that runs leave beside their records."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ood_bench.config import compose_settings
from ood_bench.results import RecordStore
from ood_bench.results.details import DetailStore
from ood_bench.results.scores import ScoreStore
from ood_bench.runner import extras
from ood_bench.runner.execute import execute
from ood_bench.runner.failures import CellsFailedError

RESULTS, STORE = Path("outputs/quickstart/results"), Path("outputs/quickstart/store")


def run(*overrides):
    return execute(compose_settings(overrides))


def kept(key):
    return DetailStore(RESULTS).read(key), ScoreStore(STORE / "scores").read(key)


def test_a_run_keeps_details_and_scores_of_its_cells(quick):
    (record,) = run(*quick).records
    details, scores = kept(record.cell_key)
    assert (sum(details.histogram.id), sum(details.histogram.ood)) == (record.n_id, record.n_ood)
    assert scores.ood_rows.tolist() == list(range(20))
    above = (scores.id[:, None] > scores.ood[None]).mean() + 0.5 * (scores.id[:, None] == scores.ood[None]).mean()
    assert record.exact["auroc"].value == pytest.approx(100 * above, abs=1e-9)
    highest = next(group for group in details.images.groups if (group.side, group.end) == ("id", "highest"))
    assert highest.rows == np.argsort(-scores.id, kind="stable")[:6].tolist()


def test_details_change_neither_key_nor_record(quick):
    without = run(*quick, "scoring.details=none").records[0]
    assert kept(without.cell_key) == (None, None)
    assert not DetailStore(RESULTS).folder.exists()
    elsewhere = run(*quick, "results.root=elsewhere").records[0]
    assert elsewhere.substance() == without.substance()


def test_details_of_earlier_records_are_made_when_asked_for(quick):
    first = run(*quick, "scoring.details=none")
    again = run(*quick)
    assert (again.new, kept(first.records[0].cell_key)) == (0, (None, None))
    before = Path(first.paths[0]).read_bytes()
    later = run(*quick, "scoring.details=all")
    assert (later.new, later.paths) == (0, first.paths)
    assert None not in kept(first.records[0].cell_key)
    assert Path(first.paths[0]).read_bytes() == before


def test_a_cell_with_scores_alone_lacks_details(tmp_path):
    made, cell = extras.Extras(tmp_path, tmp_path, "all"), SimpleNamespace(key="0" * 16)
    path = ScoreStore(tmp_path / "scores").path(cell.key)
    path.parent.mkdir()
    path.touch()
    assert made.lacks(cell)


def test_what_is_complete_is_not_scored_again(quick, monkeypatch):
    run(*quick)
    monkeypatch.setattr(extras, "details_of", pytest.fail)
    assert run(*quick, "scoring.details=all").new == 0


def test_scores_of_another_result_are_not_put_beside_a_record(quick):
    (path,) = map(Path, run(*quick, "scoring.details=none").paths)
    content = json.loads(path.read_text())
    del content["seal"]
    content["exact"]["auroc"] = {"value": content["exact"]["auroc"]["value"] - 1, "low": None, "high": None}
    path.write_text(json.dumps(content))
    with pytest.raises(CellsFailedError, match=r"1 of 1 cells failed:\n.*scored again it has an AUROC of"):
        run(*quick, "scoring.details=all")
    assert kept(RecordStore(RESULTS).load()[0].cell_key) == (None, None)


@pytest.mark.parametrize(
    ("protocol", "sizes"),
    [("odin", ["protocol.skip=20"]), ("fssd", ["protocol.fit_rows=6", "protocol.select_rows=0"])],
)
def test_protocols_say_which_rows_they_scored(quick, protocol, sizes):
    """The scores of a part of the rows are a linear function of those that the same rows have when all are scored."""
    quick = [*quick, "method=energy", "ood.uniform.source.count=40"]  # ODIN's metrics need a multiple of 20 rows
    part = run(*quick, f"protocol={protocol}", *sizes).records[0]
    whole = run(*quick, "protocol=plain").records[0]
    (_, mine), (_, every) = kept(part.cell_key), kept(whole.cell_key)
    assert 0 < len(mine.id_rows) < len(every.id)
    for side in ("id", "ood"):
        ours, theirs = getattr(mine, side), getattr(every, side)[getattr(mine, f"{side}_rows")]
        assert abs(np.corrcoef(ours, theirs)[0, 1]) > 1 - 1e-9
