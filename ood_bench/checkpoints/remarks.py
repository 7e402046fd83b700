"""What there is to say about an import: which part of the file it took, and what it left."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ood_bench.checkpoints.choice import Choice
from ood_bench.checkpoints.entries import Contents
from ood_bench.utils.printable import listed

_log = logging.getLogger(__name__)
_CLOSE = 1e-3  # published constants are rounded to three or four digits


@dataclass(frozen=True)
class Remarks:
    """Sentences for the log, for the classifier's card, and for its records.

    Attributes:
        entry: keys that lead to the network in the file, joined by dots.
        notes: what was chosen of the file and what was left out; empty for a file that is one network.
        deviations: what may make the network another than the published one.
    """

    entry: str
    notes: list[str]
    deviations: list[str]


def remarks_on(
    file: str,
    contents: Contents,
    left_out: Mapping[str, Tensor],
    choice: Choice,
    normalisation: Mapping[str, Sequence[float]],
) -> Remarks:
    """Logs which part of a file was read, and gives what is worth to be kept of it.

    Args:
        file: the file's name.
        contents: the network that was read.
        left_out: tensors that the network does not have, by their names in the file.
        choice: what the user chose.
        normalisation: ``mean`` and ``std`` that the network will be given images with.
    """
    entry = f"entry {contents.entry}" if contents.entry else "the whole file"
    _log.info("%s: read %s, %d tensors", file, entry, len(contents.tensors))
    notes = []
    others = listed(contents.others)
    if others or choice.entry:
        notes.append(f"Weights are {entry} of {file}{others and f', which also holds {others}'}.")
    if others and choice.entry is None:
        _log.warning("%s also holds %s: choose by --entry NAME (in a run checkpoint_entry=NAME)", file, others)
    if left_out:
        notes.append(f"Left out of the weights' file: {listed(left_out)}.")
        _log.warning("%s: left out %s", file, listed(left_out))
    if choice.rename:
        pairs = listed(f"{old} to {new or 'nothing'}" for old, new in choice.rename)
        notes.append(f"Renamed in the weights' file: {pairs}.")
    deviations = _other_normalisation(left_out, normalisation)
    for sentence in deviations:
        _log.warning("%s: %s", file, sentence)
    return Remarks(contents.entry, notes, deviations)


def _other_normalisation(left_out: Mapping[str, Tensor], normalisation: Mapping[str, Sequence[float]]) -> list[str]:
    """A sentence if the file's own normalisation (RobustBench's ``mu`` and ``sigma``) is not the one that is used."""
    wrong = []
    for name, value in left_out.items():
        moment = {"mu": "mean", "sigma": "std"}.get(name.rsplit(".", 1)[-1])
        if moment is None:
            continue
        used, found = list(normalisation[moment]), value.flatten()[:9].tolist()
        if len(used) != len(found) or any(abs(a - b) > _CLOSE for a, b in zip(used, found, strict=True)):
            shown = ", ".join(f"{one:.4g}" for one in found)
            wrong.append(f"{name} is {shown}, but {moment} is {', '.join(f'{one:.4g}' for one in used)}")
    return [f"The weights' file has another normalisation than is used: {'; '.join(wrong)}."] if wrong else []
