"""A run from one end to the other, on embedded images."""

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import ood_bench
from ood_bench.checkpoints.registry import registered
from ood_bench.config import compose_settings
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ConfigError
from ood_bench.models.classifier import build_network
from ood_bench.results import RecordStore
from ood_bench.runner.execute import execute
from ood_bench.runner.prepare import prepare
from ood_bench.scoring import engine
from ood_bench.scoring.passes import run_pass
from ood_bench.utils.files import sha256_file

RECORDS = Path("outputs/quickstart/results/records")
CLASSIFIERS = Path("outputs/quickstart/store/classifiers")


def run(*overrides):
    return execute(compose_settings(overrides))


def records():
    return [json.loads(path.read_text()) for path in sorted(RECORDS.rglob("*.json"))]


@pytest.fixture
def passes(monkeypatch):
    """Network and image set of every forward pass."""
    seen = []

    def record(classifier, view, *others, **options):
        seen.append((classifier.key, view.images.fingerprint))
        return run_pass(classifier, view, *others, **options)

    monkeypatch.setattr(engine, "run_pass", record)
    return seen


def test_the_python_call_gives_a_table(quick, trainings):
    table = ood_bench.run([*quick, "method=[msp,odin]", "seed=[0,1]"])
    assert isinstance(table, pd.DataFrame)
    assert table[["method", "seed"]].to_numpy().tolist() == [["msp", 0], ["odin", 0], ["msp", 1], ["odin", 1]]
    assert set(table["ood"]) == {"uniform"}
    assert set(table["id"]) == {"digits"}
    assert set(table["n_ood"]) == {20}
    assert table["auroc"].between(0, 100).all()
    for row, record in zip(table.sort_values("method").itertuples(), records(), strict=True):
        assert (row.method, row.seed) == (record["method"], record["seed"])
        assert row.auroc == record["metrics"]["auroc"]["value"]
    assert [title.split("-")[3] for title in trainings] == ["seed0", "seed1"]
    hashes = {record["seed"]: record["checkpoint"]["sha256"] for record in records()}
    assert hashes[0] != hashes[1]
    again = ood_bench.run([*quick, "method=[msp,odin]", "seed=[0,1]"])
    pd.testing.assert_frame_equal(table, again)
    assert len(trainings) == 2


def test_only_what_is_new_is_computed(quick, trainings, caplog):
    first = run(*quick)
    caplog.set_level(logging.INFO)
    more = run(*quick, "method=[msp,mahalanobis]")
    assert (first.new, more.new) == (1, 1)
    assert [record.method for record in more.records] == ["msp", "mahalanobis"]
    assert more.paths[0] == first.paths[0]
    assert [line for line in caplog.messages if "skipped" in line] == [
        f"msp on uniform, seed 0: skipped, its record exists: {first.paths[0]}"
    ]
    assert len(trainings) == 1


def test_each_image_is_seen_once_by_each_network(quick, passes):
    """Four methods, one with a step, share a pass over each set; members of the ensemble are networks of their own."""
    run(*quick, "method=[msp,mahalanobis,energy,odin,deep_ensemble]", "method.deep_ensemble.members=2")
    counts = Counter(passes)
    assert set(counts.values()) == {1}
    networks = {network for network, _ in counts}
    assert len(networks) == 2
    assert len(counts) == 2 * 2 + 1  # both networks on test and OOD set, the first on the training set


def test_the_same_run_elsewhere_gives_the_same_numbers(quick):
    methods = "method=[msp,odin,mahalanobis,fssd,mc_dropout]"
    both = [run(*quick, methods, f"results.root={name}/r", f"store.root={name}/s") for name in ("a", "b")]
    assert both[1].new == 5
    substance = [[record.substance() for record in done.records] for done in both]
    assert substance[0] == substance[1]


def test_a_run_that_is_interrupted_keeps_its_records(quick, monkeypatch):
    quick = [*quick, "method=[msp,energy,mahalanobis]"]
    write, calls = RecordStore.write, []

    def impatient(self, record):
        calls.append(record.method)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return write(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(RecordStore, "write", impatient)
        with pytest.raises(KeyboardInterrupt):
            run(*quick)
    assert [record["method"] for record in records()] == ["energy", "msp"]
    done = run(*quick)
    assert (done.new, len(done.records)) == (1, 3)


def test_what_a_method_was_trained_on_it_is_not_scored_on(quick, caplog):
    """The outliers of outlier exposure as an OOD set: left out for this method, with a warning."""
    quick = [one for one in quick if "uniform" not in one]
    same = ["ood=photo_patches", "ood.photo_patches.source={image:china,count:20}"]
    outliers = ["adapt.method.outlier_exposure.outliers.source.count=20", "method.outlier_exposure.train.epochs=1"]
    caplog.set_level(logging.WARNING)
    done = run(*quick, "method=[msp,outlier_exposure]", *same, *outliers)
    assert [record.method for record in done.records] == ["msp"]
    assert "outlier_exposure was trained on photo_patches: it is not scored on it" in caplog.messages
    prepared = prepare(compose_settings([*quick, "method=outlier_exposure", *same, *outliers]))
    images = prepared.sets.outliers["outlier_exposure"].images
    for given in (ImageSet.of("same", images), ImageSet.of("labelled", images, np.arange(20))):
        sets = replace(prepared.sets, outliers={"outlier_exposure": given})
        with pytest.raises(ConfigError, match="every method was trained on every OOD set of this run: choose another"):
            replace(prepared, sets=sets).cells(0)


def test_fine_tuning_shares_the_runs_classifier(quick, trainings):
    few = ["adapt.method.outlier_exposure.outliers.source.count=20", "method.outlier_exposure.train.epochs=1"]
    done = run(*quick, "method=[msp,outlier_exposure]", *few)
    assert len(trainings) == 2
    plain, tuned = (record.checkpoint.networks[0] for record in done.records)
    card = json.loads(next(CLASSIFIERS.glob(f"*{tuned.key}/classifier.json")).read_text())
    assert card["spec"]["initial"] == plain.key
    assert done.records[1].data.outliers.name == "photo_patches"
    assert done.records[1].data.outliers.n == 20


def test_what_is_chosen_of_a_checkpoint_reaches_the_record(quick, trainings):
    settings = compose_settings(quick)
    state = build_network(settings.model, settings.id["shape"], settings.id["classes"]).state_dict()
    halved = {f"body.{name}": value / 2 for name, value in state.items()}
    torch.save({"state_dict": state, "ema": {**halved, "queue": torch.ones(2)}}, "net.pth")
    chosen = ["checkpoint_entry=ema", "checkpoint_ignore=[queue]", "checkpoint_rename={body.: ''}"]
    plain, averaged = (run(*quick, "checkpoint=net.pth", *words).records[0] for words in ([], chosen))
    assert plain.cell_key != averaged.cell_key
    assert plain.checkpoint.sha256 != averaged.checkpoint.sha256
    assert plain.notes == ["Weights are entry state_dict of net.pth, which also holds ema."]
    assert averaged.notes == [
        "Weights are entry ema of net.pth, which also holds state_dict.",
        "Left out of the weights' file: queue.",
        "Renamed in the weights' file: body. to nothing.",
    ]
    assert trainings == []


def test_a_registered_network_is_its_file(quick, trainings, monkeypatch, caplog):
    settings = compose_settings(quick)
    name, file = "akamaster/resnet20", Path("nets/resnet20_cifar10_akamaster.th")
    file.parent.mkdir()
    torch.save(build_network(settings.model, settings.id["shape"], settings.id["classes"]).state_dict(), file)
    entry = registered()[name].model_copy(update={"sha256": sha256_file(file)[:8]})
    monkeypatch.setitem(registered(), name, entry)
    monkeypatch.setenv("OOD_BENCH_CHECKPOINTS", "nets")
    by_name = run(*quick, f"checkpoint={name}", "results.root=named").records
    assert "checkpoint=akamaster/resnet20: it was trained on cifar10, the ID set is digits" in caplog.text
    assert [one.substance() for one in by_name] == [
        one.substance() for one in run(*quick, f"checkpoint={file}").records
    ]
    assert trainings == []


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["model=resnet20", "model.blocks=[1,1]", "model.widths=[8,8]"], "model.stem_padding=2"),
        (
            ["model=timm", "model.timm_name=test_resnet", "method=mahalanobis", "method.mahalanobis.taps=[layer1]"],
            "model.taps.layer1=layer2",
        ),
    ],
    ids=["forward pass", "tap"],
)
def test_equal_weights_in_another_network_are_scored_anew(quick, words, option):
    words = [*quick, *words, "checkpoint=net.pth"]
    settings = compose_settings(words)
    torch.save(build_network(settings.model, settings.id["shape"], settings.id["classes"]).state_dict(), "net.pth")
    run(*words)
    same_store = run(*words, option).records[0]
    elsewhere = run(*words, option, "store.root=other", "results.root=other").records[0]
    assert same_store.substance() == elsewhere.substance()


def test_hyperparameters_of_the_command_line_reach_the_record(quick):
    base = [*quick, "method=[odin]", "protocol=fssd", "protocol.fit_rows=10", "protocol.select_rows=5"]
    base += ["train.autocast=bfloat16"]
    done = run(*base, "method.odin.magnitudes=[0.0]", "method.odin.temperatures=[3]", "seed=2")
    (record,) = done.records
    assert record.hyperparameters["magnitudes"] == [0.0]
    assert (record.hyperparameters["epsilon"], record.hyperparameters["temperature"]) == (0.0, 3.0)
    assert (record.seed, record.protocol) == (2, "fssd")
    assert "Trained under bfloat16 autocast with float32 weights; scored in float32." in record.deviations
    assert record.tuning is not None
    assert record.tuning.seen == {"digits": 10, "uniform": 10}


def test_what_a_method_has_found_takes_the_place_of_the_word_for_it(quick):
    found = run(*quick, "method=feature_norm").records[0].hyperparameters
    assert found["tap"] == max(found["norm_ratio"], key=found["norm_ratio"].get)


def test_torchs_random_numbers_are_left_alone(quick):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    run(*quick, "method=[msp,odin,fssd,mc_dropout]", "method.mc_dropout.passes=2")
    assert torch.equal(torch.rand(3), expected)


def test_files_go_where_the_config_says(quick, tmp_path):
    run(*quick, "results.root=r", "store.root=s")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "s"]
    assert sorted(path.name for path in Path("s").iterdir()) == ["banks", "classifiers", "images", "scores"]
    (path,) = Path("r/records").rglob("*.json")
    assert path.parent == Path("r/records/digits/lenet/plain/msp/uniform")
    assert path.name.startswith("seed0-")


def test_a_set_under_two_names_has_two_records_and_is_warned_of(quick, caplog):
    """A second name got no record at all: the first one's key is its own."""
    source = "{kind:noise,recipe:uniform,shape:[1,8,8],count:20,seed:0}"
    words = [*quick, f"+ood.again={{name:again,variant:'',licence:none,source:{source}}}"]
    ood_bench.run(quick)
    table = ood_bench.run(words)
    assert list(table["ood"]) == ["uniform", "again"]
    assert len(set(table["auroc"])) == 1
    assert len(list(RECORDS.rglob("*.json"))) == 2
    assert "uniform and again are the same images" in caplog.text
    assert "uniform has 20 images: one of them moves a rate by 5.0 points" in caplog.text


def test_a_head_of_the_model_is_shared_by_all_methods_and_named_in_records(quick, trainings):
    done = run(*quick, "method=[msp,godin_inner]", "model.head=godin_inner")
    assert len(trainings) == 1
    assert {(record.method, record.model) for record in done.records} == {
        ("msp", "lenet+godin_inner"),
        ("godin_inner", "lenet+godin_inner"),
    }
    assert {record.checkpoint.networks[0].model for record in done.records} == {"lenet+godin_inner"}


def test_a_methods_own_head_is_a_second_network_tuned_on_id_rows(quick, trainings):
    grid = "method.godin_inner.magnitudes=[0.01,0.02]"
    done = run(*quick, "method=[msp,godin_inner]", "tune=id_only", "protocol.id_rows=15", grid)
    assert len(trainings) == 2
    plain, own = done.records
    assert (plain.model, own.model) == ("lenet", "lenet")
    assert own.checkpoint.networks[0].model == "lenet+godin_inner"
    assert plain.n_id == own.n_id == plain.data.id_test.n - 15
    assert plain.tuning is None
    assert own.tuning.seen == {own.id: 15}
    assert own.hyperparameters["epsilon"] in (0.01, 0.02)


def test_openoods_protocol_chooses_on_the_id_sets_own_validation_sets(quick):
    words = [
        *(word for word in quick if word != "method=msp"),
        "method=[msp,energy]",
        "protocol=openood_v15",
        "+id.validation={kind: digits, classes: [0,1,2,3,4,5,6,7], split: test, test_fraction: 0.1, seed: 1}",
        "+id.validation_ood={name: static, kind: noise, recipe: uniform, shape: [1,8,8], count: 30, seed: 5}",
    ]
    msp, energy = run(*words).records
    assert (msp.evaluation.tuned_on, msp.tuning) == ("nothing", None)
    assert energy.tuning.seen == {"digits": 144, "static": 30}
    assert [one["temperature"] for one in energy.tuning.candidates] == [1.0, 10.0, 100.0, 1000.0]
    assert (
        energy.hyperparameters["temperature"]
        == energy.tuning.candidates[int(np.argmax(energy.tuning.curve))]["temperature"]
    )
    assert energy.metrics["id_accuracy"].value == energy.checkpoint.networks[0].id_accuracy
    assert list(energy.metrics) == ["fpr95_ood_positive", "auroc", "aupr_in", "aupr_out", "id_accuracy"]
    with pytest.raises(ConfigError, match="the config of digits has no `validation` and `validation_ood`"):
        run(*words[:-1])
