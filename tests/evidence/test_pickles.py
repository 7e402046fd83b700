import pickle
import subprocess

import numpy as np
import pytest
import torch

from ood_bench.errors import ArtifactError
from ood_bench.evidence.pickles import read_pickle


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_tensors_of_every_protocol(protocol, tmp_path):
    arrays = [np.arange(5), np.float32([0.5, -1]), np.asfortranarray(np.eye(2, 3)), np.array([3, 1], ">i2")]
    content = {"id": {"val": None, "test": arrays}, "id_preds": torch.arange(4)[1:], 7: "kept by no reader"}
    path = tmp_path / "scores.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickle(path)
    assert found["id"]["val"] is None
    for ours, theirs in zip(found["id"]["test"], arrays, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert found["id_preds"].tolist() == [1, 2, 3]


class Attack:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call[0], self.call[1:]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"id": Attack(subprocess.call, "true")}, "its pickle mentions subprocess.call"),
        ({"id": Attack(np.load, "file")}, "wants to call the function numpy.*load"),
        ({"id": np.array([{}])}, "array of type 'O8'"),
        ({"id": np.array(["a"])}, "array of type 'U1'"),
        ({"id": np.zeros(2, "c16")}, "array of type 'c16'"),
    ],
)
def test_what_scores_are_not_is_refused_unread(content, said, tmp_path):
    path = tmp_path / "scores.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ArtifactError, match=rf"scores.pkl: .*{said}"):
        read_pickle(path)


def test_a_torn_file_and_a_length_that_is_a_lie_are_one_message(tmp_path):
    whole = pickle.dumps({"id": np.arange(100)}, protocol=5)
    lie = b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"abc"
    path = tmp_path / "scores.pkl"
    for content in (whole[:200], whole[: len(whole) // 2], lie, b"", b"no pickle"):
        path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"scores.pkl: not a pickle of arrays"):
            read_pickle(path)
