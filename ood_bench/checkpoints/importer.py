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
from ood_bench.checkpoints.entries import Contents
from ood_bench.checkpoints.naming import fit
from ood_bench.checkpoints.reader import read_checkpoint
from ood_bench.checkpoints.remarks import Remarks, remarks_on
from ood_bench.data.imageset import ImageSet, titled
from ood_bench.errors import ArtifactError
from ood_bench.models.card import read_card
from ood_bench.models.classifier import Classifier, accuracy, build_network, freeze, save_classifier
from ood_bench.models.heads import without_default_head
from ood_bench.utils.files import clear_io_errors, content_key, sha256_file, staged_folder
from ood_bench.utils.locks import locked
from ood_bench.utils.source import classes_in, own_source

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

    def given(self) -> dict[str, Any]:
        """What is said, by attribute."""
        return {part: value for part, value in asdict(self).items() if value not in (None, "")}


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

    The key is a hash of the file, what is chosen of it, the model's options, the code of a class from outside the
    package, the shape, the number of classes and the normalisation. Where it was already imported and measured on
    ``test``, nothing is done. One process imports, others that ask for the same wait for it.

    Args:
        file: the checkpoint, in any layout that :func:`~ood_bench.checkpoints.reader.read_checkpoint` understands.
        model: content of the ``conf/model`` file.
        id_node: content of the ``conf/id`` file: ``name``, ``shape``, ``classes`` and ``normalisation``.
        store: the artifact store.
        test: ID test images to measure the accuracy on, or none.
        classes: number of outputs where it is not that of the ID set.
        normalisation: ``mean`` and ``std`` that the network was trained with where they are not the ID set's.
        claim: what its source says of it; what it leaves open stays as an earlier import had it.
        choice: which network of the file, which tensors to leave out, and their other names.
        device: where to measure; the processor if none.

    Returns:
        The classifier's folder, for :func:`~ood_bench.models.classifier.load_classifier`.

    Raises:
        ArtifactError: if the file cannot be read or is being written, or its tensors do not fit the model.
        ConfigError: if the model cannot be built.
    """
    choice = choice or Choice()
    spec = {**_spec(file, model, id_node, classes, normalisation), **choice.identity()}
    key = content_key(spec)
    final = _folder(store, model, id_node, key)
    if spec["classes"] != id_node["classes"] and test is not None:
        _log.warning("%d outputs for %d classes: the accuracy cannot be measured", spec["classes"], id_node["classes"])
        test = None
    claim = claim or Claim()
    if _is_done(_card(final, key), test, claim):
        return final
    with locked(final):
        before = _card(final, key)
        if _is_done(before, test, claim):  # another process has imported it meanwhile
            return final
        classifier, remarks = _classifier(file, spec, choice, device or torch.device("cpu"))
        card = {"key": key, "spec": {**spec, "seed": 0}, **_measured(classifier, test, before)}
        card |= _provenance(file, spec["imported_sha256"], {**_said(before), **claim.given(), "entry": remarks.entry})
        differences = _differences(card["measured"], card["checkpoint"]["accuracy"])
        card |= {"notes": remarks.notes, "deviations": [*remarks.deviations, *differences]}
        _write(final, classifier.network, card)
    return final


def check_fit(file: Path, *, model: Mapping[str, Any], id_node: Mapping[str, Any], store: Path, choice: Choice) -> None:
    """Makes sure that a checkpoint can be imported, unless it is imported already; takes a second, and no images.

    Args:
        file: the checkpoint.
        model: see :func:`import_checkpoint`, as the others.
        id_node: see there.
        store: see there.
        choice: see there.

    Raises:
        ArtifactError: if the file cannot be read, or its tensors do not fit the model.
        ConfigError: if the model cannot be built.
    """
    spec = {**_spec(file, model, id_node, None, None), **choice.identity()}
    key = content_key(spec)
    if not _card(_folder(store, model, id_node, key), key):
        _fitted(file, spec, choice)


def _folder(store: Path, model: Mapping[str, Any], id_node: Mapping[str, Any], key: str) -> Path:
    return store / "classifiers" / f"imported-{model['name']}-{id_node['name']}-{key[:8]}"


def _spec(
    file: Path,
    model: Mapping[str, Any],
    id_node: Mapping[str, Any],
    classes: int | None,
    normalisation: Mapping[str, Sequence[float]] | None,
) -> dict[str, Any]:
    """All that determines the classifier's scores, but for what is chosen of the file; its folder's key is the hash."""
    with clear_io_errors("read the checkpoint", file, ""):
        digest = sha256_file(file)
    moments = normalisation or id_node["normalisation"]
    plain = without_default_head(model)
    return {
        "model": plain,
        **own_source(classes_in(plain)),
        "shape": [int(extent) for extent in id_node["shape"]],
        "classes": int(id_node["classes"] if classes is None else classes),
        "normalisation": {part: [float(value) for value in moments[part]] for part in ("mean", "std")},
        "imported_sha256": digest,
    }


def _write(final: Path, network: nn.Module, card: Mapping[str, Any]) -> None:
    if final.exists():  # the weights are the same bytes; what is known of them has changed
        save_classifier(final, network, card)
    else:
        with staged_folder(final) as folder:
            save_classifier(folder, network, card)


def _card(final: Path, key: str) -> dict[str, Any]:
    """The card of an earlier import of the same; empty if there is none, or it is damaged."""
    try:
        card = read_card(final)
    except (OSError, ValueError):
        return {}
    return card if card.get("key") == key else {}


def _said(card: Mapping[str, Any]) -> dict[str, Any]:
    """What an import's card says of the claim."""
    return {part: card.get("checkpoint", {}).get(part, nothing) for part, nothing in asdict(Claim()).items()}


def _is_done(card: Mapping[str, Any], test: ImageSet | None, claim: Claim) -> bool:
    """Whether the card is of a classifier that was measured on this very test set and held to this claim."""
    measured = test is None or (card.get("measured") or {}).get("fingerprint") == test.fingerprint
    return bool(card) and measured and claim.given().items() <= _said(card).items()


def _fitted(file: Path, spec: Mapping[str, Any], choice: Choice) -> tuple[nn.Module, Contents, dict[str, torch.Tensor]]:
    """The network with the file's weights, all that the file holds, and the tensors that are left out of it."""
    contents = read_checkpoint(file, choice.entry, spec["imported_sha256"])
    with torch.random.fork_rng(devices=[]):  # fresh weights are drawn only to be replaced
        network = build_network(spec["model"], spec["shape"], spec["classes"])
    try:
        state, ignored = choice.applied(contents.tensors)
        fitting = fit(state, network)
    except ArtifactError as error:
        raise ArtifactError(f"{file} as {spec['model']['name']}: {error.message}", error.hint) from error
    network.load_state_dict(fitting.state)
    return network, contents, {name: contents.tensors[name] for name in ignored} | fitting.left_out


def _classifier(
    file: Path, spec: Mapping[str, Any], choice: Choice, device: torch.device
) -> tuple[Classifier, Remarks]:
    network, contents, left_out = _fitted(file, spec, choice)
    moments = spec["normalisation"]
    remarks = remarks_on(file.name, contents, left_out, choice, moments)
    return Classifier(freeze(network).to(device), tuple(moments["mean"]), tuple(moments["std"])), remarks


def _provenance(file: Path, digest: str, known: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "recipe": "imported",
        "checkpoint": {"file": file.name, "sha256": digest, **known},
        "history": [],
        "trained_seconds": 0.0,
        "torch": torch.__version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _measured(classifier: Classifier, test: ImageSet | None, before: Mapping[str, Any]) -> dict[str, Any]:
    """The card's part on the accuracy: on the test images if there are any, else as an earlier import has it."""
    last = before.get("measured")
    known = {**({last["fingerprint"]: last["accuracy"]} if last else {}), **before.get("accuracies", {})}
    if test is not None and test.labels is not None:
        if test.fingerprint not in known:
            known[test.fingerprint] = accuracy(classifier, test)
        last = {
            "set": test.name,
            "variant": test.variant,
            "n": len(test),
            "fingerprint": test.fingerprint,
            "accuracy": known[test.fingerprint],
        }
    return {"id_accuracy": last and last["accuracy"], "measured": last, "accuracies": known}


def _differences(measured: Mapping[str, Any] | None, stated: float | None) -> list[str]:
    """Holds the accuracy to the stated one, in percent; a difference is logged, and gives a sentence."""
    if measured is None:
        _log.warning("imported without test images: normalisation and class order are not checked")
        return ["Imported weights whose accuracy was not measured."]
    percent, count = measured["accuracy"], measured["n"]
    chance = 1.96 * math.sqrt(max(percent * (100 - percent), 1.0) / count)
    found = (
        f"{percent:.2f} % correct on {titled(measured['set'], measured['variant'])} ({count} images, ± {chance:.1f})"
    )
    if stated is None or abs(percent - stated) <= _TOLERANCE:
        _log.info("imported weights: %s", found)
        return []
    hint = "look at normalisation, class order and the test set's variant"
    _log.warning("imported weights: %s, stated are %.2f %%; %s", found, stated, hint)
    return [f"Imported weights: {found}, stated are {stated:.2f} %."]
