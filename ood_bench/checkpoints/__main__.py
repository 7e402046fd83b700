"""``ood-bench checkpoints``: published weights as a classifier of the store, and the registry of published networks."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from ood_bench.checkpoints.commands import fetch_networks, list_networks, select, verify_networks
from ood_bench.checkpoints.registry import resolve
from ood_bench.errors import ConfigError
from ood_bench.utils.configs import conf_dir, default_checkpoint_root, default_data_root, look_in, options
from ood_bench.utils.console import one_message, plain_log
from ood_bench.utils.suggest import did_you_mean

if TYPE_CHECKING:
    from ood_bench.checkpoints.choice import Choice

Moments = Mapping[str, Sequence[float]]

NORMALISATIONS: Mapping[str, Moments] = {
    "odin": {"mean": (0.4913725, 0.4823529, 0.4466667), "std": (0.2470588, 0.2435294, 0.2615686)},
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
    "mahalanobis": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.2023, 0.1994, 0.2010)},
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    "none": {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},
}
"""Constants of published code: ODIN, torchvision, Mahalanobis and FSSD, FeatureNorm's last state, FeatureNorm."""

_WIDTH_OF_A_PIPE = 300
_OF_REGISTRY = {
    "list": "show published networks: there or missing, and what a run needs to know of them",
    "fetch": "download published networks whose addresses are known",
    "verify": "compare files with their SHA-256 (without names: all that are there)",
}
_NAMES = "a network, or a family such as openood/cifar10"
_ROOT = "folder of checkpoints (default: $OOD_BENCH_CHECKPOINTS, else ./checkpoints)"


def build_parser() -> argparse.ArgumentParser:
    """The command line's parser."""
    parser = argparse.ArgumentParser(prog="ood-bench checkpoints", description="Looks after published weights.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in _OF_REGISTRY.items():
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("names", metavar="NAME", nargs="+" if name == "fetch" else "*", help=_NAMES)
        command.add_argument("--root", type=Path, default=default_checkpoint_root(), help=_ROOT)
    text = "read a published checkpoint, without running anything in it, into the store of classifiers"
    command = commands.add_parser("import", help=text, description=text)
    add = command.add_argument
    add(
        "file", type=Path, metavar="FILE", help="state dict, whole module, safetensors, also in gz, tar, zip; or a name"
    )
    add("--model", required=True, help="name in conf/model, or a YAML file of that form")
    add("--id", required=True, help="name in conf/id, or a YAML file of that form")
    add("--entry", metavar="NAME", help="which network, where the file holds several: state_dict_ema, ema.state_dict")
    add("--ignore", action="append", default=[], metavar="PATTERN", help="tensors to leave out: head, '*.queue'")
    text = "another name for tensors, or for what their names begin with: encoder.= or 'blocks.*.bn=layers.*.norm'"
    add("--rename", action="append", default=[], metavar="OLD=NEW", help=text)
    add("--name", help="name in records and tables (default: the model's)")
    add("--classes", type=int, help="number of outputs (default: the ID set's)")
    add("--normalisation", choices=sorted(NORMALISATIONS), help="named constants (default: the ID set's)")
    add("--mean", type=float, nargs="+", help="mean of each channel on the [0, 1] scale")
    add("--std", type=float, nargs="+", help="standard deviation of each channel, same scale")
    add("--stated-accuracy", type=float, help="accuracy that its source states, in percent")
    add("--licence", default="", help="its licence, for the classifier's card")
    add("--source", default="", help="where it comes from, for the classifier's card")
    add("--skip-accuracy", action="store_true", help="do not measure the accuracy (the ID set is not needed then)")
    add("--data-root", type=Path, default=Path(default_data_root()), help="data root")
    add("--store", type=Path, help="artifact store (default: <data root>/store)")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser


def node_named(group: str, name: str) -> dict[str, Any]:
    """Content of ``conf/<group>/<name>.yaml``, or of the file itself if ``name`` ends in ``.yaml``.

    Raises:
        ConfigError: if there is no such file.
    """
    path = Path(name) if name.endswith(".yaml") else conf_dir() / group / f"{name}.yaml"
    if not path.is_file():
        known = options(group)
        raise ConfigError(f"--{group} {name}: unknown{did_you_mean(name, known)}; known: {', '.join(known)}")
    from ood_bench.data.catalogue import load_node  # noqa: PLC0415 - importing OmegaConf takes a while

    return load_node(path)


def normalisation_of(chosen: argparse.Namespace, channels: int) -> Moments | None:
    """The normalisation that the command line asks for, or none.

    Raises:
        ConfigError: if it is given twice, by halves, or for another number of channels.
    """
    if (chosen.mean is None) != (chosen.std is None):
        raise ConfigError("--mean and --std belong together: give both, or neither")
    if chosen.mean is not None and chosen.normalisation is not None:
        raise ConfigError("--normalisation and --mean/--std exclude each other")
    moments: Moments | None = NORMALISATIONS.get(chosen.normalisation)
    if chosen.mean is not None:
        moments = {"mean": chosen.mean, "std": chosen.std}
    if moments is not None and {len(values) for values in moments.values()} != {channels}:
        raise ConfigError(f"the normalisation has not one mean and one std for each of the {channels} channels")
    if moments is not None and min(moments["std"]) <= 0:
        raise ConfigError("--std must be above 0 for every channel")
    return moments


def choice_of(chosen: argparse.Namespace) -> "Choice":
    """What the command line chooses of the file.

    Raises:
        ConfigError: if a renaming has not one ``=``.
    """
    pairs = [tuple(word.split("=")) for word in chosen.rename]
    if any(len(pair) != 2 or not pair[0] for pair in pairs):
        raise ConfigError("--rename takes OLD=NEW, such as encoder.=net. or encoder.= to take it off")
    from ood_bench.checkpoints.choice import Choice  # noqa: PLC0415 - importing torch takes seconds

    return Choice(chosen.entry, tuple(chosen.ignore), tuple(pairs))


def run_import(chosen: argparse.Namespace) -> Path:
    """Runs the command ``import`` and returns the classifier's folder."""
    from ood_bench.checkpoints.importer import Claim, import_checkpoint  # noqa: PLC0415 - importing torch takes seconds
    from ood_bench.data.image_store import ImageStore  # noqa: PLC0415
    from ood_bench.data.sources import source_of  # noqa: PLC0415
    from ood_bench.utils.device import device_named  # noqa: PLC0415

    look_in(Path.cwd())
    model, id_node = node_named("model", chosen.model), node_named("id", chosen.id)
    if chosen.name:
        model["name"] = chosen.name
    store = chosen.store or chosen.data_root / "store"
    images = ImageStore(store)
    test = None if chosen.skip_accuracy else images.open(source_of(id_node, "test"), chosen.data_root)
    found = resolve(chosen.file)
    moments, claim = normalisation_of(chosen, int(id_node["shape"][0])), Claim(chosen.stated_accuracy)
    if found.entry is not None:
        moments = moments or found.entry.normalisation.model_dump()
        claim = Claim(claim.accuracy or found.entry.accuracy, found.entry.licence, found.entry.source)
    return import_checkpoint(
        found.path,
        model=model,
        id_node=id_node,
        store=store,
        test=test,
        classes=chosen.classes,
        normalisation=moments,
        claim=replace(claim, **{part: said for part in ("licence", "source") if (said := getattr(chosen, part))}),
        choice=choice_of(chosen),
        device=device_named(chosen.device),
    )


@one_message
def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; exit status 0 if all went well, 1 if a file failed, 2 for what the user has to fix."""
    chosen = build_parser().parse_args(arguments)
    plain_log()
    console = Console(highlight=False, soft_wrap=True)
    if chosen.command == "import":
        console.print(escape(str(run_import(chosen))))
        return 0
    networks = select(chosen.names)
    if chosen.command == "list":
        width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
        Console(width=width, highlight=False).print(list_networks(networks, chosen.root))
        return 0
    if chosen.command == "fetch":
        return 1 if fetch_networks(networks, chosen.root, console) else 0
    return 1 if verify_networks(networks, chosen.root, console, named=bool(chosen.names)) else 0


if __name__ == "__main__":
    sys.exit(main())
