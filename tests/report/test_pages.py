from ood_bench.report.blocks import load_blocks
from ood_bench.report.pages import compared
from ood_bench.report.rows import arrange


def test_further_published_numbers_have_a_column_of_their_own():
    block = next(one for one in load_blocks() if one.name == "eloc_wrn_cifar100")
    rows = arrange([], block)
    header, _, first, *_ = compared(rows, block).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[2:6] == ["FPR95 paper", "unofficial code", "ours", "diff."]
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert cells[2:5] == [
        block.printed("eloc", "tin_crop", "fpr95"),
        block.printed_further(0, "eloc", "tin_crop", "fpr95"),
        "not run",
    ]
    assert cells[2] != cells[3]


def test_blocks_without_further_numbers_have_no_such_column():
    block = next(one for one in load_blocks() if not one.further)
    assert "unofficial code" not in compared(arrange([], block), block)
