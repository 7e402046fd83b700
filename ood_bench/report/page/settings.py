"""What a page is called and what stands on it: ``page.yaml`` in a results folder."""

from pathlib import Path
from typing import Literal

from omegaconf import OmegaConf
from pydantic import BaseModel, ConfigDict, ValidationError

from ood_bench.errors import ConfigError
from ood_bench.utils.faults import faults

FILE = "page.yaml"
"""Its name in a results folder."""


class PageSettings(BaseModel):
    """The settings of a page.

    Attributes:
        title: the page's heading.
        own: heading above the results that belong to no paper's table.
        papers: ``run``: only papers that were run; ``all``: the published numbers of the others, too.
        beside: folders below this one with tables of methods beside networks (``methods-*.csv``) whose records were not
            kept.
        repository: where this project's code lies, an address or a path from the page, for links; empty for none.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    title: str = "Out-of-distribution detection"
    own: str = "Results"
    papers: Literal["run", "all"] = "run"
    beside: list[str] = []
    repository: str = ""

    def link(self, path: str) -> str:
        """The address of a file of the repository; empty if nothing says where that is."""
        return f"{self.repository.rstrip('/')}/{path}" if self.repository else ""


def load(results: Path) -> PageSettings:
    """The settings of a results folder; the defaults where there is no file.

    Raises:
        ConfigError: if the file is not usable.
    """
    path = results / FILE
    if not path.is_file():
        return PageSettings()
    hint = "it may hold title, own, papers (run or all), beside (folders) and repository, one `key: value` a line"
    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # the YAML parser's errors and OmegaConf's share no other base
        raise ConfigError(f"{path}: cannot be read: {error}", hint) from error
    try:
        return PageSettings.model_validate(content or {})
    except ValidationError as error:
        raise ConfigError(f"{path}: {faults(error, PageSettings.model_fields)}", hint) from error
