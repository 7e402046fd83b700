import numpy as np
import pytest

from ood_bench.data.filelist import ListSource
from ood_bench.errors import DataError


@pytest.fixture
def pictures(tmp_path, write_image):
    for row, name in enumerate(["a.png", "b c.png", "deep/d.png"]):
        write_image(tmp_path / "mine" / name, np.full((4, 4, 3), row, np.uint8))
    return tmp_path


@pytest.mark.parametrize(
    "lines", ["deep/d.png 1\n\nb c.png 0\n# no more\n", "deep/d.png,1\r\nb c.png,\t0", "\ufeffdeep/d.png 1\nb c.png 0"]
)
def test_files_and_labels_are_in_the_order_of_the_list(pictures, lines):
    (pictures / "mine/test.txt").write_text(lines, encoding="utf-8")
    found = ListSource(name="x", path="mine/test.txt", labelled=True, resize="squash", size=2).read(pictures)
    assert found.images[:, 0, 0, 0].tolist() == [2, 1]
    assert found.labels.tolist() == [1, 0]
    assert found.title == "x (squashed to 2×2, PIL bilinear)"


def test_without_labels_a_line_is_a_path_that_may_begin_in_another_folder(pictures):
    (pictures / "test.txt").write_text("b c.png\na.png\n")
    source = ListSource(name="x", path="test.txt", folder="mine", labelled=False)
    found = source.read(pictures)
    assert found.images[:, 0, 0, 0].tolist() == [1, 0]
    assert found.labels is None
    before = source.identity(pictures)
    (pictures / "test.txt").write_text("a.png\nb c.png\n")
    assert source.identity(pictures) != before


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a.png one", "no path with a label: 'a.png one': write PATH LABEL in each line"),
        ("a.png -1", "no path with a label"),
        (f"a.png {10**20}", "no path with a label"),
        ("", "names no file"),
        ("gone.png 0", "1 files of the list .* are missing: .*gone.png"),
    ],
)
def test_a_list_that_cannot_be_followed_is_refused(pictures, lines, message):
    (pictures / "mine/test.txt").write_text(lines)
    with pytest.raises(DataError, match=message):
        ListSource(name="x", path="mine/test.txt", labelled=True).read(pictures)
