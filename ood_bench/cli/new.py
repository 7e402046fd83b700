"""``ood-bench new``: files of one's own to begin with, commented, which run as they are."""

import argparse
import importlib.util
import keyword
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ood_bench.cli.pictures import Pictures, look_at
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir, options
from ood_bench.utils.console import one_message
from ood_bench.utils.files import write_atomically
from ood_bench.utils.suggest import did_you_mean

_TEMPLATES = Path(__file__).with_name("templates")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_QUICK = "experiment=quickstart"
KINDS = {
    "id": "an ID set: folders of images, one for each class",
    "ood": "an OOD set: a folder of images",
    "model": "a network: a class and its config",
    "method": "a score: a class and its config",
    "paper": "a block of a published table: what is run, and a CSV of its numbers",
}
_OTHERS = {
    "train": "a recipe is a copy of a shipped one with another name: docs/trained_method.md",
    "protocol": "a protocol is a class in the package: CONTRIBUTING.md",
    "tune": "tuning rules are the protocols': docs/protocols.md",
    "experiment": "an experiment is a paper without published numbers: ood-bench new paper, then delete the node paper",
}


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    kinds = "\n".join(f"  {kind:7} {about}" for kind, about in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="ood-bench new",
        description="Writes files of your own to begin with; they run as they are, with --config-dir.",
        epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="small letters, digits and _")
    parser.add_argument(
        "--config-dir",
        type=Path,
        default=Path("my_conf"),
        metavar="DIR",
        help="your folder of configs; a class is written beside it (default: my_conf)",
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="of id and ood: where the images are")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="of id: side to which images are brought")
    return parser


def files_of(kind: str, name: str, folder: Path, pictures: Pictures | None) -> dict[Path, str]:
    """Content of every file of a kind, by its path.

    Args:
        kind: one of :data:`KINDS`.
        name: the option's name.
        folder: the folder of configs; a class lies beside it.
        pictures: what is known of the images of an ID or OOD set.
    """
    class_name = "".join(part.capitalize() for part in name.split("_"))
    words = {"NAME": name, "CLASS": class_name, "PATH": name}
    if pictures is not None:
        words |= pictures.words()
    path = words["PATH"]
    if kind == "id" and pictures is not None:
        words |= {part.upper(): _source(words, pictures, part) for part in ("train", "test")}
    words["PATH"] = _quoted(path)
    found = {folder / kind / f"{name}.yaml": _filled(f"{kind}.yaml", words)}
    if kind in ("model", "method"):
        found[folder.parent / f"{name}.py"] = _filled(f"{kind}.py", words)
    if kind == "paper":
        found[folder / kind / f"{name}.csv"] = _filled("paper.csv", words)
    return found


def _filled(template: str, words: Mapping[str, str]) -> str:
    text = (_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    return re.sub(rf"\b({'|'.join(words)})\b", lambda found: words[found[0]], text)


def _source(words: Mapping[str, str], pictures: Pictures, part: str) -> str:
    """The source of one part of an ID set: a folder of its own, or a share of the one folder."""
    split = "split: all" if pictures.parted else f"split: {part} # a share of each class, drawn with split_seed"
    more = "" if pictures.parted else "\n  test_fraction: 0.2\n  split_seed: 0"
    path = f"{words['PATH']}/{pictures.parted.get(part)}" if pictures.parted else words["PATH"]
    return _filled("source.yaml", {**words, "PATH": _quoted(path), "SPLIT": split + more}).rstrip()


def _quoted(path: str) -> str:
    """A path as YAML and OmegaConf read it back: in quotes unless it is of plain characters."""
    if re.fullmatch(r"[/\w][\w/.-]*", path):
        return path
    escaped = path.replace("'", "''").replace("${", r"\${")
    return f"'{escaped}'"


def _try_it(kind: str, name: str, folder: Path) -> str:
    """The command that runs what was written."""
    words = {
        "id": f"id={name} ood=uniform method=msp model=resnet18 train=resnet18_short train.epochs=1",
        "ood": f"id=cifar10 ood={name} method=msp model=resnet18 checkpoint=FILE",
        "model": f"{_QUICK} model={name} method=[msp,knn]",
        "method": f"{_QUICK} method=[msp,{name}]",
        "paper": f"paper={name}",
    }
    return shlex.join(["ood-bench", "--config-dir", str(folder), *words[kind].split()])


def _refuse(kind: str, name: str, folder: Path) -> None:
    """Raises :class:`ConfigError` for a kind, a name or a folder that cannot be used."""
    if kind not in KINDS:
        hint = _OTHERS.get(kind, f"choose {', '.join(KINDS)}: ood-bench new method {name}")
        raise ConfigError(f"ood-bench new makes no {kind!r}{did_you_mean(kind, KINDS)}", hint)
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        usable = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        usable = usable if _NAME.fullmatch(usable) and not keyword.iskeyword(usable) else f"my_{usable or kind}"
        raise ConfigError(
            f"{name!r} cannot be a name: small letters, digits and _ only, a letter first", f"write {usable}"
        )
    if name in options(kind):
        raise ConfigError(f"there is a shipped {kind}={name}, which would be taken in its place", f"write my_{name}")
    inside = folder.resolve()
    if any(inside.is_relative_to(place) for place in (conf_dir(), Path(__file__).resolve().parents[1])):
        raise ConfigError(f"{folder} belongs to the package", "name a folder of your own: --config-dir my_conf")


def _refuse_module(name: str) -> None:
    """Raises :class:`ConfigError` if Python has a module of that name, which would be found first."""
    if importlib.util.find_spec(name) is not None:
        raise ConfigError(f"Python has a module {name!r}, which would be taken for yours", f"write my_{name}")


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files of one kind; exit status 0, or 2 for what the user has to fix."""
    chosen = build_parser().parse_args(arguments)
    kind, name, folder = chosen.kind, chosen.name, chosen.config_dir
    _refuse(kind, name, folder)
    if kind not in ("id", "ood") and (chosen.images or chosen.size):
        raise ConfigError(f"--images and --size are of id and ood, not of a {kind}", "leave them out")
    pictures = look_at(chosen.images, chosen.size, classes=kind == "id") if kind in ("id", "ood") else None
    files = files_of(kind, name, folder, pictures)
    if there := [str(path) for path in files if path.exists()]:
        raise ConfigError(f"there is {' and '.join(there)} already: nothing was written", "take another name")
    if kind in ("model", "method"):
        _refuse_module(name)
    for path, text in files.items():
        write_atomically(path, text.encode())
        sys.stdout.write(f"wrote {path}\n")
    if pictures is not None and pictures.folder is None:
        where = f"data.root/{name}" + ("/CLASS/*.png (one folder for each class)" if kind == "id" else "/*.png")
        sys.stdout.write(f"put the images into {where}, or name their folder in the file\n")
    sys.stdout.write(f"try it: {_try_it(kind, name, folder)}\n")
    return 0
