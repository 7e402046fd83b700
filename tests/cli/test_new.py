"""``ood-bench new``: what it writes runs as it is, and what it refuses is answered with a remedy."""

import shlex
from pathlib import Path

import pytest
from PIL import Image

import ood_bench
from ood_bench.cli.new import KINDS, main
from ood_bench.config import compose_settings
from ood_bench.papers.block import load_blocks

SEARCH = "hydra.searchpath=[file://my_conf]"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, in which Python finds classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_network_and_a_score_run_at_once(here, quick, command_line):
    for kind in ("model", "method"):
        found = command_line("new", kind, f"own_{kind}")
        assert found.status == 0
        assert f"wrote my_conf/{kind}/own_{kind}.yaml wrote own_{kind}.py try it: ood-bench --config-dir" in found.out
    assert "own_model: say here in one sentence" in command_line("list", "model", "--config-dir", "my_conf").out
    records = ood_bench.run([SEARCH, *quick, "model=own_model", "method=[energy,own_method]"])
    assert list(records["model"]) == ["own_model", "own_model"]
    assert records["auroc"][0] == records["auroc"][1], "the score to begin with is the energy"


def test_a_paper_composes_and_has_its_numbers(here, command_line):
    assert command_line("new", "paper", "mine").status == 0
    settings = compose_settings([SEARCH, "paper=mine"])
    assert list(settings.method) == ["msp", "energy"]
    (block,) = [one for one in load_blocks(own=[Path("my_conf")]) if one.name == "mine"]
    assert block.printed("energy", "digits_held_out", "fpr95") == "50.0"


def test_image_sets_are_described_as_their_folders_are(here, command_line):
    for place in ("train/ant", "train/bee", "val/ant", "val/bee"):
        for row in range(2):
            for name, mode, size in (("insects", "L", (12, 12)), ("birds", "RGB", (40, 30))):
                path = here / name / place / f"{row}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new(mode, size).save(path)
    assert command_line("new", "id", "insects", "--images", "insects").status == 0
    assert command_line("new", "id", "birds", "--images", "birds/val", "--size", "16").status == 0
    assert command_line("new", "ood", "noises", "--images", "birds").status == 0
    insects = compose_settings([SEARCH, "id=insects", "ood=noises"])
    assert (insects.id["classes"], insects.id["shape"]) == (2, [1, 12, 12])
    assert insects.id["test"] == {
        "kind": "folder", "path": f"{here}/insects/val", "layout": "classes", "split": "all", "mode": "L",
        "resize": "short_side_crop", "size": 12,
    }  # fmt: skip
    assert insects.ood["noises"]["source"]["size"] == [12, 12]
    birds = compose_settings([SEARCH, "id=birds", "ood=noises"])
    assert birds.id["shape"] == [3, 16, 16]
    assert [birds.id[part]["split"] for part in ("train", "test")] == ["train", "test"]


@pytest.mark.parametrize("folder", ["shots #1", "a: b", "d ${x}", "it's", "- x", '"q" {1}'])
def test_a_folder_of_any_name_is_read_back_as_it_is(here, command_line, folder):
    for name in ("train/ant", "train/bee", "test/ant", "test/bee"):
        (here / folder / name).mkdir(parents=True)
        Image.new("L", (8, 8)).save(here / folder / name / "0.png")
    assert command_line("new", "id", "own", "--images", folder).status == 0
    assert command_line("new", "ood", "others", "--images", folder).status == 0
    settings = compose_settings([SEARCH, "id=own", "ood=others"])
    assert settings.ood["others"]["source"]["path"] == f"{here}/{folder}"
    assert [settings.id[part]["path"] for part in ("train", "test")] == [
        f"{here}/{folder}/{p}" for p in ("train", "test")
    ]


@pytest.mark.parametrize("kind", ["id", "ood"])
def test_a_set_whose_images_come_later_composes_and_says_where_they_go(here, command_line, kind):
    assert "put the images into data.root/mine/" in command_line("new", kind, "mine").out
    settings = compose_settings([SEARCH, f"{kind}=mine"])
    assert (settings.id if kind == "id" else settings.ood["mine"])["name"] == "mine"


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_to_try_is_one_that_every_shell_takes(here, kind, capsys):
    """zsh takes a bare [ for a pattern, and a space ends a word."""
    assert main([kind, "to_try", "--config-dir", "my conf"]) == 0
    (command,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("try it: "))
    words = shlex.split(command.removeprefix("try it: "))
    assert words[:3] == ["ood-bench", "--config-dir", "my conf"]
    assert f"{kind}=to_try" in words or f"{kind}=[msp,to_try]" in words
    assert command == f"try it: {shlex.join(words)}"


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["modell", "mine"], "(did you mean model?) hint: choose id, ood, model, method, paper"),
        (["train", "mine"], "docs/trained_method.md"),
        (["model", "My-Net"], "write my_net"),
        (["model", "class"], "write my_class"),
        (["method", "msp"], "there is a shipped method=msp, which would be taken in its place hint: write my_msp"),
        (["model", "random"], "Python has a module 'random'"),
        (["model", "mine", "--size", "3"], "--images and --size are of id and ood"),
        (["model", "mine", "--config-dir", str(Path(ood_bench.__file__).parent / "conf")], "a folder of your own"),
        (["id", "mine", "--images", "none"], "there is no folder none"),
        (["id", "mine", "--images", "."], "put the images of each class into a folder of its own"),
        (["ood", "mine", "--images", "."], "holds no images"),
        (["id", "mine", "--size", "-3"], "write --size 64"),
    ],
)
def test_what_cannot_be_begun_is_refused(here, command_line, words, remedy):
    found = command_line("new", *words)
    assert found.status == 2
    assert remedy in found.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_overwritten(here, command_line, kind):
    assert command_line("new", kind, "begun").status == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    (here / "my_conf" / kind / "begun.yaml").write_text("mine\n")
    found = command_line("new", kind, "begun")
    assert (found.status, "already: nothing was written" in found.err) == (2, True)
    assert {path for path in here.rglob("*") if path.is_file()} == before.keys()
    assert (here / "my_conf" / kind / "begun.yaml").read_text() == "mine\n"
