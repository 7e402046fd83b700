"""docs/reference is what configs, classes and commands say."""

from pathlib import Path

from ood_bench.cli.reference import FOLDER, pages

ROOT = Path(__file__).parents[2]


def test_the_reference_is_up_to_date():
    wanted = pages()
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / FOLDER).glob("*.md")}
    del there["api.md"]  # written by hand, filled by mkdocstrings
    assert there == wanted, "python -m ood_bench.cli.reference writes it again"


def test_it_names_what_a_reader_looks_for():
    found = pages()
    for page, words in {
        "settings.md": ("| `scoring.resamples` | `1000` | bootstrap", "| `data.on_damage` | `refuse` |"),
        "options.md": ("## method", "| `fssd_fashionmnist` |"),
        "sources.md": ("## kind: list", "| `test_fraction` | `float` | `0.2` | share of each class"),
        "recipe.md": ("| `epochs` | `int` | `1` |", "## optimizer"),
        "record.md": ("| `cell_key` |", "## Environment"),
        "conventions.md": ("| `openood` | OOD |",),
        "commands.md": ("### ood-bench store gc", "| `--config-dir DIR` | a folder with papers of your own |"),
    }.items():
        for word in words:
            assert word in found[page], (page, word)
