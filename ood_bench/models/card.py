"""The card of a classifier: what stands beside its weights, read without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ood_bench.utils.digests import with_seal, without_seal
from ood_bench.utils.files import content_key, write_atomically

WEIGHTS, CARD = "weights.safetensors", "classifier.json"
_NETWORK = ("model", "shape", "classes", "normalisation")
_OWN = "source"
"""What there is beside these of a network whose class is a user's own: the hash of its code."""


def scoring_key(card: Mapping[str, Any]) -> str:
    """Key of all that determines what a classifier gives for an image, from its card: weights and network.

    The network is what its model's options make of the weights: its forward pass, and the modules that its taps name.
    Of a user's own class the code counts, too.
    """
    network = network_of(card)
    options = {option: value for option, value in network["model"].items() if option != "name"}
    return content_key([card["weights_sha256"], {**network, "model": options}])


def network_of(card: Mapping[str, Any]) -> dict[str, Any]:
    """What a card says of the network and its input."""
    spec = card["spec"]
    return {part: spec[part] for part in (*_NETWORK, *([_OWN] if _OWN in spec else []))}


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Writes ``classifier.json`` with a seal: the SHA-256 of all the rest.

    Raises:
        ArtifactError: if the folder cannot be written.
    """
    write_atomically(folder / CARD, (json.dumps(with_seal(card), indent=2, sort_keys=True) + "\n").encode())


def read_card(folder: Path) -> dict[str, Any]:
    """What ``classifier.json`` says; cards of version 0.1 have no seal.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not what was written.
    """
    try:
        return without_seal(json.loads((folder / CARD).read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{CARD}: {error}") from error
