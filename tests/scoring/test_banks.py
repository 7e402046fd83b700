import logging

import numpy as np
import pytest

from ood_bench.data.views import View
from ood_bench.errors import ArtifactError
from ood_bench.scoring import banks
from ood_bench.scoring.banks import Banks, PartialScores
from ood_bench.scoring.quantities import LOGITS

GRID = {"magnitudes": [0.1, 0.2], "temperatures": [1.0, 10.0]}


class Stopped(BaseException):
    """Like Ctrl-C."""


@pytest.fixture
def images(toys):
    return toys.image_set("near", 30)


def scorer(toys, root):
    return toys.scorer_with(toys.classifier(), root=root, batch_size=8)


def stop_after(classifier, batches):
    """Lets so many batches through: each runs the clean images and four stepped ones."""
    seen = []

    def count(_module, _inputs):
        seen.append(None)
        if len(seen) > 5 * batches:
            raise Stopped

    return classifier.scoring_network.register_forward_pre_hook(count)


def unfinished(root):
    return list(root.rglob("*.part"))


@pytest.mark.parametrize("rows", [None, np.arange(30)[::-1].copy()], ids=["all rows", "rows in another order"])
def test_a_pass_that_broke_off_goes_on_where_it_was(rows, images, toys, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    view, using = View(images, rows), scorer(toys, tmp_path)
    found = toys.detector("odin", **GRID)
    handle = stop_after(using.classifier, 2)
    with pytest.raises(Stopped):
        found.raw_scores(using, view, found.grid())
    handle.remove()
    assert len(unfinished(tmp_path)) == 1
    later = scorer(toys, tmp_path)
    with toys.counting(later.classifier) as counts:
        ours = found.raw_scores(later, view, found.grid())
    assert (counts[""], counts["backward"]) == (14 * 5, 14 * 2)
    assert "going on after 16 images" in caplog.text
    assert unfinished(tmp_path) == []
    whole = found.raw_scores(scorer(toys, None), view, found.grid())
    np.testing.assert_array_equal(ours, whole)


def test_other_settings_and_other_rows_do_not_go_on_from_it(images, toys, tmp_path):
    using = scorer(toys, tmp_path)
    found, other = toys.detector("odin", **GRID), toys.detector("odin", **{**GRID, "magnitudes": [0.1, 0.3]})
    handle = stop_after(using.classifier, 2)
    with pytest.raises(Stopped):
        found.raw_scores(using, View(images), found.grid())
    handle.remove()
    for detector, view in ((other, View(images)), (found, View(images, np.arange(20)))):
        later = scorer(toys, tmp_path)
        with toys.counting(later.classifier) as counts:
            detector.raw_scores(later, view, detector.grid())
        assert counts[""] == 5 * len(view)


def test_passes_of_whole_batches_go_on_with_the_same_batches(images, toys, tmp_path):
    """FSSD's gradient is standardised over the batch: another cut would give other numbers."""
    using, found = scorer(toys, tmp_path), toys.detector("fssd", magnitudes=[0.1], taps=["conv1"], gradient_batch=7)
    found.fit(using, np.random.RandomState(0))
    seen = []

    def count(_module, given):
        seen.append(len(given[0]))
        if len(seen) > 4:
            raise Stopped

    handle = using.classifier.scoring_network.register_forward_pre_hook(count)
    with pytest.raises(Stopped):
        found.raw_scores(using, View(images), found.grid())
    handle.remove()
    later = scorer(toys, tmp_path)
    ours = found.raw_scores(later, View(images), found.grid())
    found.fit(fresh := scorer(toys, None), np.random.RandomState(0))
    np.testing.assert_array_equal(ours, found.raw_scores(fresh, View(images), found.grid()))


def test_ctrl_c_on_a_full_disk_is_still_ctrl_c(images, toys, tmp_path, monkeypatch):
    using, found = scorer(toys, tmp_path), toys.detector("odin", **GRID)
    handle = stop_after(using.classifier, 2)

    def full(*_args, **_options):
        raise ArtifactError("the disk is full")

    monkeypatch.setattr(banks, "write_atomically", full)
    with pytest.raises(Stopped):
        found.raw_scores(using, View(images), found.grid())
    handle.remove()


def test_a_pass_that_keeps_quantities_is_not_saved_before_its_end(images, toys, tmp_path):
    using, found = scorer(toys, tmp_path), toys.detector("odin", **GRID)
    handle = stop_after(using.classifier, 2)
    with pytest.raises(Stopped):
        using.engine.collect(using.classifier, images, [LOGITS], found.steps(using, found.grid()))
    handle.remove()
    assert unfinished(tmp_path) == []


def flipped(whole):
    """The file with one bit changed, in the middle of its numbers."""
    place = len(whole) // 2
    return whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


DAMAGE = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[:-30],
    "without digest": lambda whole: whole[: whole.index(b"\nood-bench sha256")],
    "web page": lambda whole: b"<html>" * 50,
    "one bit": flipped,
    "zeroed": lambda whole: whole[:128] + bytes(len(whole) - 128),
    "another's": lambda whole: None,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["rows", "derived"])
def test_a_bank_that_is_not_what_was_written_is_made_again(kind, damage, tmp_path, caplog):
    one, other = np.random.default_rng(0).random((2, 40, 30)).astype(np.float32)
    kept = Banks(tmp_path)
    for name, values in (("a", one), ("b", other)):
        kept.keep(f"place/{name}", values)
        kept.keep(f"derived/{name}", values)
    path = tmp_path / {"rows": "place", "derived": "derived"}[kind] / "a.npy"
    np.testing.assert_array_equal(np.load(path), one), "other programs can read it"
    changed = DAMAGE[damage](path.read_bytes())
    path.write_bytes(path.with_name("b.npy").read_bytes() if changed is None else changed)
    later = Banks(tmp_path)
    read = {
        "rows": lambda name: later.rows(f"place/{name}", 40),
        "derived": lambda name: later.derived(f"derived/{name}"),
    }[kind]
    np.testing.assert_array_equal(read("b"), other)
    assert read("a") is None
    assert f"{path} is damaged" in caplog.text


@pytest.mark.parametrize("damage", [name for name in DAMAGE if name != "another's"])
def test_a_damaged_file_is_no_obstacle(damage, tmp_path, caplog):
    path = tmp_path / "x.part"
    PartialScores(path).save([np.arange(10.0)], 4, now=True)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert PartialScores(path).load([np.zeros(10)]) == 0
    assert "the pass starts again" in caplog.text


def test_a_file_of_fewer_arrays_is_no_obstacle(tmp_path):
    PartialScores(tmp_path / "x.part").save([np.arange(10.0)], 4, now=True)
    assert PartialScores(tmp_path / "x.part").load([np.zeros(10), np.zeros(10)]) == 0


def test_what_is_done_is_saved_once_a_minute(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(banks.time, "monotonic", lambda: clock[0])
    one, scores = PartialScores(tmp_path / "x.part"), [np.arange(12.0).reshape(1, 2, 6)]
    for now, done, expected in ((10, 1, 0), (61, 2, 2), (70, 3, 2), (122, 4, 4)):
        clock[0] = now
        one.save(scores, done)
        again = np.zeros((1, 2, 6))
        assert PartialScores(tmp_path / "x.part").load([again]) == expected
        np.testing.assert_array_equal(again[..., :expected], scores[0][..., :expected])
    one.drop()
    assert PartialScores(tmp_path / "x.part").load([again]) == 0
