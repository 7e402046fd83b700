import pytest

from benchmarks import explain


def test_a_line_for_the_ladder_and_one_for_each_metric(capsys):
    """2,400 rows: ODIN's protocol skips the first 1,000, and leaves a multiple of 20."""
    assert explain.main(["--rows", "2400", "--rounds", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 rungs, 32 evaluations"
    assert [line.split()[0] for line in lines[1:]] == ["ladder", "fpr95", "auroc", "aupr_out"]


def test_its_cell_has_the_numbers_of_a_run(tmp_path):
    record = explain.filled(tmp_path, 2000)
    found = explain.find.of_record(record, [], explain.find.Asked("auroc", "plain", "featurenorm", tmp_path))
    assert found.recorded[0].agrees
    assert found.ladder.start == pytest.approx(record.exact["auroc"].value, abs=1e-10)
