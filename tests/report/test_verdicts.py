import dataclasses
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.verdicts import shares
from ood_bench.papers.block import Block, load_blocks
from ood_bench.report.margins import Margins
from ood_bench.report.rows import Row, Stat, gather
from ood_bench.report.rule import Published
from ood_bench.report.sections import sections
from ood_bench.report.verdicts import Verdict, chance, counted, judge, smaller_is_better

DOC = (Path(__file__).parents[2] / "docs" / "verdicts.md").read_text()


def stat(mean, std, n=3):
    return Stat(mean=mean, std=std, n=n, low=None, high=None)


@pytest.fixture
def row(make):
    """Rows of MSP with given AUROCs, FPR80 = 100 - AUROC."""

    def of(*aurocs, **changes):
        changes = {"method": "msp", **changes}
        records = [make(seed=seed, auroc=auroc, fpr80=100 - auroc, **changes) for seed, auroc in enumerate(aurocs)]
        (found,) = gather(records)
        return found

    return of


def test_the_steps_in_their_order(row):
    missing = Row("msp", "", "mnist", "fashionmnist", "mnist", ())
    assert judge(missing, "auroc", None).verdict is Verdict.NOT_RUN
    assert judge(missing, "auroc", "77.3").verdict is Verdict.NOT_RUN
    other = row(77.0, 77.4, ood_variant="JPEG copy")
    assert judge(other, "auroc", None).reason == "there is no published number"
    assert judge(other, "tnr95", "20.0").reason == "our records lack this metric"
    assert judge(other, "auroc", "77.3").reason == "not the official images: mnist (JPEG copy)"
    assert judge(other, "auroc", "77.3").verdict is Verdict.INCOMPARABLE
    assert judge(row(77.2, 77.3, 77.4), "auroc", "77.3").verdict is Verdict.REPRODUCED


@pytest.mark.parametrize("role", ["id_train", "id_test", "ood"])
def test_images_of_any_role_that_are_not_official_cannot_be_compared(make, role):
    data = make().content()["data"]
    data[role]["variant"] = "part"
    (found,) = gather([make(data=data)])
    assert judge(found, "auroc", "77.3").reason == f"not the official images: {data[role]['name']} (part)"


@pytest.mark.parametrize(
    ("metric", "printed", "expected"),
    [
        ("auroc", "70.0", Verdict.BETTER),
        ("auroc", "80.0", Verdict.WORSE),
        ("fpr80", "30.0", Verdict.BETTER),
        ("fpr80", "10.0", Verdict.WORSE),
    ],
)
def test_better_and_worse_know_which_way_a_metric_points(row, metric, printed, expected):
    found = judge(row(77.0, 77.1, 77.2), metric, printed)
    assert found.verdict is expected
    assert found.verdict.conclusion == "not reproduced"
    assert re.fullmatch(r"\d+\.\d0 apart; by chance up to 0\.55 with 3 networks; margin [12]", found.reason)


def test_counts_in_words_take_better_and_worse_together():
    assert counted([Verdict.WORSE, Verdict.UNDECIDED, Verdict.BETTER]) == "1 undecided, 2 not reproduced"


def test_each_verdict_has_the_conclusion_of_the_document():
    lines = re.findall(r"^\| \d+ \| .* \| (?P<verdict>[a-z ]+) \| (?P<conclusion>[a-z* ]+) \|$", DOC, re.MULTILINE)
    documented = {verdict: conclusion.replace("*", "") for verdict, conclusion in lines if verdict != "see below"}
    assert documented == {one.value: one.conclusion for one in Verdict}


def test_which_way_a_metric_points():
    assert all(map(smaller_is_better, ("fpr95", "detection_error", "test_error", "fpr95_ood_positive")))
    assert not any(map(smaller_is_better, ("auroc", "aupr_out", "tnr95", "detection_accuracy", "id_accuracy")))


@pytest.mark.parametrize("runs", [1, 3])
def test_the_chance_is_that_of_the_published_mean(runs):
    """Against SciPy's t-test: a mean of one run by its own two samples, more runs by the formula of the document."""
    ours = np.array([77.0, 77.4, 78.1, 77.7])
    mean, std = ours.mean(), ours.std(ddof=1)
    expected = 2 * stats.t.sf((79.0 - mean) / (std * math.sqrt(1 / runs + 1 / 4)), 3)
    assert chance(stat(mean, std, 4), Published(79.0, 0.05, runs)) == pytest.approx(expected, rel=1e-9)
    if runs == 1:
        assert expected == pytest.approx(stats.ttest_ind_from_stats(mean, std, 4, 79.0, 0.0, 1).pvalue)
    assert chance(stat(77.0, None, 1), Published(79.0, 0.05, runs)) is None
    assert chance(stat(77.0, 0.0), Published(79.0, 0.05, runs)) is None


def test_the_documents_figures_are_those_of_the_simulation():
    """1,000 pretended reproductions a line, whose standard error is 1.6 points at most."""
    head = r"^\| (?:(?P<off>[125]) \| )?(?P<runs>[13]) \| (?P<std>[\d.]+) \|(?P<cells>(?: [\d.]+ / [\d.]+ \|){4})$"
    lines = list(re.finditer(head, DOC, re.MULTILINE))
    assert len(lines) == 8 + 12
    for line in lines:
        for n, cell in zip((2, 3, 5, 10), line["cells"].strip(" |").split(" | "), strict=True):
            found = shares(n, float(line["std"]), int(line["runs"]), float(line["off"] or 0), 1000)
            yes, no = map(float, cell.split(" / "))
            assert (found["reproduced"], found["not reproduced"]) == pytest.approx((yes, no), abs=5)
            assert no <= 5 or line["off"]


def test_one_seed_decides_nothing(row):
    assert judge(row(77.3), "auroc", "77.3").reason == "one seed: how much networks differ is unknown"
    assert judge(row(20.0), "auroc", "77.3").verdict is Verdict.UNDECIDED


def test_one_checkpoint_under_several_seeds_is_one_network(make):
    checkpoint = make().content()["checkpoint"]
    (found,) = gather([make(seed=seed, auroc=77.2 + seed / 10, checkpoint=checkpoint) for seed in range(3)])
    assert judge(found, "auroc", "77.3").reason == "one seed: how much networks differ is unknown"


def test_ensembles_that_share_members_are_not_several_networks(make):
    networks = [make(seed=seed).content()["checkpoint"]["networks"][0] for seed in range(4)]
    shared, apart = (((0, 1), (1, 2)), ((0, 1), (2, 3)))
    found = {}
    for name, ensembles in (("shared", shared), ("apart", apart)):
        checkpoints = [{"key": f"{a}{b}", "sha256": None, "networks": [networks[a], networks[b]]} for a, b in ensembles]
        (mine,) = gather([make(seed=seed, auroc=77.3, checkpoint=one) for seed, one in enumerate(checkpoints)])
        found[name] = judge(mine, "auroc", "77.3").verdict
    assert found == {"shared": Verdict.UNDECIDED, "apart": Verdict.REPRODUCED}


def test_margins_can_be_changed(row):
    mine = row(79.2, 79.3, 79.4)  # 2 points above, chance up to 0.55
    assert judge(mine, "auroc", "77.3").verdict is Verdict.BETTER
    assert judge(mine, "auroc", "77.3", margins=Margins(usual=2.5)).verdict is Verdict.REPRODUCED
    assert judge(mine, "fpr80", "22.7").verdict is Verdict.UNDECIDED  # 2 points below: more than chance, not than 2
    assert judge(mine, "fpr80", "22.7", margins=Margins(fpr=1.0)).verdict is Verdict.BETTER


@pytest.fixture
def imported(make, conf):
    """MSP's row of published networks, seed by seed, in a block that names those with these first digits."""

    def of(*aurocs, own=(), same=False, **words):
        yaml = conf / "paper" / "fssd_fashionmnist.yaml"
        added = "".join(f"\n  {key}: {json.dumps(value)}" for key, value in {"weights": list(own), **words}.items())
        yaml.write_text(yaml.read_text() + added)
        records = []
        for seed, auroc in enumerate(aurocs):
            checkpoint = make(seed=0 if same else seed).content()["checkpoint"]
            checkpoint["networks"][0]["recipe"] = "imported"
            records.append(make(seed=seed, auroc=auroc, checkpoint=checkpoint, n_id=9000, n_ood=1000))
        section = sections(records, load_blocks(conf))[0]
        return [section.judge(one, "auroc") for one in section.ran]

    return of


WEIGHTS = [f"{b'weights '.hex()}{ord(str(seed)):x}" for seed in range(3)]


@pytest.mark.parametrize(
    ("auroc", "verdict"),
    [(77.45, Verdict.REPRODUCED), (77.151, Verdict.REPRODUCED), (77.46, Verdict.BETTER), (77.14, Verdict.WORSE)],
)
def test_the_authors_network_may_be_one_image_and_the_rounding_off(imported, auroc, verdict):
    """0.05 and 100 / 1,000 points."""
    (found,) = imported(auroc, own=WEIGHTS[:1])
    assert (found.verdict, found.limit) == (verdict, pytest.approx(0.15))


def test_a_published_network_that_no_block_names_is_some_network(imported):
    (found,) = imported(77.3)
    assert found.verdict is Verdict.UNDECIDED
    assert found.reason == "one imported network, which the block does not name as its authors' own"


def test_the_authors_networks_are_no_seeds(imported):
    """Three of theirs stand for the three behind a number: here one is, so that none of them needs to give it."""
    (found,) = imported(76.0, 77.3, 78.6, own=WEIGHTS)
    assert found.reason == "the authors' weights: 3 scored, but 1 behind the number"
    assert found.verdict is Verdict.UNDECIDED


def test_three_of_the_authors_networks_give_the_mean_of_three(imported, monkeypatch):
    monkeypatch.setattr(Block, "runs", lambda *cell: 3)
    (found,) = imported(76.0, 77.3, 78.6, own=WEIGHTS)
    assert (found.verdict, found.limit) == (Verdict.REPRODUCED, pytest.approx(0.15))


@pytest.mark.parametrize(
    ("aurocs", "verdict", "reason"),
    [
        ([77.3 + step / 100 for step in range(9)], Verdict.UNDECIDED, "9 of 10 draws of one network, so that"),
        ([77.3] * 12, Verdict.UNDECIDED, "1 of 10 draws of one network"),  # one draw, scored twelve times
        (
            [77.3 + step / 100 for step in range(10)],
            Verdict.REPRODUCED,
            "0.05 apart; by chance up to 0.12 with 10 draws",
        ),
        ([79.3 + step / 100 for step in range(10)], Verdict.BETTER, "2.05 apart; by chance up to 0.12 with 10 draws"),
    ],
)
def test_where_rows_are_drawn_the_spread_is_that_of_ten_draws(imported, aurocs, verdict, reason):
    (found,) = imported(*aurocs, own=WEIGHTS[:1], same=True, drawn=["mnist"])
    assert found.verdict is verdict
    assert reason in found.reason


@pytest.fixture(scope="module")
def openood():
    return next(block for block in load_blocks() if block.name == "openood_cifar10")


@pytest.mark.parametrize(
    ("method", "tuned_on", "reason"),
    [
        ("energy", "validation rows", "0.08 apart; by chance up to "),
        ("energy", "nothing", "tuned: hyperparameters chosen by OpenOOD's search"),
        ("fdbd", "validation rows", "std of 0.00: one network instead of three"),
    ],
)
def test_flags_on_published_numbers_feed_the_verdict(method, tuned_on, reason, row, openood):
    mine = row(87.4, 87.5, 87.6, method=method, evaluation={"tuned_on": tuned_on})
    judged = judge(dataclasses.replace(mine, ood="near"), "auroc", "87.58", openood)
    assert judged.verdict is (Verdict.REPRODUCED if reason.startswith("0.08") else Verdict.INCOMPARABLE)
    assert judged.reason.startswith(reason)


def test_the_images_that_a_published_table_is_of_are_official_for_it(row, openood):
    mine = row(77.2, 77.3, 77.4, id_variant="OpenOOD", ood_variant="OpenOOD")
    assert judge(mine, "auroc", "77.3").reason.startswith("not the official images: ")
    assert judge(mine, "auroc", "77.3", openood).verdict is Verdict.REPRODUCED
    others = row(77.0, 78.0, id_variant="OpenOOD", ood_variant="JPEG copy")
    assert judge(others, "auroc", "77.3", openood).reason == "not the official images: mnist (JPEG copy)"
