"""Turns a published checkpoint into a classifier of the artifact store, with its provenance and measured accuracy."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ood_bench.checkpoints.choice import Choice
from ood_bench.checkpoints.naming import fit
from ood_bench.checkpoints.reader import read_checkpoint
from ood_bench.checkpoints.remarks import Remarks, remarks_on
from ood_bench.data.imageset import ImageSet
from ood_bench.errors import ArtifactError
from ood_bench.models.classifier import Classifier, accuracy, build_network, freeze, read_card, save_classifier
from ood_bench.models.heads import without_default_head
from ood_bench.utils.files import clear_io_errors, content_key, sha256_file, staged_folder
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_TOLERANCE = 0.5


@dataclass(frozen=True)
class Claim:
    """What a checkpoint's source says of it.

    Attributes:
        accuracy: stated ID accuracy in percent, or none.
        licence: its licence, as far as it is known.
        source: where it comes from.
    """

    accuracy: float | None = None
    licence: str = ""
    source: str = ""


def import_checkpoint(
    file: Path,
    *,
    model: Mapping[str, Any],
    id_node: Mapping[str, Any],
    store: Path,
    test: ImageSet | None = None,
    classes: int | None = None,
    normalisation: Mapping[str, Sequence[float]] | None = None,
    claim: Claim | None = None,
    choice: Choice | None = None,
    device: torch.device | None = None,
) -> Path:
    """Stores a checkpoint as ``<store>/classifiers/imported-<model>-<id>-<key>``, or finds it there.

    The key is a hash of the file, what is chosen of it, the model's options, the shape, the number of classes and the
    normalisation. Where it was already imported and measured on ``test``, nothing is done.

    Args:
        file: the checkpoint, in any layout that :func:`~ood_bench.checkpoints.reader.read_checkpoint` understands.
        model: content of the ``conf/model`` file.
        id_node: content of the ``conf/id`` file: ``name``, ``shape``, ``classes`` and ``normalisation``.
        store: the artifact store.
        test: ID test images to measure the accuracy on, or none.
        classes: number of outputs where it is not that of the ID set.
        normalisation: ``mean`` and ``std`` that the network was trained with where they are not the ID set's.
        claim: what its source says of it.
        choice: which network of the file, which tensors to leave out, and their other names.
        device: where to measure; the processor if none.

    Returns:
        The classifier's folder, for :func:`~ood_bench.models.classifier.load_classifier`.

    Raises:
        ArtifactError: if the file cannot be read, or its tensors do not fit the model.
        ConfigError: if the model cannot be built.
    """
    choice = choice or Choice()
    spec = {**_spec(file, model, id_node, classes, normalisation), **choice.identity()}
    key = content_key(spec)
    final = store / "classifiers" / f"imported-{model['name']}-{id_node['name']}-{key[:8]}"
    if spec["classes"] != id_node["classes"] and test is not None:
        _log.warning("%d outputs for %d classes: the accuracy cannot be measured", spec["classes"], id_node["classes"])
        test = None
    if _is_done(final, key, test, claim):
        return final
    claim = claim or Claim()
    classifier, remarks = _classifier(file, spec, choice, device or torch.device("cpu"))
    measured = _measure(classifier, test, claim)
    card = {"key": key, "spec": {**spec, "seed": 0}, **_provenance(file, spec["imported_sha256"], claim), **measured}
    card["checkpoint"]["entry"] = remarks.entry
    card |= {"notes": remarks.notes, "deviations": [*remarks.deviations, *measured["deviations"]]}
    _write(final, classifier.network, card)
    return final


def _spec(
    file: Path,
    model: Mapping[str, Any],
    id_node: Mapping[str, Any],
    classes: int | None,
    normalisation: Mapping[str, Sequence[float]] | None,
) -> dict[str, Any]:
    """All that determines the classifier's scores, but for what is chosen of the file; its folder's key is the hash."""
    with clear_io_errors("read the checkpoint", file):
        digest = sha256_file(file)
    moments = normalisation or id_node["normalisation"]
    return {
        "model": without_default_head(model),
        "shape": [int(extent) for extent in id_node["shape"]],
        "classes": int(id_node["classes"] if classes is None else classes),
        "normalisation": {part: [float(value) for value in moments[part]] for part in ("mean", "std")},
        "imported_sha256": digest,
    }


def _write(final: Path, network: nn.Module, card: Mapping[str, Any]) -> None:
    with locked(final):
        if final.exists():  # the weights are the same bytes; what is known of them has changed
            save_classifier(final, network, card)
        else:
            with staged_folder(final) as folder:
                save_classifier(folder, network, card)


def _is_done(final: Path, key: str, test: ImageSet | None, claim: Claim | None) -> bool:
    """Whether the classifier is there, measured on this very test set and held to this very claim, if given."""
    try:
        card = read_card(final)
    except (OSError, ValueError):
        return False
    if card.get("key") != key:
        return False
    held = claim is None or asdict(claim).items() <= card.get("checkpoint", {}).items()
    return held and (test is None or (card.get("measured") or {}).get("fingerprint") == test.fingerprint)


def _classifier(
    file: Path, spec: Mapping[str, Any], choice: Choice, device: torch.device
) -> tuple[Classifier, Remarks]:
    contents = read_checkpoint(file, choice.entry)
    with torch.random.fork_rng():  # fresh weights are drawn and overwritten; what else uses the generator is left alone
        network = build_network(spec["model"], spec["shape"], spec["classes"])
    try:
        state, ignored = choice.applied(contents.tensors)
        fitting = fit(state, network)
    except ArtifactError as error:
        raise ArtifactError(f"{file} as {spec['model']['name']}: {error.message}", error.hint) from error
    network.load_state_dict(fitting.state)
    moments = spec["normalisation"]
    left_out = {name: contents.tensors[name] for name in ignored} | fitting.left_out
    remarks = remarks_on(file.name, contents, left_out, choice, moments)
    return Classifier(freeze(network).to(device), tuple(moments["mean"]), tuple(moments["std"])), remarks


def _provenance(file: Path, digest: str, claim: Claim) -> dict[str, Any]:
    return {
        "recipe": "imported",
        "checkpoint": {"file": file.name, "sha256": digest, **asdict(claim)},
        "history": [],
        "trained_seconds": 0.0,
        "torch": torch.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _measure(classifier: Classifier, test: ImageSet | None, claim: Claim) -> dict[str, Any]:
    """Accuracy on the test images, held to the stated one; a difference is logged and kept as a deviation."""
    nothing: dict[str, Any] = {"id_accuracy": None, "measured": None, "deviations": []}
    if test is None or test.labels is None:
        _log.warning("imported without test images: normalisation and class order are not checked")
        return {**nothing, "deviations": ["Imported weights whose accuracy was not measured."]}
    percent = accuracy(classifier, test)
    chance = 1.96 * math.sqrt(max(percent * (100 - percent), 1.0) / len(test))
    found = f"{percent:.2f} % correct on {test.title} ({len(test)} images, ± {chance:.1f})"
    measured = {
        "set": test.name,
        "variant": test.variant,
        "n": len(test),
        "fingerprint": test.fingerprint,
        "accuracy": percent,
    }
    whole = {**nothing, "id_accuracy": percent, "measured": measured}
    if claim.accuracy is None or abs(percent - claim.accuracy) <= _TOLERANCE:
        _log.info("imported weights: %s", found)
        return whole
    _log.warning(
        "imported weights: %s, stated are %.2f %%; look at normalisation, class order and the test set's variant",
        found,
        claim.accuracy,
    )
    return {**whole, "deviations": [f"Imported weights: {found}, stated are {claim.accuracy:.2f} %."]}
