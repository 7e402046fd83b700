"""What ``make docs`` takes for code on a page, and what it refuses."""

from pathlib import Path

import docs_check
import pytest
import run_docs
from docs_small import Small

ROOT = Path(__file__).parents[1]

PAGE = """Text.

    echo one \\
        two

    echo three > three.txt

`folder/four.yaml`:

```yaml
four: 4
```

<!-- not run: needs SLURM -->

    sbatch five

<!-- small: needs images -->

    ood-bench paper=mine data.root=DATA

```text
six
```

<!-- given: nothing at all -->
<!-- with: SEVEN=>three.txt "EIGHT=>-s three.txt" -->

    test -e SEVEN
    test EIGHT

```python
from pathlib import Path
assert Path("folder/four.yaml").read_text() == "four: 4\\n"
```
"""


def test_the_blocks_of_a_page():
    found = list(run_docs.blocks(PAGE))
    assert [(block.line, block.language) for block in found] == [
        (3, "sh"),
        (10, "yaml"),
        (16, "sh"),
        (20, "sh"),
        (22, "text"),
        (29, "sh"),
        (32, "python"),
    ]
    assert found[0].code == "echo one \\\n    two\n\necho three > three.txt"
    assert [block.file for block in found] == ["", "folder/four.yaml", "", "", "", "", ""]
    assert [block.reason for block in found] == ["", "", "needs SLURM", "", "", "", ""]
    assert [block.small for block in found] == ["", "", "", "needs images", "", "", ""]
    assert found[5].stands_for == {"SEVEN": "three.txt", "EIGHT": "-s three.txt"}
    assert found[5].run_code == "test -e three.txt\ntest -s three.txt\n"
    assert found[5].given == ["nothing", "at", "all"]


def test_a_page_is_run_in_one_folder_and_counted(tmp_path):
    page = PAGE.replace("<!-- given: nothing at all -->\n", "")
    assert run_docs.run_page(page, tmp_path) == {"": 5, "needs SLURM": 1}
    assert (tmp_path / "three.txt").read_text() == "three\n"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("Text.\n\n    echo this; exit 3\n", r"line 3: exit status 3\n(.*\n)+this"),
        ("    false | cat\n", "line 1: exit status 1"),
        ("```python\n1 / 0\n```\n", r"line 1: exit status 1\n(.*\n)+ZeroDivisionError"),
        ("```rust\n1\n```\n", "line 1: rust is not run, so name its file"),
        ("```\n1\n```\n", "line 1: say the block's language"),
        ("<!-- not run: no reader has it -->\n\nText.\n", "line 3: the comment before it belongs to no block"),
        ("Text.\n\n<!-- not run: no reader has it -->\n", "line 3: the comment before it belongs to no block"),
        ("<!-- with: NAME=>1 -->\n\n    echo\n", "line 3: there is no NAME in it"),
        ("```sh\necho\n", "line 1: this block has no end"),
    ],
)
def test_what_is_refused(tmp_path, page, said):
    with pytest.raises(run_docs.DocsError, match=said):
        run_docs.run_page(page, tmp_path)


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_every_block_of_the_pages_is_understood(page):
    known = {"sh", "python", "yaml", *run_docs.SHOWN}
    assert {block.language for block in run_docs.blocks((ROOT / page).read_text(encoding="utf-8"))} <= known


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("ood-bench -m paper=fssd_fashionmnist method=msp,fssd seed=0,1 hydra/launcher=submitit_slurm", 0),
        ("ood-bench -m paper=fssd_fashionmnist seed=0,1 hydra/launcher=ray +hydra.launcher.ray.remote.num_gpus=1", 0),
        ("ood-bench paper=fssd_fashionmnst", 2),
        ("ood-bench paper=fssd_fashionmnist method.odin.magnitude=1", 2),
        ("ood-bench -m paper=fssd_fashionmnist method=msp,fsd", 2),
        ("ood-bench -m seed=0,1 hydra/launcher=submitit_slurm hydra.launcher.gpus=1", 2),
        ("ood-bench explain CELL --to odin --metric auroc", 0),
        ("ood-bench explain CELL --too odin", 2),
        ("ood-bench explain paper=fssd_fashionmnst", 1),
        ("python -m benchmarks --images 3", 0),
        ("python -m benchmarks --pictures 3", 2),
        ("python -m benchmarks.records --scale 0.02", 0),
        ("make bnch", 2),
        ("script scripts/one_node_slurm.sh start", 0),
        ("script scripts/one_node_slurm.sh begin", 1),
        ("pip install what-there-is-not", 0),
    ],
)
def test_commands_of_blocks_that_cannot_be_run(command, status, tmp_path, monkeypatch, command_line):
    """No data is there: what is wrong with their words is found without."""
    command_line("--version")  # its fixture puts back what a run changes
    monkeypatch.chdir(tmp_path)
    program, *words = command.split()
    try:
        found = docs_check.check(program, words)
    except SystemExit as stop:
        found = stop.code
    assert found == status


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("ood-bench -m paper=glob(odin_densenet_cifar10_validation_t*) method=msp checkpoint=W data.root=DATA", 14),
        ("ood-bench paper=eloc_densenet_cifar10 ood=[tin_crop] checkpoint=FOLDER data.root=DATA", 1),
    ],
)
def test_commands_that_need_images_or_weights_are_run_small(command, files, tmp_path, monkeypatch, command_line):
    command_line("--version")  # as above
    monkeypatch.chdir(tmp_path)
    assert Small(tmp_path / "images").run(command.split()[1:]) == 0
    assert len(list(Path("results/records").rglob("*.json"))) == files
