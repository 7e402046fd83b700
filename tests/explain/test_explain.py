"""``ood-bench explain`` on a toy run: ends as recorded, each rung again from raw scores by NumPy alone."""

import csv
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

import ood_bench
from ood_bench.explain.__main__ import main
from ood_bench.explain.beside import Beside
from ood_bench.explain.rebuilt import detector_of
from ood_bench.metrics import evaluate
from ood_bench.models.softmax import max_softmax_float32
from ood_bench.report.explanations import read as read_explanations
from ood_bench.results import Record, RecordStore
from ood_bench.results.scores import ScoreStore

SKIP, COUNT = 20, 120  # rows that leave a multiple of 20: then a threshold keeps exactly 95 % of ID
RUN = (
    "experiment=quickstart", "method=[msp,knn]", "ood=uniform", "train.epochs=1", "seed=[0,1]",
    f"ood.uniform.source.count={COUNT}", "id.train.test_fraction=0.9", "id.test.test_fraction=0.0833",
    "scoring.resamples=0", "device=cpu", "results.root=results", "store.root=store",
)  # fmt: skip


class Toy(NamedTuple):
    """A folder with results and store, and its records."""

    folder: Path
    records: list[Record]

    def one(self, method: str, protocol: str, seed: int = 0) -> Record:
        (found,) = (
            record
            for record in self.records
            if (record.method, record.protocol, record.seed) == (method, protocol, seed)
        )
        return found

    def explain(self, *words: str) -> dict:
        """The command's JSON."""
        roots = ["--results", str(self.folder / "results"), "--store", str(self.folder / "store")]
        file = self.folder / "out.json"
        assert main([*words, *roots, "--json", str(file), "--no-charts"]) == 0
        return json.loads(file.read_text())

    def logits(self, record: Record) -> tuple[np.ndarray, np.ndarray]:
        """The logits of the ID test set and of the OOD set, from the banks' files."""
        found = []
        for used in (record.data.id_test, record.data.ood):
            paths = list((self.folder / "store/banks").glob(f"*-{used.fingerprint[:16]}-*/output-flat.npy"))
            exact = ScoreStore(self.folder / "store/scores").read(record.cell_key)
            side, rows = (exact.id, exact.id_rows) if used is record.data.id_test else (exact.ood, exact.ood_rows)
            found += [z for z in map(np.load, paths) if np.allclose(_log_msp(z)[rows], side, atol=1e-9)]
        inside, outside = found
        return inside, outside


def _log_msp(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64)
    return z.max(axis=1) - np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) - z.max(axis=1)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Toy:
    folder = tmp_path_factory.mktemp("explain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ood_bench.run(RUN)
        ood_bench.run([*RUN, "protocol=odin", f"protocol.skip={SKIP}", "method=[msp,odin]"])
    return Toy(folder, RecordStore(folder / "results").load())


def _first(ids: np.ndarray, oods: np.ndarray) -> float:
    """FPR at the first threshold that keeps 95 % of ID."""
    kept = np.sort(ids)[::-1][int(np.ceil(0.95 * len(ids))) - 1]
    return 100 * float((oods >= kept).mean())


def _window(ids: np.ndarray, oods: np.ndarray, grid: np.ndarray, *, strict: bool = True) -> float:
    tpr = np.array([(ids >= t).mean() for t in grid])
    inside = grid[(tpr >= 0.9495) & (tpr <= 0.9505)]
    return 100 * float(np.mean([((oods > t) if strict else (oods >= t)).mean() for t in inside]))


def test_every_rung_from_plain_to_odins_protocol(toy):
    record = toy.one("msp", "odin")
    found = toy.explain(record.cell_key, "--from", "plain")
    rungs = found["ladder"]["rungs"]
    names = [rung["choice"]["name"] for rung in rungs]
    assert names == ["rows", "ranked numbers", "thresholds", "row on a threshold", "cut at the level", "networks"]

    z = toy.logits(record)
    everything = tuple(_log_msp(one) for one in z)
    rest = tuple(one[SKIP:] for one in everything)
    single = tuple(max_softmax_float32(torch.from_numpy(one)).double().numpy()[SKIP:] for one in z)
    grid = np.linspace(
        min(map(np.min, single)), max(map(np.max, single)), 100_000, endpoint=False
    )  # 8 classes: no own grid
    nearby = grid[slice(*np.searchsorted(grid, np.sort(single[0])[[0, 6]]))]
    assert found["ladder"]["start"] == _first(*everything)
    assert rungs[0]["value"] == _first(*rest)
    assert rungs[1]["value"] == _first(*single)
    assert rungs[4]["value"] == pytest.approx(_window(*single, nearby), abs=1e-9)
    assert rungs[4]["value"] == record.metrics["fpr95"].value
    other = toy.one("msp", "odin", seed=1)
    assert found["ladder"]["end"] == np.mean([record.metrics["fpr95"].value, other.metrics["fpr95"].value])
    assert [one["agrees"] for one in found["recorded"]] == [True]
    total = found["ladder"]["end"] - found["ladder"]["start"]
    assert sum(rung["mean"] for rung in rungs) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("metric", ["fpr95", "auroc", "aupr_in", "aupr_out", "detection_error"])
def test_both_ends_are_the_records_numbers(toy, metric):
    """A plain record seen by ODIN's protocol ends at the number that ODIN's own record holds."""
    plain, odin = toy.one("msp", "plain"), toy.one("msp", "odin")
    found = toy.explain(plain.cell_key, "--to", f"odin,skip={SKIP}", "--metric", metric)["ladder"]
    last = [rung for rung in found["rungs"] if rung["choice"]["name"] != "networks"][-1]
    assert found["start"] == pytest.approx(plain.exact[metric].value, abs=1e-10)
    assert last["value"] == pytest.approx(odin.metrics[metric].value, abs=1e-10)
    if metric == "fpr95":
        assert (found["start"], last["value"]) == (plain.exact[metric].value, odin.metrics[metric].value)


OWN_PAPER = """
# @package _global_
defaults:
  - override /model: lenet
  - override /id: digits
  - override /ood: [uniform]
  - override /method: [msp]
  - override /protocol: odin
protocol: {skip: 20}
paper: {name: mine, title: Mine, csv: mine, table: one, metrics: [fpr95], reference: none}
"""


@pytest.mark.parametrize("named", ["paper=mine", "CELL"])
def test_papers_and_protocols_of_ones_own_folder(toy, tmp_path, named):
    """Its published number stands beside ours, and a ladder may lead to a protocol that only this folder has."""
    record, own = toy.one("msp", "odin"), tmp_path / "mine"
    (own / "paper").mkdir(parents=True)
    (own / "paper/mine.yaml").write_text(OWN_PAPER)
    numbers = "paper,table,method,model,id_dataset,ood_dataset,metric,value,source"
    (own / "paper/mine.csv").write_text(f"{numbers}\nmine,one,msp,lenet,digits,uniform,fpr95,12.5,page 1\n")
    (own / "protocol").mkdir()
    shipped = Path(__file__).resolve().parents[2] / "conf/protocol/odin.yaml"
    (own / "protocol/mine.yaml").write_text(shipped.read_text().replace("skip: 1000", f"skip: {SKIP}"))
    words = [named.replace("CELL", record.cell_key), "--config-dir", str(own)]
    found = toy.explain(*words)
    found = found[0] if isinstance(found, list) else found
    assert found["unexplained"]["printed"] == "12.5"
    assert found["unexplained"]["difference"] == pytest.approx(12.5 - found["ladder"]["end"])
    assert [one["agrees"] for one in found["recorded"]] == [True]
    assert toy.explain(record.cell_key)["unexplained"] is None
    again = toy.explain(toy.one("msp", "plain").cell_key, "--to", "mine", *words[1:])["ladder"]
    assert again["end"] == found["ladder"]["end"]


def test_scores_after_input_steps_are_kept_for_a_runs_own_rows(toy):
    record = toy.one("odin", "odin")
    found = toy.explain(record.cell_key)
    rungs = {rung["choice"]["name"]: rung["value"] for rung in found["ladder"]["rungs"]}
    assert rungs["cut at the level"] == pytest.approx(record.metrics["fpr95"].value, abs=1e-9)
    assert "ranked numbers" in rungs
    assert [one["name"] for one in found["missing"]] == ["rows", "setting", "images of digits"]
    assert [one["agrees"] for one in found["recorded"]] == [True]


def test_a_method_with_outliers_or_a_recipe_of_its_own_is_rebuilt():
    folder = Path(__file__).resolve().parents[2] / "results/records/fashionmnist/lenet/fssd/outlier_exposure/mnist"
    path = next(folder.glob("seed0-*.json"))
    detector = detector_of(Record.from_json(path.read_bytes(), path))
    assert (type(detector).__name__, detector.train["epochs"]) == ("OutlierExposure", 5)


def test_tuning_on_graded_rows_is_a_rung(toy):
    record = toy.one("knn", "plain")
    found = toy.explain(record.cell_key, "--to", f"plain:per_set,id_rows={SKIP}", "--metric", "auroc")["ladder"]
    rows, setting = found["rungs"][:2]
    assert (rows["choice"]["name"], setting["choice"]["name"]) == ("rows", "setting")
    assert setting["choice"]["after"].startswith("k=")
    assert f"the first {SKIP} rows each" in setting["choice"]["after"]
    kept = ScoreStore(toy.folder / "store/scores").read(record.cell_key)
    inside, outside = kept.id[SKIP:, None], kept.ood[None, SKIP:]
    assert rows["value"] == pytest.approx(100 * float((inside > outside).mean() + (inside == outside).mean() / 2))


def test_fewer_training_images_are_a_rung(toy):
    """KNN by scikit-learn on the banks' first rows, of the network for which all rows give the record's scores."""
    record = toy.one("knn", "plain")
    rung, _ = toy.explain(record.cell_key, "--to", "plain,train_rows=70", "--metric", "auroc")["ladder"]["rungs"]
    assert rung["choice"] == {
        "name": "fit rows",
        "before": "all training images",
        "after": "the first 70 training images",
    }
    sets = [one.fingerprint[:16] for one in (record.data.id_train, record.data.id_test, record.data.ood)]
    found = {}
    for folder in (toy.folder / "store/banks").glob(f"*-{sets[0]}-*"):
        files = [folder.with_name(folder.name.replace(sets[0], one)) / "fc1-mean.npy" for one in sets]
        train, *tests = (normalize(np.load(file).astype(float)) for file in files)
        for count in (len(train), 70):
            near = NearestNeighbors(n_neighbors=record.hyperparameters["k"]).fit(train[:count])
            inside, outside = (near.kneighbors(rows)[0][:, -1] for rows in tests)
            found[folder, count == 70] = 100 * float((inside[:, None] < outside).mean())
    (network,) = (
        folder for (folder, few), number in found.items() if not few and number == record.metrics["auroc"].value
    )
    assert rung["value"] == pytest.approx(found[network, True], abs=1e-9)
    assert rung["step"] < -1


def test_from_one_record_to_another(toy):
    first, second = toy.one("msp", "plain"), toy.one("msp", "plain", seed=1)
    found = toy.explain(first.cell_key, second.cell_key, "--metric", "auroc")
    (rung,) = found["ladder"]["rungs"]
    assert rung["choice"]["before"].endswith("seed 0")
    assert found["ladder"]["start"] == pytest.approx(first.exact["auroc"].value)
    assert found["ladder"]["end"] == pytest.approx(second.exact["auroc"].value)


def test_without_banks_the_choices_that_need_them_are_named_with_their_cost(toy, tmp_path):
    record = toy.one("msp", "odin")
    bare = Toy(tmp_path, toy.records)
    shutil.copytree(toy.folder / "results", tmp_path / "results")
    shutil.copytree(toy.folder / "store/scores", tmp_path / "store/scores")
    found = bare.explain(record.cell_key)
    gaps = {gap["name"]: gap for gap in found["missing"]}
    assert gaps["ranked numbers"]["images"] == 2 * COUNT
    assert "rows were not kept" in gaps["rows"]["why"]
    assert "rows" not in [rung["choice"]["name"] for rung in found["ladder"]["rungs"]]
    kept = ScoreStore(tmp_path / "store/scores").read(record.cell_key)
    assert found["ladder"]["start"] == _first(kept.id, kept.ood)


def test_a_cell_of_which_nothing_was_kept_is_refused(toy, tmp_path, capsys):
    (tmp_path / "store").mkdir()
    words = [
        toy.one("msp", "odin").cell_key,
        "--results",
        str(toy.folder / "results"),
        "--store",
        str(tmp_path / "store"),
    ]
    assert main(words) == 2
    assert "scoring.details=all" in capsys.readouterr().err


def test_charts_and_text(toy, capsys):
    record = toy.one("msp", "odin")
    roots = ["--results", str(toy.folder / "results"), "--store", str(toy.folder / "store")]
    assert main([record.cell_key, *roots]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "(the same number)" in said
    files = {path.suffix: path for path in (toy.folder / "results/explain").iterdir()}
    assert sorted(files) == [".json", ".png", ".svg"]
    (ladder,) = read_explanations(toy.folder / "results/explain").ladders[record.cell_key]
    assert (ladder.title, ladder.end) == ("msp on uniform, lenet on digits, seed 0", "odin, as recorded")


def test_all_methods_beside_a_cell_under_all_conventions(toy):
    record = toy.one("msp", "plain")
    found = toy.explain(record.cell_key, "--all", "--metric", "auroc")
    assert set(found["values"]) == {"msp", "knn"}
    assert {len(numbers) for numbers in found["values"].values()} == {len(found["conventions"])}
    assert len(found["pairs"]) == 1


def test_two_conventions_beside_each_other(toy):
    """Numbers are those of the metric functions on the kept scores, means over seeds; one method leads each time."""
    roots = ["--results", str(toy.folder / "results"), "--store", str(toy.folder / "store")]
    assert main(["--conventions", "odin,openood", "--methods", "msp,knn", *roots]) == 0
    page = (toy.folder / "results/conventions/odin-openood.md").read_text()
    lines = list(csv.DictReader((toy.folder / "results/conventions/odin-openood.csv").read_text().splitlines()))
    plain = {(one["method"], one["ood"]): one for one in lines if one["protocol"] == "plain"}
    assert {ood for _, ood in plain} == {"mean", "uniform"}
    store = ScoreStore(toy.folder / "store/scores")
    for method in ("msp", "knn"):
        wanted = []
        for seed in (0, 1):
            kept = store.read(toy.one(method, "plain", seed).cell_key)
            sides = (np.exp(kept.id), np.exp(kept.ood)) if method == "msp" else (kept.id, kept.ood)
            odin, openood = (
                evaluate("odin", *sides, row=method.replace("knn", "odin"), grid="data"),
                evaluate("openood", kept.id, kept.ood),
            )
            names = {"fpr95": "fpr95_ood_positive"}
            wanted.append([(odin[m], openood[names.get(m, m)]) for m in ("auroc", "fpr95", "aupr_in", "aupr_out")])
        found = [
            [float(plain[method, "mean"][f"{m}_{name}"]) for name in ("odin", "openood")]
            for m in ("auroc", "fpr95", "aupr_in", "aupr_out")
        ]
        np.testing.assert_allclose(found, np.mean(wanted, axis=0), atol=6e-5)
    assert "FPR95: positive class: ID, OOD; thresholds" in page
    assert f"{float(plain['msp', 'mean']['fpr95_openood']):.2f}" in page


def test_methods_that_change_places_are_counted():
    """The second is behind the first under one convention only; the third has no number and is in no pair."""
    values = {"first": (10.0, 30.0), "second": (20.0, 25.0), "third": (5.0, None), "fourth": (40.0, 40.0)}
    numbers = {"fpr95": {name: {"mnist": pair} for name, pair in values.items()}}
    table = Beside("net", "images", "plain", ("odin", "openood"), ("mnist",), numbers)
    assert table.changed("fpr95", "mnist") == (1, 3)
    assert table.differences("fpr95", "mnist") == [20.0, 5.0, 0.0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0123456789abcdef"], "no record with the cell key"),
        (["paper=nope"], "no paper 'nope'"),
        (["CELL"], "its protocol is plain"),
        (["CELL", "--to", "odn"], "did you mean odin"),
        (["CELL", "--to", "odin,skip=0", "--metric", "fpr80"], "has nothing like fpr80"),
        (["CELL", "--to", "odin,skip"], "is not KEY=VALUE"),
        (["CELL", "--to", "plain,train_rows=few"], "is not a number of images"),
        (["CELL", "--to", "plain,train_rows=9999999"], "name fewer, at least one"),
        (["CELL", "--to", "odin", "--metric", "speed"], "no metric 'speed'"),
        (["--conventions", "odin,oodin"], "does not name two"),
        (["--conventions", "odin,openood", "--methods", "msp,nope"], "no record of method nope"),
    ],
)
def test_what_cannot_be_explained_is_refused(toy, capsys, words, said):
    words = [toy.one("msp", "plain").cell_key if word == "CELL" else word for word in words]
    roots = ["--results", str(toy.folder / "results"), "--store", str(toy.folder / "store")]
    assert main([*words, *roots]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
