import json
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from sklearn.metrics import roc_auc_score

import ood_bench
from ood_bench.errors import ConfigError
from ood_bench.evidence.__main__ import main
from ood_bench.metrics import Measure, measure_selective
from ood_bench.report import compare, tables
from ood_bench.results import Record, RecordStore, frame
from ood_bench.results.scores import ScoreStore

RANDOM = np.random.default_rng(0)
LABELS = np.arange(9000) % 10
PREDICTIONS = np.where(np.arange(9000) < 900, 9 - LABELS, LABELS)
INSIDE, NEAR = RANDOM.normal(1, 1, 9000), {"cifar100": RANDOM.normal(0, 1, 9000), "tin": RANDOM.normal(0, 1, 7793)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory with one file of scores of two OOD sets."""
    monkeypatch.chdir(tmp_path)
    write("scores.npz")
    return tmp_path


def write(name, *, shift=0.0, **parts):
    arrays = {"id_test/confidence": INSIDE + shift, "id_test/label": LABELS, "id_test/prediction": PREDICTIONS}
    for one, values in NEAR.items():
        arrays |= {f"near/{one}/confidence": values, f"near/{one}/label": np.full(len(values), -1)}
    np.savez(name, **{key: value for key, value in (arrays | parts).items() if value is not None})


def imported(*words, file="scores.npz"):
    return main(["import", file, "--id", "cifar10", "--resamples", "0", "--store", "store", "--method", *words])


def selective_of(record):
    """As :func:`measure_selective` gives them."""
    return {name: Measure(one.value, one.low, one.high) for name, one in record.selective.items()}


def load():
    return RecordStore("results").load()


def test_records_say_what_is_not_known(folder):
    assert imported("mine", "--set", "k=3", "--set", "kind=b", "--tuned-on", "nothing", "--seed", "2") == 0
    records = {record.ood: record for record in load()}
    assert records.keys() == {"cifar100", "tiny_imagenet"}
    one = records["tiny_imagenet"]
    labels, scores = np.repeat([1, 0], [9000, 7793]), np.concatenate([INSIDE, NEAR["tin"]])
    assert one.metrics["auroc"].value == pytest.approx(100 * roc_auc_score(labels, scores))
    assert one.metrics["id_accuracy"].value == 90.0
    assert (one.method, one.model, one.seed, one.protocol, one.n_id, one.n_ood) == (
        "mine", "resnet18", 2, "openood_v15", 9000, 7793,
    )  # fmt: skip
    assert (one.hyperparameters, one.evaluation.tuned_on) == ({"k": 3, "kind": "b"}, "nothing")
    assert list(one.from_scores.files) == ["scores.npz"]
    assert one.data.id_train is one.data.ood.fingerprint is one.checkpoint.sha256 is None
    assert "weights and pixels are not known" in one.notes[0]
    assert Record.from_json(one.to_json(), "again") == one
    kept = ScoreStore(folder / "store/scores").read(one.cell_key)
    np.testing.assert_array_equal(kept.ood, NEAR["tin"])
    assert frame([one])["checkpoint.id_accuracy"].item() == 90.0
    assert selective_of(one) == measure_selective(INSIDE, NEAR["tin"], correct=LABELS == PREDICTIONS)
    assert imported("mine", "--set", "k=3", "--set", "kind=b", "--tuned-on", "nothing", "--seed", "2") == 0
    assert len(load()) == 2


def test_without_predictions_there_is_what_scores_alone_give(folder):
    write("bare.npz", **{"id_test/prediction": None})
    assert imported("mine", file="bare.npz") == 0
    for record in load():
        outside = {"cifar100": NEAR["cifar100"], "tiny_imagenet": NEAR["tin"]}[record.ood]
        assert selective_of(record) == measure_selective(INSIDE, outside)


def test_validation_rows_of_the_files_set_the_threshold(folder):
    validation = RANDOM.normal(1.5, 1, 1000)
    write("turned.npz", **{
        "id/val/confidence": -validation,
        "id_test/confidence": -INSIDE,
        **{f"near/{name}/confidence": -scores for name, scores in NEAR.items()},
    })  # fmt: skip
    assert imported("mine", "--higher", "ood", file="turned.npz") == 0
    (record,) = (record for record in load() if record.ood == "cifar100")
    expected = measure_selective(INSIDE, NEAR["cifar100"], correct=LABELS == PREDICTIONS, validation=validation)
    assert selective_of(record) == expected
    assert expected["tpr95_transferred"].high < 95  # validation rows score higher than those of the test set
    assert record.notes[-1] == "The threshold that is transferred was set on 1,000 ID validation rows of these files."


def test_a_record_from_before_these_metrics_stays_as_it_is(folder):
    imported("mine")
    store = RecordStore("results")
    for record in store.load():
        path = store.path(record)
        path.unlink()
        store.write(replace(record, selective={}))
    assert imported("mine") == 0
    assert [record.selective for record in load()] == [{}, {}]


def test_a_record_of_a_run_does_not_mention_score_files(folder):
    imported("mine")
    fields = json.loads(load()[0].to_json())
    del fields["from_scores"], fields["schema"]
    assert "from_scores" not in json.loads(Record.of(fields).to_json())


def test_they_stand_in_tables_and_are_tested_in_pairs(folder):
    write("better.npz", shift=0.25)
    assert imported("msp", "--tuned-on", "nothing") == imported("scale", file="better.npz") == 0
    assert compare.main(["--store", "store", "--resamples", "20"]) == 0
    page = tables.table_files(tables.sections(load(), tables.load_blocks()), {})["openood_cifar10.md"]
    rows = [line for line in page.split("\n") if line.startswith("| msp") and "from scores" in line]
    assert any("| near " in line for line in rows)
    assert "pixels not known" in page
    assert "- fdbd, nci: std of 0.00 (no verdict): one network instead of three" in page
    (test,) = (folder / "results/paired").glob("*.csv")
    assert test.read_text().count("msp,scale") == 2


def test_scores_that_are_higher_for_ood_are_negated(folder):
    write("turned.npz", shift=0.0, **{"near/cifar100/confidence": -NEAR["cifar100"], "id_test/confidence": -INSIDE})
    imported("mine")
    imported("turned", "--higher", "ood", file="turned.npz")
    values = {record.method: record.metrics for record in load() if record.ood == "cifar100"}
    assert values["mine"] == values["turned"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"near/tin/confidence": np.zeros(5), "near/tin/label": None},
            "tiny_imagenet: 5 scores, and the set has 7,793",
        ),
        ({"near/tin/label": np.zeros(7793)}, "tiny_imagenet: 7,793 of 7,793 labels are not -1"),
        ({"id_test/label": np.full(9000, 10)}, "cifar10: 9,000 of 9,000 labels are not 0 to 9"),
        ({f"id_test/{one}": None for one in ("confidence", "label", "prediction")}, "no scores of the ID test set"),
        ({f"near/{one}/{key}": None for one in NEAR for key in ("confidence", "label")}, "no scores of an OOD set"),
    ],
)
def test_what_does_not_fit_the_lists_is_refused(parts, said, folder, capsys):
    write("wrong.npz", **parts)
    assert imported("mine", file="wrong.npz") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (folder / "results").exists()


def test_an_unknown_benchmark_is_answered_with_the_known_ones(folder, capsys):
    assert main(["import", "scores.npz", "--id", "cifar11", "--method", "mine"]) == 2
    assert "has the ID set 'cifar11' (did you mean cifar10" in " ".join(capsys.readouterr().err.split())
    assert main(["import", "scores.npz", "--id", "cifar10", "--protocol", "openod", "--method", "mine"]) == 2
    assert "openood_v15" in capsys.readouterr().err


def test_the_audit_lists_flagged_numbers_with_their_reasons(capsys):
    assert main(["audit", "--method", "CombOOD"]) == 0
    lines = capsys.readouterr().out.strip().split("\n")
    assert len(lines) == 14
    (near,) = (line for line in lines if "imagenet1k, near_ood_mean, auroc =" in line)
    assert "= 95.22: wrong split (" in near
    assert "; disputed (" in near


def test_the_python_call_gives_a_protocols_metrics_with_intervals():
    found = ood_bench.evaluate(INSIDE, NEAR["tin"], protocol="openood_v15", resamples=50)
    assert list(found)[:4] == ["fpr95_ood_positive", "auroc", "aupr_in", "aupr_out"]
    assert found["auroc"].low < found["auroc"].value < found["auroc"].high
    assert found["exact.auroc"] == found["auroc"]
    assert "selective.aurc" not in found
    rows = {"correct": LABELS == PREDICTIONS, "validation": INSIDE[:500]}
    further = ood_bench.evaluate(INSIDE, NEAR["tin"], resamples=0, **rows)
    expected = measure_selective(INSIDE, NEAR["tin"], **rows)
    assert {name: further[f"selective.{name}"] for name in expected} == expected
    with pytest.raises(ConfigError, match=r"no protocol 'openood' \(did you mean openood_v15\?\)"):
        ood_bench.evaluate(INSIDE, NEAR["tin"], protocol="openood")


def test_scores_of_sets_that_nothing_describes_are_imported_as_ones_own(folder, capsys):
    shapes = RANDOM.normal(0, 1, 40)
    np.savez("mine.npz", **{"id_test/confidence": INSIDE[:50], "id_test/label": LABELS[:50], "shapes/score": shapes})
    words = ["import", "mine.npz", "--id", "flowers", "--protocol", "plain", "--method", "mine", "--store", "store"]
    assert main([*words, "--resamples", "20"]) == 2
    assert "--own --protocol plain --model NAME" in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--own"]) == 2
    assert "add --model NAME" in capsys.readouterr().err
    assert main([*words, "--own", "--model", "net", "--resamples", "20"]) == 0
    (record,) = load()
    found = record.id, record.ood, record.model, record.n_id, record.n_ood, record.protocol
    assert found == ("flowers", "shapes", "net", 50, 40, "plain")
    labels = np.repeat([1, 0], [50, 40])
    right = 100 * roc_auc_score(labels, np.concatenate([INSIDE[:50], shapes]))
    assert record.metrics["auroc"].value == pytest.approx(right)
    assert record.metrics["auroc"].low < right < record.metrics["auroc"].high


def test_a_paper_of_ones_own_folder_is_a_benchmark(folder, capsys):
    """Its sets, their sizes and its network's name are known; without the folder they are not."""
    Path("mine/paper").mkdir(parents=True)
    Path("mine/paper/mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: lenet\n  - override /id: digits\n"
        "  - override /ood: [uniform]\n  - override /method: [msp]\n  - override /protocol: plain\n"
        "ood: {uniform: {source: {count: 40}}}\n"
        "paper: {name: mine, title: Mine, csv: mine, table: one, metrics: [auroc], reference: none}\n"
    )
    np.savez("mine.npz", **{"id_test/confidence": INSIDE[:50], "uniform/confidence": NEAR["tin"][:40]})
    words = ["import", "mine.npz", "--id", "digits", "--protocol", "plain", "--method", "msp", "--store", "store"]
    assert main(words) == 2
    assert "no benchmark of protocol 'plain'" in " ".join(capsys.readouterr().err.split())
    assert main([*words, "--resamples", "0", "--config-dir", "mine"]) == 0
    (record,) = load()
    assert (record.model, record.id, record.ood, record.n_ood) == ("lenet", "digits", "uniform", 40)
