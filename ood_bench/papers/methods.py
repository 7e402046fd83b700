"""What is known of every shipped method: its paper, its authors' code, what it needs, what may be tuned.

``methods.json`` beside this file is made from the classes by ``python -m ood_bench.methods``, so that help and page
need not import them.
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("methods.json")


@dataclass(frozen=True)
class Source:
    """The paper of a method, and its authors' code.

    Attributes:
        title: of the paper.
        authors: short, as in ``Sun et al.``.
        venue: where it appeared, without the year; ``arXiv`` if nowhere else.
        year: of that.
        arxiv: number, as in ``2204.06507``; empty if there is none, or none was found.
        url: of the paper where it has no number there.
        code: the authors' repository, as in ``github.com/deeplearning-wisc/knn-ood``; empty if there is none.
        licence: of that code, as its repository states it; ``none stated`` where it states none.
    """

    title: str
    authors: str
    venue: str
    year: int
    arxiv: str = ""
    url: str = ""
    code: str = ""
    licence: str = ""

    @property
    def link(self) -> str:
        """Address of the paper; empty if none is known."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url

    @property
    def words(self) -> str:
        """The paper in a line of plain text."""
        number = f", arXiv {self.arxiv}" if self.arxiv else f", {self.url}" if self.url else ""
        venue = "" if self.venue == "arXiv" else f"{self.venue} "
        return f"{self.authors}, “{self.title}”, {venue}{self.year}{number}"

    @property
    def code_words(self) -> str:
        """The code with its licence; empty if there is none."""
        return f"{self.code} (licence: {self.licence})" if self.code else ""


@dataclass(frozen=True)
class Method:
    """A shipped method.

    Attributes:
        about: one line.
        definition: what is computed, and how it differs from other code under the same name; Markdown.
        needs: what it reads, in words.
        hyperparameters: shipped values by name.
        grid: published candidates by hyperparameter.
        deviations: of the shipped values from the paper, a sentence each.
        source: the paper, or none.
    """

    about: str
    definition: str
    needs: tuple[str, ...]
    hyperparameters: Mapping[str, Any]
    grid: Mapping[str, Any]
    deviations: tuple[str, ...]
    source: Source | None = field(default=None)


def in_words(values: Mapping[str, Any], quote: str = "") -> str:
    """Hyperparameters or candidates as ``name=value, ...``, each between two ``quote``."""
    return ", ".join(f"{quote}{name}={json.dumps(value)}{quote}" for name, value in values.items())


@functools.cache
def methods() -> dict[str, Method]:
    """Every shipped method by config name, sorted."""
    return {name: _method(content) for name, content in json.loads(FILE.read_text(encoding="utf-8")).items()}


def _method(content: dict[str, Any]) -> Method:
    source, needs, deviations = (content.pop(key) for key in ("source", "needs", "deviations"))
    known = None if source is None else Source(**source)
    return Method(**content, needs=tuple(needs), deviations=tuple(deviations), source=known)
