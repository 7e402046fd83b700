"""docs/your_own.md is followed word for word, in an empty folder with a few images and a checkpoint."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

PAGE = (Path(__file__).parents[1] / "docs/your_own.md").read_text(encoding="utf-8")
BLOCK = re.compile(
    r"(?:`([\w/]+\.\w+)`[^`]*:\n\n)?```(python|yaml)\n(.*?)```|^    (ood-bench (?:[^\\\n]|\\\n)*)$",
    re.DOTALL | re.MULTILINE,
)


def pictures(folder: Path, random: np.random.Generator, band: int | None = None) -> None:
    """Six small pictures of noise; a bright band tells the class."""
    folder.mkdir(parents=True)
    for row in range(6):
        pixels = random.integers(0, 90, (70, 64, 3), dtype=np.uint8)
        if band is not None:
            pixels[6 * band : 6 * band + 8] = 220
        Image.fromarray(pixels).save(folder / f"{row}.png")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """What a reader has: images, and a checkpoint whose tensors have other names than the network's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for drawn in ("plots.of", "plots.per_block", "sets_plot.plots"):  # it takes seconds, and other tests look at plots
        monkeypatch.setattr(f"ood_bench.report.{drawn}", lambda *_: {})
    random = np.random.default_rng(0)
    for label in range(10):
        pictures(tmp_path / f"flowers/{label:02}_flower", random, label)
    for name in ("leaves", "insects", "nights/deeper"):
        pictures(tmp_path / name, random)
    return tmp_path


def save_checkpoint():
    from my_resnet import MyResNet  # noqa: PLC0415 - the page makes it

    state = {f"encoder.{name}": value for name, value in MyResNet(10).state_dict().items()}
    torch.save({"state_dict": state, "epoch": 90}, "flowers.pt")


def test_a_reader_gets_from_a_checkpoint_and_folders_to_tables_a_page_and_latex(workplace, command_line, capsys):
    for name, language, content, command in BLOCK.findall(PAGE):
        if command:
            if "checkpoints import" in command:
                save_checkpoint()
            found = command_line(*shlex.split(command.replace("\\\n", " "))[1:])
            assert found.status == 0, f"{command}: {found.err}"
        elif name:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_text(content, encoding="utf-8")
        else:
            assert language == "python"
            exec(compile(content, "docs/your_own.md", "exec"), {})  # noqa: S102 - the page's own
    tables = Path("results/tables/other.md").read_text()
    for word in ("msp", "maxlogit", "energy", "gen", "knn", "vim", "react", "fdbd", "mine", "my_score"):
        assert re.search(rf"^\| {word} .*\[\d+\.\d\d, \d+\.\d\d\]", tables, re.MULTILINE), word
    assert {"leaves", "insects", "nights"} <= set(re.findall(r"\w+", tables))
    assert re.search(
        r"vim & nights .*\$\d+\.\d\d\$ \[\d+\.\d\d, \d+\.\d\d\]", Path("results/latex/other.tex").read_text()
    )
    assert re.search(r"^\| energy .* 90\.0 \|", Path("results/tables/my_paper.md").read_text(), re.MULTILINE)
    assert Path("results/index.html").stat().st_size > 10_000
