import numpy as np
import pytest

from ood_bench.errors import RecordError
from ood_bench.papers.block import load_blocks
from ood_bench.report.rows import Stat, arrange, gather


def test_mean_and_sample_deviation_by_hand(make):
    """77.0, 77.4, 77.9: mean 77.4333, squared deviations 0.1878 + 0.0011 + 0.2178 = 0.4067, over 2: 0.2033."""
    (row,) = gather(make(seed=seed, auroc=value) for seed, value in enumerate((77.0, 77.4, 77.9)))
    stat = row.stat("auroc")
    assert stat is not None
    assert stat.n == 3
    assert stat.mean == pytest.approx(77.43333333)
    assert stat.std == pytest.approx(0.2033333333**0.5)
    assert (stat.low, stat.high) == (None, None)


def test_intervals_are_averaged(make):
    (row,) = gather(make(seed=seed, auroc=value) for seed, value in enumerate((80.0, 90.0)))
    stat = row.stat("auroc", "exact")
    assert stat is not None
    assert (stat.low, stat.high) == (84.5, 85.25)


def test_one_interval_missing_gives_none(make):
    records = [make(seed=0), make(seed=1, exact={"auroc": {"value": 70.0}})]
    stat = gather(records)[0].stat("auroc", "exact")
    assert stat is not None
    assert stat.n == 2
    assert stat.low is None


def test_one_checkpoint_under_three_seeds_is_one_network(make):
    checkpoint = make().content()["checkpoint"]
    records = [make(seed=seed, auroc=value, checkpoint=checkpoint) for seed, value in enumerate((80.0, 81.0, 82.0))]
    (row,) = gather([*records, make(seed=3, auroc=91.0)])
    assert row.stat("auroc") == Stat(mean=86.0, std=pytest.approx(50**0.5), n=2, low=None, high=None)
    (low, high) = row.stat("auroc", "exact").low, row.stat("auroc", "exact").high
    assert (low, high) == (85.5, 86.25)  # as the mean, over two networks and not over four seeds
    (row,) = gather(records)
    assert row.stat("auroc") == Stat(mean=81.0, std=None, n=1, low=None, high=None)


def test_one_seed_has_no_deviation_and_an_unknown_metric_no_value(make):
    (row,) = gather([make()])
    assert row.stat("auroc") == Stat(mean=77.0, std=None, n=1, low=None, high=None)
    assert row.stat("tnr95") is None


def test_a_metric_counts_only_the_seeds_that_have_it(make):
    (row,) = gather([make(seed=0), make(seed=1, metrics={"fpr80": {"value": 1.0}})])
    assert [row.stat(name).n for name in ("auroc", "fpr80")] == [1, 2]


def test_variants_and_other_images_are_rows_of_their_own(make):
    records = [make(), make(variant="train mode"), make(ood_variant="JPEG copy"), make(id_variant="JPEG copy")]
    rows = gather(reversed(records))
    assert [(row.label, row.id_title, row.ood_title) for row in rows] == [
        ("msp", "fashionmnist", "mnist"),
        ("msp", "fashionmnist", "mnist (JPEG copy)"),
        ("msp", "fashionmnist (JPEG copy)", "mnist"),
        ("msp (train mode)", "fashionmnist", "mnist"),
    ]


def test_trained_on_other_images_than_tested_is_said(make):
    data = make().content()["data"]
    data["id_train"]["variant"] = "JPEG copy"
    (row,) = gather([make(data=data)])
    assert row.id_title == "fashionmnist, trained on fashionmnist (JPEG copy)"


def test_imported_weights_have_rows_of_their_own(make):
    """A network of the same seed that was trained here, and one from elsewhere, stand side by side."""

    def imported(weights, **changes):
        checkpoint = make().content()["checkpoint"]
        checkpoint["networks"][0]["recipe"] = "imported"
        return make(checkpoint={**checkpoint, "sha256": weights * 64}, **changes)

    rows = gather([make(), imported("a"), imported("b"), imported("a", seed=1)])
    assert [(row.id_title, len(row.records)) for row in rows] == [
        ("fashionmnist", 1),
        ("fashionmnist, imported weights aaaaaaaa", 2),
        ("fashionmnist, imported weights bbbbbbbb", 1),
    ]


def test_one_seed_twice_is_refused(make):
    with pytest.raises(RecordError, match=r"msp on mnist: two results for seed 0, .*seed0-0+\.json and seed0-a+\.json"):
        gather([make(), make(cell_key="a" * 16)])


def test_seeds_that_differ_in_more_than_the_seed_are_refused(make):
    content = make(seed=1).content()
    (network,) = content["checkpoint"]["networks"]
    mixed = {
        "conventions": {"evaluation": {"positive": "ood"}},
        "training": {"checkpoint": content["checkpoint"] | {"networks": [network | {"epochs": 7}]}},
        "images": {"data": content["data"] | {"id_test": content["data"]["id_test"] | {"fingerprint": "a" * 64}}},
        "row counts": {"n_ood": 3},
    }
    for what, change in mixed.items():
        with pytest.raises(RecordError, match=rf"msp on mnist: seeds of different {what} \(seed0-0+\.json and seed1-"):
            gather([make(seed=0), make(seed=1, **change)])


def test_rows_are_arranged_like_the_paper_with_gaps_filled(make, conf):
    (block,) = load_blocks(conf)
    rows = arrange(gather([make("fssd"), make("mc_dropout", variant="train mode"), make("msp")]), block)
    assert [(row.label, bool(row.records)) for row in rows] == [
        ("msp", True),
        ("odin", False),
        ("mc_dropout", False),
        ("mc_dropout (train mode)", True),
        ("fssd", True),
    ]


def test_ood_sets_come_one_after_the_other(conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [mnist, kmnist]"))
    rows = arrange([], load_blocks(conf)[0])
    assert [(row.ood, row.method) for row in rows[2:6]] == [
        ("mnist", "mc_dropout"), ("mnist", "fssd"), ("kmnist", "msp"), ("kmnist", "odin"),
    ]  # fmt: skip


def average_block(conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    path.write_text(path.read_text().replace("ood: [mnist]", "ood: [average]\n  average_of: [mnist, kmnist]"))
    return load_blocks(conf)[0]


def test_an_average_is_taken_over_sets_first_and_then_over_seeds(make, conf):
    values = {("mnist", 0): 70.0, ("kmnist", 0): 80.0, ("mnist", 1): 90.0, ("kmnist", 1): 82.0, ("mnist", 2): 10.0}
    records = [
        make("msp", seed=seed, auroc=auroc, ood=ood, cell_key=f"{number:016x}")
        for number, ((ood, seed), auroc) in enumerate(values.items())
    ]
    row = next(row for row in arrange(gather(records), average_block(conf)) if row.method == "msp")
    stat = row.stat("auroc")
    assert (row.ood, row.ood_title) == ("average", "average")
    assert stat.mean == pytest.approx((75 + 86) / 2)  # seed 2 lacks a set
    assert stat.std == pytest.approx(11 / 2**0.5)
    assert stat.n == 2
    assert row.stat("auroc", "exact").low is None


def test_groups_have_means_of_their_own_and_the_spread_that_the_paper_prints(make, conf):
    path = conf / "paper" / "fssd_fashionmnist.yaml"
    groups = "ood: [mnist, near, far]\n  groups: {near: [mnist, kmnist], far: [svhn]}\n  spread: population"
    path.write_text(path.read_text().replace("ood: [mnist]", groups))
    block = load_blocks(conf)[0]
    values = {("mnist", 0): 70.0, ("kmnist", 0): 80.0, ("svhn", 0): 60.0}
    values |= {("mnist", 1): 90.0, ("kmnist", 1): 82.0, ("svhn", 1): 64.0}
    records = [
        make("msp", seed=seed, auroc=auroc, ood=ood, cell_key=f"{number:016x}")
        for number, ((ood, seed), auroc) in enumerate(values.items())
    ]
    rows = {row.ood: row for row in arrange(gather(records), block) if row.method == "msp"}
    assert list(rows) == ["mnist", "near", "far"]
    assert [rows[name].averages for name in rows] == [False, True, True]
    near, far = rows["near"].stat("auroc"), rows["far"].stat("auroc")
    assert (near.mean, near.shown_std, near.std) == (80.5, pytest.approx(np.std([75, 86])), pytest.approx(11 / 2**0.5))
    assert (far.mean, far.shown_std) == (62.0, pytest.approx(2.0))
    assert rows["mnist"].stat("auroc").shown_std == pytest.approx(10.0)


def test_an_average_never_mixes_networks(make, conf):
    """Seed 1 scored one network on one set and another network on the other: it has no average."""
    checkpoint = make(seed=5).content()["checkpoint"]
    records = [make(seed=seed, ood=ood, auroc=80.0 + seed) for seed in (0, 1) for ood in ("mnist", "kmnist")]
    records[-1] = make(seed=1, ood="kmnist", auroc=20.0, checkpoint=checkpoint)
    row = next(row for row in arrange(gather(records), average_block(conf)) if row.method == "msp")
    assert (row.stat("auroc").mean, row.stat("auroc").n) == (80.0, 1)


def test_variants_of_a_set_have_averages_of_their_own(make, conf):
    """Two seeds on one variant of a set must not vanish behind one seed on another."""
    cells = [("mnist", "", 0, 80.0), ("mnist", "", 1, 80.0), ("mnist", "cut", 0, 20.0), ("kmnist", "", 0, 90.0)]
    records = [
        make("msp", seed=seed, auroc=auroc, ood=ood, ood_variant=variant, cell_key=f"{number:016x}")
        for number, (ood, variant, seed, auroc) in enumerate([*cells, ("kmnist", "", 1, 90.0)])
    ]
    rows = [row for row in arrange(gather(records), average_block(conf)) if row.method == "msp"]
    assert {row.ood for row in rows} == {"average"}
    found = [(row.ood_title, row.stat("auroc").mean, row.stat("auroc").n) for row in rows]
    (cut,) = [one for one in found if "cut" in one[0]]
    (whole,) = [one for one in found if "cut" not in one[0]]
    assert cut[1:] == (55.0, 1)
    assert whole[1:] == (85.0, 2)


def test_an_average_that_lacks_a_set_is_not_run(make, conf):
    rows = arrange(gather([make("msp", ood="mnist")]), average_block(conf))
    assert [(row.method, row.ood, bool(row.records)) for row in rows] == [
        (method, "average", False) for method in ("msp", "odin", "mc_dropout", "fssd")
    ]
