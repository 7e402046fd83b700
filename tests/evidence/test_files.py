import pickle
from pathlib import Path

import numpy as np
import pytest

from ood_bench.errors import DataError
from ood_bench.evidence.files import read_scores

PRED, CONF, LABEL = np.array([1, 0, 2]), np.array([0.5, 0.25, 2.0], np.float32), np.array([1, 1, 2])
OUT = np.array([0, 1]), np.array([0.125, -4.0], np.float32), np.array([-1, -1])


def npz(path):
    parts = {"id_test": (PRED, CONF, LABEL), "near/tin": OUT}
    names = ("prediction", "confidence", "label")
    np.savez(
        path,
        **{f"{part}/{name}": one for part, arrays in parts.items() for name, one in zip(names, arrays, strict=True)},
    )


def pkl(path):
    scores = {"id": {"train": None, "val": None, "test": [PRED, CONF, LABEL]}, "csid": {"cifar10c": None}}
    scores |= {"ood": {"val": None, "near": {"tin": list(OUT)}, "far": {"svhn": None}}, "id_preds": LABEL}
    path.write_bytes(pickle.dumps(scores, protocol=5))


def table(path):
    rows = [("id", *one) for one in zip(PRED, CONF, LABEL, strict=True)] + [
        ("tin", *one) for one in zip(*OUT, strict=True)
    ]
    path.write_text("set,prediction,score,label\n" + "".join(f"{a},{b},{c},{d}\n" for a, b, c, d in rows))


@pytest.mark.parametrize(("write", "suffix"), [(npz, "npz"), (pkl, "pkl"), (table, "csv")])
def test_layouts_with_all_sets_in_one_file(write, suffix, tmp_path):
    write(tmp_path / f"scores.{suffix}")
    found = read_scores(tmp_path / f"scores.{suffix}")
    assert list(found) == ["id", "tin"]
    for one, (pred, conf, label) in ((found["id"], (PRED, CONF, LABEL)), (found["tin"], OUT)):
        assert (one.scores.tolist(), one.labels.tolist(), one.predictions.tolist()) == (
            conf.tolist(), label.tolist(), pred.tolist(),
        )  # fmt: skip
        assert one.scores.dtype == np.float64
    assert found["id"].network is None if suffix != "pkl" else found["id"].network.tolist() == LABEL.tolist()


@pytest.mark.parametrize(
    ("array", "labels", "predictions"),
    [
        (CONF, None, None),
        (np.stack([CONF, LABEL], 1), [1, 1, 2], None),
        (np.stack([PRED, CONF, LABEL], 1), [1, 1, 2], [1, 0, 2]),
    ],
)
def test_a_file_for_each_set_is_named_by_it(array, labels, predictions, tmp_path):
    np.save(tmp_path / "id.npy", array)
    np.savez(tmp_path / "svhn.npz", pred=OUT[0], conf=OUT[1], label=OUT[2])
    (one,), (other,) = read_scores(tmp_path / "id.npy").items(), read_scores(tmp_path / "svhn.npz").items()
    assert (one[0], one[1].scores.tolist(), other[0]) == ("id", CONF.tolist(), "svhn")
    found = [None if each is None else each.tolist() for each in (one[1].labels, one[1].predictions)]
    assert found == [labels, predictions]


@pytest.mark.parametrize(
    ("name", "arrays", "said"),
    [
        ("a.npz", {"conf": [0.5, np.nan]}, "a.npz, a: 1 of 2 scores are NaN"),
        ("a.npz", {"conf": [0.5, 1.0], "label": [1]}, "a.npz, a: 2 scores, 1 labels"),
        ("a.npz", {"conf": [0.5], "label": [0.5]}, "a.npz, a: labels are not whole numbers"),
        ("a.npz", {"logits": [0.5]}, "a.npz, a: has no scores, but logits"),
        ("a.npz", {"conf": [[0.5]]}, r"a.npz, a: score: an array of float64 \[1, 1\]"),
        ("a.npz", {"id/conf": [0.5], "test/conf": [0.5]}, "holds the scores of id twice"),
        ("a.txt", None, "a file of scores ends in .npz"),
        ("b.npy", None, "there is no such file"),
    ],
)
def test_what_cannot_be_scores_is_named(name, arrays, said, tmp_path):
    path = Path(tmp_path / name)
    if arrays is not None:
        np.savez(path, **arrays)
    elif name == "a.txt":
        path.touch()
    with pytest.raises(DataError, match=said):
        read_scores(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "id.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match=r"id.npy: cannot be read as NumPy's .npy"):
        read_scores(tmp_path / "id.npy")


def test_a_set_may_have_any_name_and_needs_one_in_every_line(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("set,score\nid,1\nNA,2\nnull,3\n01,4\n")
    assert list(read_scores(path)) == ["id", "NA", "null", "01"]
    path.write_text("set,score\nid,1\n,2\n ,3\ntin,4\n,5\n,6\n")  # as a spreadsheet exports merged cells
    with pytest.raises(DataError, match=r"no set in line 3, 4, 6 and 1 more: name the set in every line"):
        read_scores(path)
