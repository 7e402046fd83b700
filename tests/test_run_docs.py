"""What ``make docs`` takes for code on a page, and what it refuses."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("run_docs", ROOT / "scripts/run_docs.py")
run_docs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_docs)

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

```text
six
```

<!-- with: SEVEN=three.txt "EIGHT=-s three.txt" -->

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
        (18, "text"),
        (24, "sh"),
        (27, "python"),
    ]
    assert found[0].code == "echo one \\\n    two\n\necho three > three.txt"
    assert [block.file for block in found] == ["", "folder/four.yaml", "", "", "", ""]
    assert [block.reason for block in found] == ["", "", "needs SLURM", "", "", ""]
    assert found[4].stands_for == {"SEVEN": "three.txt", "EIGHT": "-s three.txt"}


def test_a_page_is_run_in_one_folder_and_counted(tmp_path):
    assert run_docs.run_page(PAGE, tmp_path) == {"": 4, "needs SLURM": 1}
    assert (tmp_path / "three.txt").read_text() == "three\n"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("Text.\n\n    echo this; exit 3\n", r"line 3: exit status 3\n(.*\n)+this"),
        ("    false | cat\n", "line 1: exit status 1"),
        ("```python\n1 / 0\n```\n", r"line 1: exit status 1\n(.*\n)+ZeroDivisionError"),
        ("```rust\n1\n```\n", "line 1: rust is not run, so name its file"),
        ("```\n1\n```\n", "line 1: say the block's language"),
        ("<!-- not run: no reader has it -->\n\nText.\n", "line 1: this comment belongs to no block"),
        ("Text.\n\n<!-- not run: no reader has it -->\n", "line 3: this comment belongs to no block"),
        ("<!-- with: NAME=1 -->\n\n    echo\n", "line 3: there is no NAME in it"),
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
