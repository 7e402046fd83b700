import threading
import time

import numpy as np
import pytest

from ood_bench.scoring.engine import Engine, View
from ood_bench.scoring.quantities import LOGITS, Mean, Quantity
from ood_bench.scoring.shard_engine import NotWholeError, ShardEngine, UndividedError
from ood_bench.scoring.shards import ranges
from ood_bench.utils.locks import locked

WANTED = [LOGITS, Quantity("conv1", Mean()), Quantity("fc1", Mean())]


@pytest.fixture
def images(toys):
    return toys.image_set("near", 50)


def sizes_of(classifier):
    """The sizes of all batches that go through the network from here on."""
    sizes = []
    classifier.scoring_network.register_forward_pre_hook(lambda _module, found: sizes.append(len(found[0])))
    return sizes


def banks(root):
    """Content of every file of banks, shards or locks, by name."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("images", "batch_size", "shards", "ends"),
    [(50, 8, 3, [16, 32, 50]), (48, 8, 3, [16, 32, 48]), (10, 8, 4, [0, 8, 8, 10]), (7, 8, 1, [7]), (1, 8, 2, [0, 1])],
)
def test_shards_are_whole_batches_and_cover_all_rows(images, batch_size, shards, ends):
    found = ranges(images, batch_size, shards)
    assert [rows.stop for rows in found] == ends
    assert [rows.start for rows in found] == [0, *ends[:-1]]


def test_joined_banks_are_those_of_one_pass_to_the_bit(images, toys, tmp_path, caplog):
    caplog.set_level("INFO")
    classifier = toys.classifier()
    Engine(tmp_path / "whole", 8).collect(classifier, images, WANTED)
    sizes = sizes_of(classifier)
    assert [ShardEngine(tmp_path / "parts", 8, 3, number).fill(classifier, images, WANTED) for number in (2, 0)] == [
        3,
        3,
    ]
    assert ShardEngine(tmp_path / "parts", 8, 3, 2).fill(classifier, images, WANTED) == 0
    joined = Engine(tmp_path / "parts", 8, 3).collect(classifier, images, WANTED)
    assert sizes == [8, 8, 2, 8, 8, 8, 8]
    assert "near: 6 of 9 parts of banks found in shards, 3 computed" in caplog.text
    assert banks(tmp_path / "parts") == banks(tmp_path / "whole")  # and no shard is left
    assert not list((tmp_path / "parts").glob("*.shards"))
    assert joined[LOGITS].shape == (50, 4)
    assert ShardEngine(tmp_path / "parts", 8, 3, 1).fill(classifier, images, WANTED) == 0  # late: the bank is whole


def test_steps_and_banks_of_a_joined_set_are_those_of_one_pass(images, toys, tmp_path):
    classifier, odin = toys.classifier(), toys.detector("odin", magnitudes=[0.1])
    found = []
    for root, shards in ((tmp_path / "whole", 1), (tmp_path / "parts", 3)):
        engine = Engine(root, 8, shards)
        steps = odin.steps(toys.scorer_with(classifier, root=root), odin.grid())
        found.append(
            (engine.collect(classifier, images, [LOGITS], steps), engine.stepped(classifier, View(images), steps))
        )
    (whole, whole_steps), (joined, joined_steps) = found
    np.testing.assert_array_equal(joined[LOGITS], whole[LOGITS])
    np.testing.assert_array_equal(joined_steps, whole_steps)


def test_a_join_that_broke_off_and_a_damaged_shard_cost_only_themselves(images, toys, tmp_path):
    classifier = toys.classifier()
    Engine(tmp_path / "whole", 8).collect(classifier, images, WANTED)
    batches = []

    def stop_at_the_third(_module, _inputs):
        batches.append(None)
        if len(batches) == 4:
            raise KeyboardInterrupt

    handle = classifier.scoring_network.register_forward_pre_hook(stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        Engine(tmp_path / "parts", 8, 3).collect(classifier, images, WANTED)
    handle.remove()
    (folder,) = (tmp_path / "parts").glob("*.shards")
    assert len(list(folder.iterdir())) == 3  # the first shard; no lock
    damaged = folder / "0-16-by-8-output-flat.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    sizes = sizes_of(classifier)
    Engine(tmp_path / "parts", 8, 3).collect(classifier, images, WANTED)
    assert sizes == [8, 8, 8, 8, 8, 8, 2]
    assert banks(tmp_path / "parts") == banks(tmp_path / "whole")


def test_another_split_or_batch_size_is_not_joined(images, toys, tmp_path):
    classifier = toys.classifier()
    ShardEngine(tmp_path, 16, 2, 0).fill(classifier, images, [LOGITS])
    sizes = sizes_of(classifier)
    Engine(tmp_path, 8, 2).collect(classifier, images, [LOGITS])
    assert sum(sizes) == 50
    assert [path.name for path in tmp_path.glob("*.shards/*")] == ["0-32-by-16-output-flat.npy"]


def test_a_run_that_joins_no_shards_says_that_there_are_some(images, toys, tmp_path, caplog):
    ShardEngine(tmp_path, 8, 2, 0).fill(toys.classifier(), images, [LOGITS])
    Engine(tmp_path, 8).collect(toys.classifier(), images, [LOGITS])
    (folder,) = tmp_path.glob("*.shards")
    assert f"shards of it lie in {folder}: set scoring.shards" in caplog.text


def test_a_shard_at_work_elsewhere_is_waited_for_last(images, toys, tmp_path):
    classifier = toys.classifier()
    whole = Engine(None, 8).collect(classifier, images, [LOGITS])
    ShardEngine(tmp_path, 8, 3, 1).fill(classifier, images, [LOGITS])
    (folder,) = tmp_path.glob("*.shards")
    joined = []
    join = threading.Thread(target=lambda: joined.append(Engine(tmp_path, 8, 3).collect(classifier, images, [LOGITS])))
    with locked(folder / "0-16-by-8"):
        join.start()
        end = time.monotonic() + 60
        while not (folder / "32-50-by-8-output-flat.npy").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        assert join.is_alive()
    join.join(60)
    np.testing.assert_array_equal(joined[0][LOGITS], whole[LOGITS])


def test_a_shard_job_computes_nothing_that_needs_a_whole_set(images, toys, tmp_path):
    classifier, engine = toys.classifier(), ShardEngine(tmp_path, 8, 3, 0)
    engine.fill(classifier, images, [LOGITS])
    with pytest.raises(NotWholeError):
        engine.collect(classifier, images, [LOGITS])
    odin = toys.detector("odin", magnitudes=[0.1])
    with pytest.raises(UndividedError):
        engine.stepped(classifier, View(images), odin.steps(toys.scorer_with(classifier), odin.grid()))
    with pytest.raises(UndividedError):
        engine.cached("x", {}, lambda: np.zeros(2))
    whole = Engine(tmp_path, 8, 3).collect(classifier, images, [LOGITS])
    np.testing.assert_array_equal(engine.collect(classifier, images, [LOGITS])[LOGITS], whole[LOGITS])
