from ood_bench.papers.block import load_blocks
from ood_bench.report.markdown import block_page, compared
from ood_bench.report.sections import sections


def of_block(name, *records):
    """A shipped block, and its section of these records."""
    block = next(one for one in load_blocks() if one.name == name)
    return block, next(one for one in sections(records, [block]) if one.kind == "paper")


def test_further_published_numbers_have_a_column_of_their_own():
    block, section = of_block("eloc_wrn_cifar100")
    header, _, first, *_ = compared(block, section).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[2:6] == ["FPR95 paper", "unofficial code", "ours", "diff."]
    cells = [cell.strip() for cell in first.split("|")[1:-1]]
    assert cells[2:5] == [
        block.printed("eloc", "tin_crop", "fpr95"),
        block.printed("eloc", "tin_crop", "fpr95", further=0),
        "not run",
    ]
    assert cells[2] != cells[3]
    assert "unofficial code" not in compared(*of_block("fssd_cifar10"))


def test_digits_stand_in_line_beside_a_mark(make):
    values = {"msp": (77.0, 77.1), "odin": (20.0, 20.1), "mahalanobis": (99.0,)}
    records = [make(method, seed, one) for method, both in values.items() for seed, one in enumerate(both)]
    lines = compared(*of_block("fssd_fashionmnist", *records)).splitlines()[2:5]
    assert [line.split("|")[4].removesuffix(" ") for line in lines] == ["  -0.25  ", " -67.85 †", "  -0.60 ?"]


def test_further_columns_stand_only_where_they_have_numbers():
    header, *_ = compared(*of_block("godin_port_cifar10")).splitlines()
    titles = [cell.strip() for cell in header.split("|")[1:-1]]
    assert titles[1:] == [
        *["Train top-1 paper", "README (rows swapped)", "ours", "diff."],
        *["Test top-1 paper", "README (rows swapped)", "ours", "diff."],
        *["AUROC paper", "README", "ours", "diff."],
    ]


def test_the_classifiers_published_test_error_stands_on_the_page(make):
    block = next(one for one in load_blocks() if one.name == "odin_densenet_cifar10")
    record = make("msp", model=block.model, id=block.id, protocol=block.protocol, ood="tin_crop")
    page = block_page(*of_block(block.name, record), [])
    assert "Published test error of the classifier: 4.81 % (`readme_test_error`)" in page
    record = make("msp", id="cifar10", model="resnet34", ood="svhn")
    assert "Published test error" not in block_page(*of_block("fssd_cifar10", record), [])
