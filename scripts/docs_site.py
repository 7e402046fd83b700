"""Lays README.md and docs/ out for ``make docs``: outputs/docs, in which every link leads to a page of the site.

A link to a file of the repository that is no page becomes plain text; dead links are left, for the build to refuse.
"""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "outputs/docs"
PAGES = {
    Path("README.md"): Path("index.md"),
    Path("CONTRIBUTING.md"): Path("contributing.md"),
    Path("CHANGELOG.md"): Path("changelog.md"),
    Path("results/tables/fssd_fashionmnist.md"): Path("tables/fssd_fashionmnist.md"),
    **{path.relative_to(ROOT): path.relative_to(ROOT / "docs") for path in sorted((ROOT / "docs").rglob("*.md"))},
}
"""Place on the site of every page, by its file in the repository."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def main() -> None:
    """Writes the folder anew."""
    shutil.rmtree(SITE, ignore_errors=True)
    for source, page in PAGES.items():
        path = SITE / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(linked((ROOT / source).read_text(encoding="utf-8"), source), encoding="utf-8")
    for picture in (ROOT / "docs").glob("*.png"):
        shutil.copy(picture, SITE)


def linked(text: str, source: Path) -> str:
    """The text of a file with links that lead to pages of the site."""

    def change(found: re.Match[str]) -> str:
        mark, title, target = found.groups()
        if "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, hash_, anchor = target.partition("#")
        file = Path(os.path.normpath(source.parent / path))
        if file in PAGES or file.suffix == ".png":
            place = PAGES.get(file, Path(file.name))
            return f"{mark}[{title}]({os.path.relpath(place, PAGES[source].parent)}{hash_}{anchor})"
        return title if (ROOT / file).exists() else found[0]

    return _LINK.sub(change, text)


if __name__ == "__main__":
    main()
