"""One pass over some images for all methods: reduced taps, and scores after steps on the input."""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ood_bench.data.imageset import Array, Rows32
from ood_bench.data.views import View
from ood_bench.errors import ArtifactError, NotFiniteError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.banks import PartialScores
from ood_bench.scoring.compiled import CompiledPass, title
from ood_bench.scoring.perturb import Steps
from ood_bench.scoring.quantities import OUTPUT, Quantity
from ood_bench.scoring.stepping import Stepping
from ood_bench.scoring.taps import full_precision, reading
from ood_bench.utils.progress import ticking

_PIECE_BYTES = 1 << 19


@dataclass(frozen=True)
class Passed:
    """What a pass leaves behind.

    Attributes:
        rows: ``[n, D]`` of each quantity.
        scores: ``[*shape, n]`` of each of the steps.
        by: the library that gave the rows; empty for torch.
        stepped_by: the library that ran the stepped images of each of the steps; empty for torch.
    """

    rows: dict[Quantity, Rows32]
    scores: list[Array]
    by: str
    stepped_by: list[str]


def run_pass(
    classifier: Classifier,
    view: View,
    batch_size: int,
    *,
    quantities: Sequence[Quantity],
    steps: Sequence[Steps],
    partial: PartialScores | None = None,
    backend: Backend | None = None,
) -> Passed:
    """Runs the network over a view once for all of ``quantities`` and for the clean images of all of ``steps``.

    Costs one forward pass, one input gradient for each loss of the steps, and one forward pass for each loss and
    non-zero magnitude. Without steps, nothing is recorded for gradients.

    Args:
        classifier: the network.
        view: the images.
        batch_size: images that go through together.
        quantities: what the clean pass leaves behind.
        steps: perturbations with this batch size.
        partial: where a pass without quantities saves what it has done, and finds what an earlier one had done.
        backend: what may run passes without gradients, once the first batch agrees with torch; torch if none.
    """
    rows = _Rows(classifier, view, quantities)
    scores = [np.empty((*one.shape, len(view))) for one in steps]
    backend = backend or Backend()
    faster = backend.ready(classifier, () if steps else quantities, batch_size)
    stepping = Stepping(classifier, steps, batch_size, len(view), backend) if steps else None
    done = partial.load(scores) if partial else 0
    with (
        ticking(_title(view, quantities, steps), len(view) - done, "images") as ticker,
        full_precision(),
        torch.no_grad() if steps else torch.inference_mode(),
    ):
        try:
            for batch in view.after(done).batches(batch_size):
                x = classifier.normalise(batch)
                if stepping is not None:
                    found = stepping.scores(x, rows.readers, rows.read_output if rows.wanted else None)
                    for one, array, part in zip(steps, scores, found, strict=True):
                        refuse_not_finite(classifier, view, f"after the steps of {one.name}", part)
                        array[..., done : done + len(x)] = part
                elif faster is not None:
                    rows.add_all(faster(x))
                else:
                    _read_by_torch(classifier, x, rows, backend)
                    faster = _compiled(classifier, x, rows, backend, len(view)) if done == 0 else None
                done += len(x)
                if partial:
                    partial.save(scores, done)
                ticker.advance(len(x))
        except BaseException:
            with contextlib.suppress(ArtifactError):  # the error that ended the pass is the one to report
                if partial:
                    partial.save(scores, done, now=True)
            raise
    return Passed(
        {quantity: rows.arrays[quantity] for quantity in quantities},
        scores,
        by="" if faster is None else title(),
        stepped_by=[stepping.by(one) for one in steps] if stepping else [],
    )


def _read_by_torch(classifier: Classifier, x: Tensor, rows: "_Rows", backend: Backend) -> None:
    """Leaves the rows of a normalised batch ``[B, C, H, W]`` behind."""
    for piece in torch.split(x, backend.images(classifier, x)):
        with reading(classifier, rows.readers):
            rows.read(OUTPUT, classifier.scoring_network(piece))


def _compiled(classifier: Classifier, x: Tensor, rows: "_Rows", backend: Backend, images: int) -> CompiledPass | None:
    """What runs the batches after the first one, ``x``, and that one anew; none if torch goes on.

    Without the latter, a set's rows would depend on which set of a run came first.
    """
    first = {quantity: array[: len(x)] for quantity, array in rows.arrays.items()}
    found = backend.convert(classifier, x, first, images)
    if found is not None:
        rows.start_again()
        rows.add_all(found(x))
    return found


def _title(view: View, quantities: Sequence[Quantity], steps: Sequence[Steps]) -> str:
    doing = "scoring" if quantities else ", ".join(dict.fromkeys(one.name for one in steps)) + " on"
    return f"{doing} {view.images.title}"


class _Rows:
    """Collects the rows of quantities, batch after batch.

    Rows go into arrays that are made beforehand: many small results that live as long as the pass, between the
    network's large and short-lived maps, would fragment the heap to gigabytes.

    Attributes:
        wanted: whether there is any quantity to collect.
        arrays: rows ``[n, D]`` of each quantity, filled from the top down.
        readers: what reads each inner tap.
    """

    def __init__(self, classifier: Classifier, view: View, quantities: Sequence[Quantity]) -> None:
        self.wanted, self._classifier, self._view = bool(quantities), classifier, view
        self._done = dict.fromkeys(quantities, 0)
        self.arrays: dict[Quantity, Rows32] = {}
        self.readers: dict[str, Callable[[Tensor], None]] = {
            tap: lambda value, tap=tap: self.read(tap, value)  # type: ignore[misc]
            for tap in {quantity.tap for quantity in quantities} - {OUTPUT}
        }

    def read(self, tap: str, value: Tensor) -> None:
        """Reduces one batch of a tap."""
        mine = [quantity for quantity in self._done if quantity.tap == tap]
        for piece in _pieces(value.detach()) if mine else ():
            for quantity in mine:
                self._add(quantity, quantity.reduction(piece))

    def read_output(self, value: Tensor) -> None:
        """Reduces one batch of the network's output."""
        self.read(OUTPUT, value)

    def start_again(self) -> None:
        """Forgets the rows so far."""
        self._done = dict.fromkeys(self._done, 0)

    def add_all(self, pairs: Iterable[tuple[Quantity, Tensor]]) -> None:
        """Takes rows ``[b, D]`` of quantities as they come."""
        for quantity, rows in pairs:
            self._add(quantity, rows)

    def _add(self, quantity: Quantity, rows: Tensor) -> None:
        start, width = self._done[quantity], rows.shape[1]
        if start == 0:
            self.arrays[quantity] = np.empty((len(self._view), width), dtype=np.float32)
        self._done[quantity] = start + len(rows)
        values = self.arrays[quantity][start : start + len(rows)]
        values[:] = rows.float().cpu().numpy()
        refuse_not_finite(self._classifier, self._view, f"at {_described(quantity.tap)}", values)


def refuse_not_finite(classifier: Classifier, view: View, where: str, values: npt.NDArray[Any]) -> None:
    """Raises :class:`NotFiniteError` if numbers of some images are NaN or infinite.

    Args:
        classifier: the network that gave them.
        view: the images, for the message.
        where: what gave them, for the message.
        values: an array of any shape.
    """
    if not np.isfinite(values).all():
        model = classifier.card.get("spec", {}).get("model", {}).get("name", "the network")
        raise NotFiniteError(
            f"{model} gives NaN or infinity {where} for images of {view.images.title}",
            "its weights are damaged, or too large for float32: train or import the classifier again",
        )


def _described(tap: str) -> str:
    return "its output" if tap == OUTPUT else f"tap {tap}"


def _pieces(value: Tensor) -> Sequence[Tensor]:
    """A tap in pieces that stay in a processor's cache while all reductions read them; on a GPU in one piece."""
    if value.is_cuda:
        return (value,)
    per_image = value.element_size() * value[0].numel()
    return torch.split(value, max(1, _PIECE_BYTES // per_image))
