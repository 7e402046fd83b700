"""Rungs of the ladders in ``results/explain`` again from raw scores, by other code than the program's."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import auc, precision_recall_curve, roc_curve

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "results/explain"
BLOCKS = "fssd_fashionmnist", "odin_densenet_cifar10", "odin_densenet_cifar100", "openood_cifar10", "posthoc"
LADDERS = {name: json.loads((FOLDER / f"{name}.json").read_text()) for name in BLOCKS}
CELLS = [
    pytest.param(one, id=f"{name} {one['metric']} {one['title'].split(',')[0]}")
    for name, ladders in LADDERS.items()
    for one in ladders
]
PARTS = {"cifar100": "near/cifar100", "tiny_imagenet": "near/tin", "mnist": "far/mnist", "svhn": "far/svhn",
         "textures": "far/texture", "places365": "far/places365"}  # fmt: skip
GRIDS = {
    "ODIN's grid for msp, 10 classes": (0.1, 1.0),
    "ODIN's grid for msp, 100 classes": (0.01, 1.0),
    "ODIN's grid for odin, 10 classes": (0.1, 0.12),
    "ODIN's grid for odin, 100 classes": (0.01, 0.0104),
}


class Scores:
    """A cell's raw scores at the rows, the setting and the precision that rungs have reached."""

    def __init__(self, ladder: dict, real: Callable[[str], Path]) -> None:
        self.file = _theirs(ladder, real) if "openood_v15" in ladder["end"] and "scale" in ladder["title"] else {}
        if not self.file:
            with np.load(FOLDER / f"scores/{ladder['cell_key']}.npz") as file:
                self.file = dict(file)
        whole = "all" if "id-all-0" in self.file else "exact"
        settings = [one["choice"]["before"] for one in ladder["ladder"]["rungs"] if one["choice"]["name"] == "setting"]
        self.what = _setting(settings[0]) if settings else f"{whole}-0"
        self.skip, self.others = 0, []

    def take(self, name: str, after: str) -> None:
        """Takes a rung, if it is one of what is scored."""
        if name == "rows":
            self.skip = 300 if "from 300 on" in after else 200 if "without the first 200" in after else 0
            self.what = self.what.replace("all", "exact")
        elif name == "ranked numbers":
            self.what = "float32-0"
        elif name == "fit rows":
            self.what = f"train_rows={after.split()[2]}"
        elif name == "setting":
            self.what = _setting(after)
        elif name == "networks":
            self.others = [f"exact-{number}" for number in range(1, int(after.removeprefix("mean over ")))]

    def pairs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """ID and OOD scores of each network that the number is the mean over."""
        sides = (tuple(self.file[f"{side}-{what}"].astype(float) for side in ("id", "ood")) for what in
                 (self.what, *self.others))  # fmt: skip
        return [(ids[self.skip :], oods[self.skip :]) for ids, oods in sides]


def _setting(words: str) -> str:
    """``percentile=90.0 (tuned on nothing)`` as scores name it."""
    name, value = words.partition(" (")[0].split("=")
    return f"{name}={float(value):g}"


def _theirs(ladder: dict, real: Callable[[str], Path]) -> dict[str, np.ndarray]:
    """The scores that SCALE's authors have published, of three networks."""
    part, found = PARTS[ladder["title"].split(" on ")[1].split(",")[0]], {}
    for number in range(3):
        with np.load(real(f"data/openood_scores/cifar10_s{number}.npz")) as file:
            found |= {
                f"{side}-exact-{number}": file[f"{name}/confidence"]
                for side, name in (("id", "id_test"), ("ood", part))
            }
    return found


def reach(scores: np.ndarray, thresholds: np.ndarray, *, above: bool = False) -> np.ndarray:
    """How many scores are at (or only above) each threshold."""
    return len(scores) - np.searchsorted(np.sort(scores), thresholds, "right" if above else "left")


def row_by_row(ids: np.ndarray, oods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accepted ID and OOD rows, one at a time; ties in the order of a permutation of seed 0 over sorted rows."""
    scores = np.concatenate((np.sort(ids), np.sort(oods)))
    drawn = np.random.default_rng(0).permutation(len(scores))
    walked = sorted(drawn.tolist(), key=lambda row: -scores[row])
    inside = np.array(walked) < len(ids)
    return np.cumsum(inside), np.cumsum(~inside)


def points(ids: np.ndarray, oods: np.ndarray, rules: dict[str, str], *, outside: bool) -> tuple[np.ndarray, np.ndarray]:
    """Accepted positive and negative rows at ever more accepting thresholds."""
    thresholds = rules.get("thresholds", "")
    whole = (min(ids.min(), oods.min()), max(ids.max(), oods.max())) if thresholds.startswith("100,000") else None
    grid = GRIDS.get(thresholds, whole)
    if rules.get("tied rows", "").startswith("one by one"):
        assert not outside
        return row_by_row(ids, oods)
    if grid is None:
        yes, no = (-oods, -ids) if outside else (ids, oods)
        down = np.unique(np.concatenate((yes, no)))[::-1]
        return reach(yes, down), reach(no, down)
    step = (grid[1] - grid[0]) / 100000
    if outside:
        up = np.arange(grid[1], grid[0], -step)[::-1]
        return len(oods) - reach(oods, up), len(ids) - reach(ids, up)
    down = np.arange(grid[0], grid[1], step)[::-1]
    return reach(ids, down), reach(oods, down, above=rules.get("row on a threshold", "").startswith("rejected"))


def rate(tpr: np.ndarray, fpr: np.ndarray, level: float, cut: str) -> float:
    """FPR at the level."""
    if cut.startswith("mean"):
        return fpr[(tpr >= level - 0.0005) & (tpr <= level + 0.0005)].mean()
    return fpr[np.argmax(tpr >= level)]


def rectangles(x: np.ndarray, y: np.ndarray) -> float:
    """ODIN's sums: each step of x times y at the less accepting of its ends."""
    return x[0] * y[0] + sum(np.diff(x) * y[:-1])


def number(ids: np.ndarray, oods: np.ndarray, metric: str, rules: dict[str, str]) -> float:
    """A metric in percent by the choices taken so far, in the words of the rungs."""
    cut, area = rules.get("cut at the level", ""), rules.get("area rule", "")
    if "scikit" in cut:  # OpenOOD's lines
        fpr, tpr, _ = roc_curve(np.r_[np.zeros(len(ids)), np.ones(len(oods))], np.r_[-ids, -oods])
        return 100 * fpr[np.argmax(tpr >= 0.95)]
    if "from precision 1" in area:
        precision, recall, _ = precision_recall_curve(np.r_[np.ones(len(ids)), np.zeros(len(oods))], np.r_[ids, oods])
        return 100 * auc(recall, precision)
    outside = metric == "aupr_out" or rules.get("positive class") == "OOD"
    tp, fp = points(ids, oods, rules, outside=outside)
    n_yes, n_no = (len(oods), len(ids)) if outside else (len(ids), len(oods))
    if metric.startswith("fpr"):
        return 100 * rate(tp / n_yes, fp / n_no, int(metric[3:]) / 100, cut)
    tp, fp = (np.append(one, every)[np.append(tp + fp, 1) > 0] for one, every in ((tp, n_yes), (fp, n_no)))
    recall, fpr = tp / n_yes, fp / n_no
    precision = recall / (recall + fpr) if "rates" in rules.get("precision from", "") else tp / (tp + fp)
    x, y = (fpr, recall) if metric == "auroc" else (recall, precision)
    if "rectangles" in area:
        return 100 * rectangles(x, y)
    if metric == "auroc":
        return 100 * np.trapezoid(np.r_[0, y], np.r_[0, x])
    return 100 * (np.trapezoid(y, x) if area.startswith("trapezoids") else sum(np.diff(np.r_[0, x]) * y))


@pytest.mark.parametrize("ladder", CELLS)
def test_every_rung_is_what_raw_scores_give(ladder, real):
    scores, rules, climbed = Scores(ladder, real), {}, ladder["ladder"]
    for value, rung in [(climbed["start"], None), *((rung["value"], rung["choice"]) for rung in climbed["rungs"])]:
        if rung is not None:
            rules[rung["name"]] = rung["after"]
            scores.take(rung["name"], rung["after"])
        again = np.mean([number(*pair, ladder["metric"], rules) for pair in scores.pairs()])
        assert again == pytest.approx(value, abs=1e-9), rung


@pytest.mark.parametrize("ood", ["uniform", "gaussian"])
def test_fpr95_of_msp_under_odins_protocol_to_the_last_digit(ood, real):
    """Both ends by loops over thresholds: the authors' own at the end, one over all scores at the start."""
    (ladder,) = (one for one in LADDERS["odin_densenet_cifar10"]
                 if one["title"].startswith(f"msp on {ood}") and one["metric"] == "fpr95")  # fmt: skip
    folder = ROOT / "results/records/cifar10/densenet_bc_100_12/odin/msp" / ood
    record = json.loads((folder / f"seed0-{ladder['cell_key']}.json").read_text())
    file = Scores(ladder, real).file
    ids, oods = file["id-all-0"], file["ood-all-0"]
    assert np.array_equal(ids, file["id-exact-0"])
    assert np.array_equal(oods[:2000], file["ood-exact-0"])
    start = next(t for t in sorted(ids, reverse=True) if np.sum(ids >= t) >= 0.95 * len(ids))
    assert 100 * np.sum(oods >= start) / len(oods) == ladder["ladder"]["start"]
    ids, oods = file["id-float32-0"].astype(float), file["ood-float32-0"].astype(float)
    assert np.abs(np.exp(file["id-exact-0"]) - ids).max() < 1e-6
    total, fpr = 0, 0.0
    for delta in np.arange(0.1, 1, (1 - 0.1) / 100000)[66_667:]:  # TPR is higher below 0.7
        tpr = np.sum(ids >= delta) / len(ids)
        if 0.9495 <= tpr <= 0.9505:
            fpr += np.sum(oods > delta) / len(oods)
            total += 1
    assert np.sum(ids >= 0.7) / len(ids) > 0.9505
    assert 100 * fpr / total == pytest.approx(record["metrics"]["fpr95"]["value"], abs=1e-12)
    assert record["metrics"]["fpr95"]["value"] == pytest.approx(ladder["ladder"]["end"], abs=1e-10)
    assert [one["agrees"] for one in ladder["recorded"]] == [True]


def test_the_setting_was_chosen_on_rows_of_the_graded_set(real):
    """ASH's percentile: the lowest FPR95 on the first 300 rows of both sets, by the scores of all candidates."""
    (ladder,) = (one for one in LADDERS["posthoc"] if one["title"].startswith("ash"))
    file = Scores(ladder, real).file
    candidates = [name.removeprefix("id-") for name in file if name.startswith("id-")]
    rates = {name: number(file[f"id-{name}"][:300], file[f"ood-{name}"][:300], "fpr95", {}) for name in candidates}
    assert len(rates) == 7
    assert min(rates, key=rates.get) == "percentile=65"
    assert ladder["ladder"]["rungs"][1]["step"] == pytest.approx(-40.1, abs=0.05)


def test_the_committed_multiverse_has_the_plain_number_and_counts_its_pairs():
    """MSP's AUROC with trapezoids over tied rows is scikit-learn's; pairs are counted from the numbers again."""
    (found,) = (one for one in json.loads((FOLDER / "fssd_fashionmnist-conventions.json").read_text())
                if one["metric"] == "auroc")  # fmt: skip
    with np.load(FOLDER / f"scores/{LADDERS['fssd_fashionmnist'][0]['cell_key']}.npz") as file:
        ids, oods = file["id-exact-0"], file["ood-exact-0"]
    false, true, _ = roc_curve(np.repeat([1, 0], [len(ids), len(oods)]), np.concatenate((ids, oods)))
    assert min(abs(value - 100 * auc(false, true)) for value in found["values"]["msp"]) < 1e-9
    for pair in found["pairs"]:
        first, second = (np.array(found["values"][pair[which]]) for which in ("first", "second"))
        assert [np.sum(first > second), np.sum(first < second)] == [pair["ahead"], pair["behind"]]
