"""Scores after steps on the input, batch after batch: gradients by torch, passes of stepped images by a backend."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ood_bench.data.imageset import Array
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.backends import Backend
from ood_bench.scoring.compiled import CompiledPass, title
from ood_bench.scoring.perturb import Objective, Steps, input_gradients
from ood_bench.scoring.quantities import LOGITS, Quantity
from ood_bench.scoring.taps import forward_to_all, reading

Reader = Callable[[Tensor], None]


class Stepping:
    """Takes steps on batches of an image set.

    Args:
        classifier: the network.
        steps: perturbations with this batch size.
        batch_size: images of a batch.
        images: number of images of the set.
        backend: chooses what runs the stepped images: the same for all batches of the set.
    """

    def __init__(
        self, classifier: Classifier, steps: Sequence[Steps], batch_size: int, images: int, backend: Backend
    ) -> None:
        self._classifier, self._steps, self._images, self._backend = classifier, steps, images, backend
        self._passes: Counter[Quantity] = Counter()
        self._losses: dict[Quantity, list[Objective]] = {}
        for one in steps:
            self._passes[one.perturbation.quantity] += one.passes
            self._losses.setdefault(one.perturbation.quantity, []).extend(one.losses)
        known = {quantity: backend.ready(classifier, [quantity], batch_size) for quantity in self._losses}
        self._compiled: dict[Quantity, CompiledPass | None] = {q: found for q, found in known.items() if found}

    def scores(self, x: Tensor, readers: Mapping[str, Reader], output: Reader | None) -> Iterator[Array]:
        """Scores ``[*shape, B]`` of a batch for each of the steps, after the clean images have been read.

        Args:
            x: normalised images ``[B, C, H, W]``.
            readers: what reads each inner tap of the clean images, in pieces.
            output: what reads their logits, if anything does.
        """
        clean, gradients = self._gradients(x, readers, output)
        for one in self._steps:
            quantity = one.perturbation.quantity
            mine = [gradients[quantity].pop(0) for _ in one.losses]
            yield one.scores(self._classifier, x, clean[quantity], mine, self._forward)

    def by(self, one: Steps) -> str:
        """The library that ran the stepped images, where it was not torch alone."""
        return title() if one.passes and self._compiled.get(one.perturbation.quantity) else ""

    def _gradients(
        self, x: Tensor, readers: Mapping[str, Reader], output: Reader | None
    ) -> tuple[dict[Quantity, Tensor], dict[Quantity, list[Tensor]]]:
        """Rows of the clean images, and the input's gradients; both of pieces of the batch, put together."""
        images = self._backend.images(self._classifier, x, gradients=any(self._losses.values()))
        rows: dict[Quantity, list[Tensor]] = {quantity: [] for quantity in self._losses}
        gradients: dict[Quantity, list[list[Tensor]]] = {quantity: [] for quantity in self._losses}
        for piece in torch.split(x, images):
            with reading(self._classifier, readers):
                found, slopes = input_gradients(self._classifier, piece, self._losses, also=[LOGITS] if output else [])
            if output:
                output(found[LOGITS])
            for quantity in self._losses:
                rows[quantity].append(found[quantity])
                gradients[quantity].append(slopes[quantity])
        return (
            {quantity: torch.cat(parts) for quantity, parts in rows.items()},
            {quantity: [torch.cat(one) for one in zip(*parts, strict=True)] for quantity, parts in gradients.items()},
        )

    def _forward(self, quantity: Quantity, x: Tensor) -> Tensor:
        """Rows of a quantity for stepped images; the first ones go through torch, too, and both have to agree."""
        if quantity not in self._compiled:
            rows = self._by_torch(quantity, x)
            images = self._images * self._passes[quantity]
            found = self._backend.convert(self._classifier, x, {quantity: rows.cpu().numpy()}, images)
            self._compiled[quantity] = found
            if found is None:
                return rows
        compiled = self._compiled[quantity]
        if compiled is None:
            return self._by_torch(quantity, x)
        return torch.cat([rows.clone() for _, rows in compiled(x)])

    def _by_torch(self, quantity: Quantity, x: Tensor) -> Tensor:
        pieces = torch.split(x, self._backend.images(self._classifier, x))
        values = (forward_to_all(self._classifier, piece, [quantity.tap])[quantity.tap] for piece in pieces)
        return torch.cat([quantity.reduction(value) for value in values])
