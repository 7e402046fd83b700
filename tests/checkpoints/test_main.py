import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from ood_bench.checkpoints.__main__ import main
from ood_bench.models.classifier import load_classifier


@pytest.fixture
def arguments(tmp_path, network, tiny_model, id_node):
    """A command line that imports the small network, measured on a folder of nine images."""
    random = np.random.default_rng(0)
    for label in ("a", "b", "c"):
        for row in range(3):
            path = tmp_path / f"data/toy/{label}/{row}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    test = {"kind": "folder", "path": "toy", "layout": "classes"}
    OmegaConf.save(tiny_model, tmp_path / "model.yaml")
    OmegaConf.save({**id_node, "test": test}, tmp_path / "id.yaml")
    torch.save(network.state_dict(), tmp_path / "net.pth")
    words = ["import", "net.pth", "--model", "model.yaml", "--id", "id.yaml"]
    paths = [str(tmp_path / word) if "." in word else word for word in words]
    return [*paths, "--data-root", str(tmp_path / "data"), "--device", "cpu"]


def test_import(arguments, tmp_path, capsys):
    assert main([*arguments, "--normalisation", "none", "--licence", "MIT", "--name", "published"]) == 0
    folder = capsys.readouterr().out.strip()
    assert folder.startswith(str(tmp_path / "data/store/classifiers/imported-published-toy-"))
    classifier = load_classifier(tmp_path / folder, torch.device("cpu"))
    assert classifier.mean == (0.0, 0.0, 0.0)
    assert classifier.card["measured"]["n"] == 9
    assert classifier.card["checkpoint"]["licence"] == "MIT"


def test_numbers_for_the_normalisation(arguments, tmp_path, capsys):
    options = ["--mean", ".1", ".2", ".3", "--std", ".4", ".5", ".6", "--skip-accuracy", "--store", str(tmp_path / "s")]
    assert main([*arguments, *options]) == 0
    classifier = load_classifier(tmp_path / capsys.readouterr().out.strip(), torch.device("cpu"))
    assert (classifier.mean, classifier.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert classifier.card["id_accuracy"] is None


def test_a_choice(arguments, network, tmp_path, capsys):
    state = {f"body.{name}": value for name, value in network.state_dict().items()}
    torch.save({"model": {"x": torch.ones(2)}, "ema": {**state, "queue": torch.ones(3)}}, tmp_path / "net.pth")
    options = ["--entry", "ema", "--ignore", "queue", "--rename", "body.=", "--skip-accuracy"]
    assert main([*arguments, *options]) == 0
    classifier = load_classifier(tmp_path / capsys.readouterr().out.strip(), torch.device("cpu"))
    assert torch.equal(classifier.network.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "densenet"], "--model densenet: unknown (did you mean densenet_bc_100_12?)"),
        (["--id", "cifar1000"], "--id cifar1000: unknown (did you mean cifar100?)"),
        (["--mean", "0", "0", "0"], "--mean and --std belong together"),
        (["--mean", "0", "--std", "1"], "not one mean and one std for each of the 3 channels"),
        (["--mean", "0", "0", "0", "--std", "1", "1", "0"], "--std must be above 0"),
        (["--normalisation", "half", "--mean", "0", "0", "0", "--std", "1", "1", "1"], "exclude each other"),
        (["--rename", "fc"], "--rename takes OLD=NEW"),
        (["--entry", "ema", "--skip-accuracy"], "no entry ema; it holds a single network"),
        (["--model", "lenet"], "its tensors do not fit the model"),
        (["--id", "cifar10"], "cifar10"),
    ],
)
def test_what_is_wrong_is_said(arguments, capsys, options, reason):
    assert main([*arguments, *options]) == 2
    assert reason in " ".join(capsys.readouterr().err.split())


def test_a_wrong_command_line(arguments):
    with pytest.raises(SystemExit) as raised:
        main([*arguments, "--normalisation", "wrong"])
    assert raised.value.code == 2
