import numpy as np
import pytest

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError
from ood_bench.results.scores import Scores, ScoreStore, rows_of

KEY = "0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return ScoreStore(tmp_path / "scores")


def test_scores_come_back_bit_for_bit(store):
    random = np.random.default_rng(0)
    scores = Scores(random.normal(size=7), np.array([np.inf, 1e-300]), np.arange(7)[::-1], None)
    assert store.read(KEY) is None
    store.write(KEY, scores)
    found = store.read(KEY)
    assert found.id.tobytes() == scores.id.tobytes()
    assert found.ood.tobytes() == scores.ood.tobytes()
    assert found.id_rows.tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert found.id_rows.dtype == np.int64
    assert found.ood_rows is None


def test_an_image_takes_twelve_bytes(store):
    store.write(KEY, Scores(np.zeros(9000), np.zeros(9000), np.arange(9000), np.arange(9000)))
    assert store.path(KEY).stat().st_size < 12 * 18000 + 400


def flip(whole):
    return whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]


@pytest.mark.parametrize("damage", [lambda _: b"nothing", lambda _: b"", lambda whole: whole[:-8], flip])
def test_a_damaged_file_is_named(store, damage):
    store.write(KEY, Scores(np.arange(3.0), np.arange(4.0), None, None))
    store.path(KEY).write_bytes(damage(store.path(KEY).read_bytes()))
    with pytest.raises(ArtifactError, match=r"no usable scores.*scoring\.details=all"):
        store.read(KEY)


def test_scores_of_another_cell_are_not_taken(store):
    store.write("f" * 16, Scores(np.arange(3.0), np.arange(4.0), None, None))
    store.path("f" * 16).rename(store.path(KEY))
    with pytest.raises(ArtifactError, match=r"no usable scores.*scoring\.details=all"):
        store.read(KEY)


def test_rows_are_those_given_or_all_or_unknown():
    images = ImageSet.of("a", np.zeros((3, 1, 2, 2), dtype=np.uint8))
    assert rows_of(np.zeros(3), None, images).tolist() == [0, 1, 2]
    assert rows_of(np.zeros(2), np.array([2, 0]), images).tolist() == [2, 0]
    assert rows_of(np.zeros(2), None, images) is None
    assert rows_of(np.zeros(2), np.array([0, 1, 2]), images) is None
