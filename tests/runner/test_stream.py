"""Own images in class folders, scored while they are decoded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ood_bench.config import compose_settings
from ood_bench.data.embedded import Digits
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.runner.execute import execute


@pytest.fixture
def settings(quick):
    """A run on 200 digits as image files, with a checkpoint; changes are overrides."""

    def made(*words, checkpoint="net.pth"):
        found = compose_settings([*quick, "method=[msp,knn]", "method.knn.k=3", *words])
        torch.manual_seed(0)
        torch.save(build_network(found.model, found.id["shape"], found.id["classes"]).state_dict(), "net.pth")
        node = {key: value for key, value in found.id.items() if key not in ("train", "test")}
        for part in ("train", "test"):
            node[part] = {"kind": "folder", "path": part, "layout": "classes", "mode": "L"}
        weights = None if checkpoint is None else Path(checkpoint)
        data = found.data.model_copy(update={"root": Path.cwd()})
        return found.model_copy(update={"id": node | {"variant": ""}, "checkpoint": weights, "data": data})

    for part, fraction in (("train", 0.9), ("test", 0.1)):
        digits = Digits(name="d", classes=list(range(8)), split=part, test_fraction=fraction, seed=0).read(Path())
        for row in range(100):
            path = Path(part) / str(digits.labels[row]) / f"{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(digits.images[row, 0]).save(path)
    return made


def test_streamed_images_give_the_same_numbers_and_take_no_place(settings):
    stored = execute(settings("results.root=a", "store.root=a/store"))
    streamed = execute(settings("results.root=b", "store.root=b/store", "data.decode=stream"))
    for one, other in zip(stored.records, streamed.records, strict=True):
        assert one.exact == other.exact
        assert one.checkpoint.networks[0].id_accuracy == other.checkpoint.networks[0].id_accuracy
        assert one.data.id_test.fingerprint != other.data.id_test.fingerprint
        said = (
            "Images of digits were decoded while they were scored: their fingerprints are over names, sizes and times "
            "of files, not over pixels."
        )
        assert said in other.notes
        assert said not in one.notes
    assert {path.name.partition("-")[0] for path in Path("a/store/images").iterdir()} == {"digits", "uniform"}
    assert {path.name.partition("-")[0] for path in Path("b/store/images").iterdir()} == {"uniform"}


def test_shards_of_streamed_images_are_joined_to_the_same_numbers(settings, caplog):
    caplog.set_level("INFO")
    words = ["data.decode=stream", "scoring.batch_size=8", "scoring.details=all"]
    whole = execute(settings("results.root=a", "store.root=a/store", *words))
    for shard in ("0", "1", "null"):
        joined = execute(
            settings("results.root=b", "store.root=b/store", *words, "scoring.shards=2", f"scoring.shard={shard}")
        )
    assert "digits: 2 of 2 parts of banks found in shards, 0 computed" in caplog.messages
    assert [one.exact for one in joined.records] == [one.exact for one in whole.records]
    ours, theirs = (sorted(Path(folder, "store/banks").rglob("*.npy")) for folder in "ab")
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_nothing_is_trained_on_streamed_images(settings):
    with pytest.raises(ConfigError, match=r"method msp needs a network to be trained .* data\.decode=stream"):
        execute(settings("data.decode=stream", checkpoint=None))


@pytest.mark.parametrize("decode", ["store", "stream"])
def test_a_limited_run_says_so_in_its_records(settings, decode):
    (msp, _) = execute(settings("data.limit=16", f"data.decode={decode}")).records
    assert (msp.n_id, msp.n_ood) == (16, 16)
    assert msp.data.id_train.n == 16
    assert msp.data.id_test.variant == "limited to 16 images"
    assert np.isfinite(msp.exact["auroc"].value)
