import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from ood_bench.data.imageset import fingerprint
from ood_bench.models.card import scoring_key
from ood_bench.results import Record, RecordStore
from ood_bench.results.scores import Scores, ScoreStore
from ood_bench.scoring.banks import Banks
from ood_bench.utils.files import sha256_file

SAMPLE = Path(__file__).parents[1] / "results/sample_record.json"
DAY = 86400.0
SPEC = {
    "model": {"name": "lenet"},
    "shape": [1, 2, 2],
    "classes": 10,
    "normalisation": {"mean": [0.5], "std": [0.25]},
}


class Shelves:
    """A small store, and a results folder with one record that refers to a part of it."""

    def __init__(self, folder):
        self.store, self.results = folder / "store", folder / "results"

    def classifier(self, key, initial=None):
        path = self.store / "classifiers" / f"lenet-digits-{key}"
        path.mkdir(parents=True)
        (path / "weights.safetensors").write_bytes(key.encode() * 50)
        digest = sha256_file(path / "weights.safetensors")
        spec = {**SPEC, "initial": initial}
        (path / "classifier.json").write_text(json.dumps({"key": key, "spec": spec, "weights_sha256": digest}))
        return path

    def images(self, name, value, labels=None):
        path = self.store / "images" / f"{name}-0123"
        path.mkdir(parents=True)
        images = np.full((4, 1, 2, 2), value, dtype=np.uint8)
        np.save(path / "images.npy", images)
        if labels is not None:
            np.save(path / "labels.npy", labels)
        sizes = {file.name: file.stat().st_size for file in path.iterdir()}
        (path / "meta.json").write_text(json.dumps({"sizes": sizes, "fingerprint": fingerprint(images, labels)}))
        return path

    def bank(self, classifier, images):
        card = json.loads((classifier / "classifier.json").read_text())
        meta = json.loads((images / "meta.json").read_text())
        place = f"{scoring_key(card)}-{meta['fingerprint'][:16]}-cpu"
        Banks(self.store / "banks").keep(f"{place}/output-flat", np.ones((4, 10), dtype=np.float32))
        return self.store / "banks" / place

    def derived(self):
        Banks(self.store / "banks").keep("derived/odin-0123", np.ones((2, 3)))
        return self.store / "banks/derived/odin-0123.npy"

    def shards(self, bank):
        place = f"{bank.name}.shards"
        Banks(self.store / "banks").keep(f"{place}/0-4-by-4-output-flat", np.ones((4, 10), dtype=np.float32))
        return self.store / "banks" / place

    def scores(self, cell):
        store = ScoreStore(self.store / "scores")
        store.write(cell, Scores(np.arange(3.0), np.arange(2.0), None, None))
        return store.path(cell)

    def leftover(self, name):
        path = self.store / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        return path

    def record(self, network, images, outliers=None):
        content = {key: value for key, value in json.loads(SAMPLE.read_text()).items() if key != "schema"}
        content["checkpoint"]["networks"][0]["key"] = network
        meta = json.loads((images / "meta.json").read_text())
        content["data"]["ood"]["fingerprint"] = meta["fingerprint"]
        if outliers is not None:
            meta = json.loads((outliers / "meta.json").read_text())
            content["data"]["outliers"] = {**content["data"]["ood"], "fingerprint": meta["fingerprint"]}
        return RecordStore(self.results).write(Record.of(content))

    def age(self, days=2.0):
        """Makes everything look as if it had been written days ago."""
        then = time.time() - days * DAY
        for path in self.store.rglob("*"):
            os.utime(path, (then, then))


@pytest.fixture
def shelves(tmp_path):
    return Shelves(tmp_path)


@pytest.fixture
def full(shelves):
    """A store of everything; what ``kept`` names is referred to by the only record, the rest is not."""
    shelves.kept = {
        "base": shelves.classifier("base"),
        "tuned": shelves.classifier("tuned", initial="base"),
        "images": (seen := shelves.images("mnist", 1)),
    }
    shelves.kept["bank"] = shelves.bank(shelves.kept["tuned"], seen)
    shelves.kept["derived"] = shelves.derived()
    shelves.kept["scores"] = shelves.scores(json.loads(SAMPLE.read_text())["cell_key"])
    other = shelves.classifier("other")
    shelves.loose = {
        "classifier": other,
        "images": (unseen := shelves.images("kmnist", 2)),
        "bank": shelves.bank(other, seen),
        "bank of unseen images": shelves.bank(shelves.kept["tuned"], unseen),
        "scores": shelves.scores("fedcba9876543210"),
        "training": shelves.leftover("classifiers/lenet-x.training/last.ckpt").parent,
        "lock": shelves.leftover("classifiers/lenet-digits-base.lock"),
        "torn": shelves.leftover("images/mnist-99.torn/images.npy").parent,
        "lease": shelves.leftover("classifiers/lenet-digits-base.lease.7"),
        "half a bank": shelves.leftover(shelves.kept["bank"].relative_to(shelves.store) / ".x2"),
        "shards": shelves.shards(shelves.kept["bank"]),
        "part": shelves.leftover("banks/derived/odin-99.part"),
        "heartbeat": shelves.leftover("sweeps/jobs/1.json").parent,
        "half written": shelves.leftover("banks/.derived.x1"),
        "log": shelves.leftover("slurm/7_0/log.err").parent,
    }
    shelves.record("tuned", seen)
    shelves.age()
    return shelves
