"""Where a method comes from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """The paper of a method, and its authors' code; docs/methods.md, ``ood-bench list method`` and the page show it.

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
        """Address of the paper."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url
