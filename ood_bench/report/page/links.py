"""Where the page leads to: papers, code, configs, records, rules."""

import re
from collections.abc import Iterable

from ood_bench.papers.block import Block
from ood_bench.papers.methods import methods
from ood_bench.report import sets_plot
from ood_bench.report.page.settings import PageSettings
from ood_bench.report.sections import Section
from ood_bench.utils.configs import conf_dir

Link = tuple[str, str]
"""Words, and an address."""
_ARXIV = re.compile(r"arXiv:? ?(\d{4}\.\d{4,5})")


def of_block(block: Block, settings: PageSettings) -> list[Link]:
    """A paper, its config and the file of its published numbers; files only of blocks that are shipped."""
    found = [(f"arXiv {number}", f"https://arxiv.org/abs/{number}") for number in _ARXIV.findall(block.reference)]
    config = f"paper/{block.name}.yaml"
    if (conf_dir() / config).is_file():
        found += _of_repository(
            settings, [("config", f"conf/{config}"), ("published numbers", f"ood_bench/papers/{block.csv}.csv")]
        )
    return [*found, *_of_repository(settings, [("rule", "docs/verdicts.md")])]


def of_files(section: Section) -> list[Link]:
    """What else the report made of a section, beside the page."""
    if section.block is None:
        name = sets_plot.name(section)
        return [("table", "tables/other.md"), ("LaTeX", "latex/other.tex"), ("plot", f"plots/{name}-means.svg")]
    name = section.block.name
    found = [("table", f"tables/{name}.md")]
    if section.kind == "paper":
        found += [("LaTeX", f"latex/{name}.tex"), ("plot", f"plots/{name}-comparison.svg")]
    return found


def of_method(name: str, settings: PageSettings) -> list[Link]:
    """The paper of a shipped method, its authors' code, ours, and its config."""
    known = methods().get(name)
    if known is None:
        return []
    source = known.source
    found = [(source.words, source.link)] if source else []
    if source and source.code:
        found.append((source.code_words, f"https://{source.code}"))
    ours = [("config", f"conf/method/{name}.yaml"), ("methods", "docs/methods.md")]
    return [*found, *_of_repository(settings, ours)]


def _of_repository(settings: PageSettings, paths: Iterable[Link]) -> list[Link]:
    return [(words, link) for words, path in paths if (link := settings.link(path))]
