import io
import json
import logging
import re
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from ood_bench.checkpoints import importer
from ood_bench.checkpoints.__main__ import NORMALISATIONS
from ood_bench.checkpoints.choice import Choice
from ood_bench.checkpoints.importer import Claim, import_checkpoint
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError, ConfigError
from ood_bench.models.classifier import accuracy, load_classifier
from ood_bench.utils.files import sha256_file

CPU = torch.device("cpu")
CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture
def run(tmp_path, network, tiny_model, id_node):
    """Imports the small network, or what is given instead."""

    def run_import(content=None, **options):
        file = tmp_path / "published.pth"
        if content is None:
            torch.save({"state_dict": network.state_dict()}, file)
        else:
            file.write_bytes(content)
        settings = {"model": tiny_model, "id_node": id_node, "store": tmp_path / "store", **options}
        return import_checkpoint(file, **settings)

    return run_import


def card_of(folder):
    return json.loads((folder / "classifier.json").read_text())


def test_the_stored_classifier_is_the_published_network(run, network, toy_images, tmp_path):
    folder = run(test=toy_images)
    assert folder.parent == tmp_path / "store/classifiers"
    assert folder.name.startswith("imported-tiny-toy-")
    classifier = load_classifier(folder, CPU)
    images = torch.from_numpy(toy_images.images)
    expected = network.eval()((images.float() / 255 - 0.5) / 0.25)
    torch.testing.assert_close(classifier.network(classifier.normalise(images)), expected)
    assert classifier.card["id_accuracy"] == pytest.approx(accuracy(classifier, toy_images))


def test_the_card_tells_where_it_comes_from(run, toy_images, tmp_path):
    claim = Claim(accuracy=30.0, licence="MIT", source="https://example.org")
    card = card_of(run(test=toy_images, claim=claim))
    assert card["checkpoint"] == {
        "file": "published.pth",
        "sha256": sha256_file(tmp_path / "published.pth"),
        "accuracy": 30.0,
        "licence": "MIT",
        "source": "https://example.org",
        "entry": "state_dict",
    }
    assert card["notes"] == []
    assert card["measured"]["n"] == 40
    assert card["measured"]["variant"] == "random pixels"
    assert card["recipe"] == "imported"
    assert "variants" not in card["spec"]["model"]
    assert {"key", "weights_sha256", "created", "torch", "history", "trained_seconds"} <= set(card)


@pytest.mark.parametrize(("shift", "warned"), [(0.4, False), (-0.4, False), (0.6, True), (-0.6, True)])
def test_accuracy_is_held_to_the_stated_one(run, toy_images, caplog, shift, warned):
    measured = card_of(run(test=toy_images))["id_accuracy"]
    with caplog.at_level(logging.WARNING):
        card = card_of(run(test=toy_images, claim=Claim(measured + shift)))
    assert bool(caplog.records) == warned
    assert bool(card["deviations"]) == warned
    if warned:
        assert "stated are" in caplog.text
        assert "toy (random pixels) (40 images" in caplog.text


def test_importing_again_does_nothing(run, toy_images, monkeypatch):
    first = run(test=toy_images)
    before = (first / "classifier.json").read_bytes()
    monkeypatch.setattr("ood_bench.checkpoints.importer.read_checkpoint", lambda *_: pytest.fail("read again"))
    assert run(test=toy_images) == run() == first
    assert (first / "classifier.json").read_bytes() == before


def test_a_later_measurement_or_claim_is_added(run, toy_images):
    folder = run()
    assert card_of(folder)["id_accuracy"] is None
    assert card_of(folder)["deviations"] == ["Imported weights whose accuracy was not measured."]
    assert run(test=toy_images) == folder
    measured = accuracy(load_classifier(folder, CPU), toy_images)
    assert card_of(folder)["id_accuracy"] == measured
    assert run(test=toy_images, claim=Claim(licence="MIT")) == folder
    assert card_of(folder)["checkpoint"]["licence"] == "MIT"
    load_classifier(folder, CPU)


def test_another_test_set_adds_its_accuracy_and_keeps_what_was_said(run, toy_images, monkeypatch):
    folder = run(test=toy_images)
    first = card_of(folder)["id_accuracy"]
    run(test=toy_images, claim=Claim(first + 5, licence="MIT"))
    other = ImageSet.of("other", toy_images.images[:20], toy_images.labels[:20])
    run(test=other, claim=Claim(source="https://example.org"))
    card = card_of(folder)
    assert [card["checkpoint"][part] for part in ("accuracy", "licence")] == [first + 5, "MIT"]
    assert card["checkpoint"]["source"] == "https://example.org"
    assert card["accuracies"] == {
        toy_images.fingerprint: first,
        other.fingerprint: accuracy(load_classifier(folder, CPU), other),
    }
    assert (card["measured"]["set"], card["id_accuracy"]) == ("other", card["accuracies"][other.fingerprint])
    monkeypatch.setattr(importer, "accuracy", lambda *_: pytest.fail("measured again"))
    run(test=toy_images)
    (deviation,) = card_of(folder)["deviations"]
    assert re.search(rf"{first:.2f} % correct on toy .* stated are {first + 5:.2f} %", deviation)
    run(claim=Claim(first))
    assert [card_of(folder)[part] for part in ("id_accuracy", "deviations")] == [first, []]


def test_what_another_process_imports_meanwhile_is_not_imported_again(run, monkeypatch):
    locked = importer.locked

    def late(final):
        monkeypatch.setattr(importer, "locked", locked)
        run()
        monkeypatch.setattr(importer, "read_checkpoint", lambda *_: pytest.fail("read again"))
        return locked(final)

    monkeypatch.setattr(importer, "locked", late)
    assert load_classifier(run(), CPU).card["recipe"] == "imported"


def test_a_file_that_is_overwritten_meanwhile_is_not_kept_under_its_old_hash(run, network, tmp_path, monkeypatch):
    def overwriting(path):
        digest = sha256_file(path)
        torch.save({"state_dict": {**network.state_dict(), "linear.bias": torch.ones(3)}}, path)
        return digest

    monkeypatch.setattr(importer, "sha256_file", overwriting)
    with pytest.raises(ArtifactError, match=r"published\.pth has changed while it was read"):
        run()
    assert list((tmp_path / "store/classifiers").iterdir()) == []


def test_what_changes_the_scores_changes_the_folder(run, tiny_model, network):
    folders = {
        run(),
        run(normalisation=NORMALISATIONS["none"]),
        run(model={**tiny_model, "name": "other"}),
        run(model={**tiny_model, "stem_padding": 2}),
    }
    network.linear.bias.data[0] += 1
    assert len(folders | {run()}) == 5


@pytest.fixture
def two_networks(network):
    """A file with plain and averaged weights that differ in one bias."""
    averaged = {**network.state_dict(), "linear.bias": torch.tensor([1.0, 2.0, 3.0])}
    torch.save({"state_dict": network.state_dict(), "state_dict_ema": averaged}, buffer := io.BytesIO())
    return buffer.getvalue()


def test_entries_of_a_file_are_different_classifiers(run, network, two_networks, caplog):
    caplog.set_level(logging.INFO)
    plain, averaged = run(two_networks), run(two_networks, choice=Choice("state_dict_ema"))
    biases = [load_classifier(folder, CPU).network.linear.bias for folder in (plain, averaged)]
    assert torch.equal(biases[0], network.linear.bias)
    assert biases[1].tolist() == [1, 2, 3]
    assert card_of(plain)["notes"] == [
        "Weights are entry state_dict of published.pth, which also holds state_dict_ema."
    ]
    assert card_of(averaged)["checkpoint"]["entry"] == "state_dict_ema"
    assert "published.pth: read entry state_dict, 38 tensors" in caplog.messages
    assert "published.pth also holds state_dict_ema: choose by --entry NAME" in caplog.text


def test_what_is_left_out_and_renamed_is_kept(run, network):
    state = {f"body.{name}": value for name, value in network.state_dict().items()}
    torch.save({**state, "n_averaged": torch.tensor(5), "head.weight": torch.ones(3)}, buffer := io.BytesIO())
    folder = run(buffer.getvalue(), choice=Choice(None, ("head",), (("body.", ""),)))
    assert card_of(folder)["notes"] == [
        "Left out of the weights' file: head.weight, n_averaged.",
        "Renamed in the weights' file: body. to nothing.",
    ]
    assert torch.equal(load_classifier(folder, CPU).network.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize(("sigma", "differs"), [(0.25, False), (0.2, True)])
def test_a_normalisation_in_the_file_is_held_to_the_one_that_is_used(run, network, sigma, differs):
    moments = {"mu": torch.full((1, 3, 1, 1), 0.5), "sigma": torch.full((1, 3, 1, 1), sigma)}
    torch.save({**network.state_dict(), **moments}, buffer := io.BytesIO())
    deviations = card_of(run(buffer.getvalue()))["deviations"]
    sentence = "another normalisation than is used: sigma is 0.2, 0.2, 0.2, but std is 0.25, 0.25, 0.25."
    assert [one for one in deviations if sentence in one] == ([deviations[0]] if differs else [])


def test_another_number_of_classes_cannot_be_measured(run, network, toy_images, caplog):
    network.linear = torch.nn.Linear(8, 2)
    folder = run(test=toy_images, classes=2)
    assert "the accuracy cannot be measured" in caplog.text
    assert card_of(folder)["id_accuracy"] is None
    assert load_classifier(folder, CPU).network.linear.out_features == 2


def test_what_does_not_fit_leaves_nothing_behind(run, tiny_model, tmp_path):
    with pytest.raises(ArtifactError, match=r"published\.pth as tiny: its tensors do not fit the model"):
        run(model={**tiny_model, "widths": [4, 4]})
    with pytest.raises(ConfigError, match="tiny"):
        run(model={**tiny_model, "wrong": 1})
    assert list((tmp_path / "store/classifiers").iterdir()) == []


def test_the_random_generator_is_left_alone(run):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    run()
    assert torch.equal(torch.rand(1), expected)


# Right answers among the first exact test images, as measured when the reader was written.
@pytest.mark.parametrize(
    ("file", "model", "normalisation", "right"),
    [
        ("resnet20_cifar10_akamaster.th", "resnet20", "imagenet", (182, 200)),
        ("densenet_bc_100_12_cifar10_dice.pth.tar", "densenet_bc_100_12", "odin", (47, 50)),
        ("densenet_bc_100_12_cifar100_dice.pth.tar", "densenet_bc_100_12", "odin", (37, 50)),
    ],
)
def test_published_checkpoints(import_real, file, model, normalisation, right):
    answers, images = right
    card = import_real(file, model, NORMALISATIONS[normalisation], images)
    assert card["measured"]["accuracy"] / 100 * images == pytest.approx(answers, abs=1.1)  # or one more


@pytest.fixture
def import_real(tmp_path, real, exact_images):
    """Imports a published checkpoint, measures it on the first exact test images, and returns its card."""

    def run_import(file, model, normalisation, count):
        images = "cifar100" if "cifar100" in file else "cifar10"
        folder = import_checkpoint(
            real(f"checkpoints/{file}"),
            model=OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{model}.yaml")),
            id_node={"name": images, "classes": int(images.removeprefix("cifar")), "shape": [3, 32, 32]},
            store=tmp_path,
            test=exact_images(images, count),
            normalisation=normalisation,
        )
        return card_of(folder)

    return run_import
