"""A run in shards: jobs that each compute a range of every image set, and one that joins them and scores."""

from pathlib import Path

import pytest

from ood_bench.config import compose_settings
from ood_bench.errors import ConfigError, TrainingError
from ood_bench.results import frame
from ood_bench.runner.execute import execute

CIRCUMSTANCES = ["seconds", "created", "git_dirty", "git_revision"]
METHODS = "method=[msp,knn,mahalanobis,odin,gram,deep_ensemble]"


@pytest.fixture
def run(quick):
    """Runs the toy in a folder, with further overrides."""

    def made(folder, *words):
        places = [f"store.root={folder}/store", f"results.root={folder}/results"]
        small = ["train.epochs=20", "method.knn.k=3", "method.deep_ensemble.members=2", "method.odin.magnitudes=[0.01]"]
        return execute(compose_settings([*quick, METHODS, *small, "scoring.batch_size=8", *places, *words]))

    return made


def kept(folder, kind):
    """Content of every array of a kind, by its name in the store."""
    root = Path(folder) / "store" / kind
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_run_in_shards_gives_the_same_banks_scores_and_records(run, caplog):
    caplog.set_level("INFO")
    whole = run("a")
    for number in (0, 2):  # and not 1
        assert run("b", "scoring.shards=3", f"scoring.shard={number}").records == []
    alone = "gradients, random passes and other passes of their own of mahalanobis, odin, gram"
    assert sum(alone in line for line in caplog.messages) == 2
    # Features of three sets and logits of two by the first network, logits of two by the ensemble's second
    assert "shard 2 of 3 (from 0): its rows of 7 banks computed, of 0 found" in caplog.messages
    joined = run("b", "scoring.shards=3")
    assert "digits (classes 0 to 7): 2 of 3 parts of banks found in shards, 1 computed" in caplog.messages  # training
    assert kept("b", "banks") == kept("a", "banks")
    assert kept("b", "scores") == kept("a", "scores")
    assert len(kept("a", "scores")) == 6
    one, other = (frame(found.records).drop(columns=CIRCUMSTANCES) for found in (whole, joined))
    assert one.equals(other)
    assert [path.relative_to("b") for path in map(Path, joined.paths)] == [
        path.relative_to("a") for path in map(Path, whole.paths)
    ]
    assert not list(Path("b/store/banks").glob("*.shards"))
    run("b", "scoring.shards=3", "scoring.shard=1")
    assert (
        "shard 1 of 3 (from 0): its rows of 0 banks computed, of 0 found" in caplog.messages
    )  # every cell has a record


def test_more_shards_than_batches_are_refused(run):
    with pytest.raises(ConfigError, match=r"scoring\.shards=99: .* largest set, has 18 of 8 images") as caught:
        run("a", "scoring.shards=99")
    assert caught.value.hint.startswith("set scoring.shards to 18 at most")


def test_a_network_that_cannot_be_had_fails_the_shard(run):
    with pytest.raises(TrainingError):
        run("a", "train.optimizer.lr=1e29", "train.epochs=2", "scoring.shards=2", "scoring.shard=0")
