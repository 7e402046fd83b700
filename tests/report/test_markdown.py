from ood_bench.papers.block import load_blocks
from ood_bench.report.markdown import block_page, compared
from ood_bench.report.rows import arrange, gather


def test_further_published_numbers_have_a_column_of_their_own():
    block = next(one for one in load_blocks() if one.name == "eloc_wrn_cifar100")
    rows = arrange([], block)
    header, _, first, *_ = compared(rows, block).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[2:6] == ["FPR95 paper", "unofficial code", "ours", "diff."]
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert cells[2:5] == [
        block.printed("eloc", "tin_crop", "fpr95"),
        block.printed("eloc", "tin_crop", "fpr95", further=0),
        "not run",
    ]
    assert cells[2] != cells[3]
    plain = next(one for one in load_blocks() if not one.further)
    assert "unofficial code" not in compared(arrange([], plain), plain)


def test_digits_stand_in_line_beside_a_mark(make):
    block = next(one for one in load_blocks() if one.name == "fssd_fashionmnist")
    rows = arrange(gather([make("msp", auroc=77.0), make("odin", auroc=20.0)]), block)
    msp, odin = (line.split("|")[4].removesuffix(" ") for line in compared(rows, block).splitlines()[2:4])
    assert (len(msp), msp, odin) == (len(odin), "  -0.30  ", " -67.90 †")


def test_further_columns_stand_only_where_they_have_numbers():
    block = next(one for one in load_blocks() if one.name == "godin_port_cifar10")
    header, *_ = compared(arrange([], block), block).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[1:] == [
        *["Train top-1 paper", "README (rows swapped)", "ours", "diff."],
        *["Test top-1 paper", "README (rows swapped)", "ours", "diff."],
        *["AUROC paper", "README", "ours", "diff."],
    ]


def test_the_classifiers_published_test_error_stands_on_the_page(make):
    block = next(one for one in load_blocks() if one.name == "odin_densenet_cifar10")
    record = make("msp", model=block.model, id=block.id, protocol=block.protocol, ood="tin_crop")
    page = block_page(block, arrange(gather([record]), block), [])
    assert "Published test error of the classifier: 4.81 % (`readme_test_error`)" in page
    other = next(one for one in load_blocks() if one.name == "fssd_cifar10")
    assert "Published test error" not in block_page(other, arrange(gather([record]), block), [])
