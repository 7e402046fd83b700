import pytest

from ood_bench import papers
from ood_bench.errors import ConfigError
from ood_bench.papers import audit
from ood_bench.papers.block import load_blocks


@pytest.fixture
def block():
    return next(one for one in load_blocks() if one.name == "openood_cifar10")


def test_every_flag_concerns_a_number():
    cells = papers.load("openood_v15").to_dict("records")
    assert [flag for flag in audit.flags("openood_v15") if not any(map(flag.concerns, cells))] == []
    assert audit.flags("odin") == ()


def test_the_flag_for_a_deviation_of_0_is_on_those_rows_and_no_others():
    rows = papers.load("openood_v15")
    board = rows[rows["table"].str.startswith("leaderboard") & rows["metric"].eq("auroc_std_ddof0")]
    columns = ["table", "method", "model", "id_dataset", "ood_dataset"]
    expected = set(board.loc[board["value"] == 0, columns].itertuples(index=False, name=None))
    found = {
        tuple(cell[name] for name in columns)
        for cell, flags in audit.flagged("openood_v15")
        if cell["metric"] == "auroc_std_ddof0" and any(flag.kind == "std of 0.00" for flag in flags)
    }
    assert len(expected) == 26
    assert found == expected


@pytest.mark.parametrize(
    ("method", "kinds"),
    [
        ("msp", []),
        ("knn", [("tuned", "tuned")]),
        ("scale", [("self-reported", "yes"), ("edge of grid", "yes"), ("tuned", "tuned")]),
        ("fdbd", [("std of 0.00", "no"), ("self-reported", "no"), ("tuned", "tuned")]),
    ],
)
def test_a_block_knows_what_speaks_against_its_numbers(method, kinds, block):
    assert [(flag.kind, flag.compare) for flag in block.flags(method, "near", "auroc")] == kinds
    assert block.flags("mine", "near", "auroc") == []


@pytest.mark.parametrize(
    ("content", "said"), [("a,b\n1,2\n", "columns are a, b"), ("*,*,*,*,*,*,odd,no,why\n", "line 2: unknown flag")]
)
def test_a_damaged_file_of_flags_is_refused(content, said, tmp_path, monkeypatch):
    header = ",".join((*audit.PATTERNS, "flag", "compare", "reason"))
    (tmp_path / "broken.csv").write_text(content if "a,b" in content else f"{header}\n{content}")
    monkeypatch.setattr(audit, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=said):
        audit.flags("broken")
