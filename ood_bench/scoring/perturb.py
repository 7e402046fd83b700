"""Input perturbation: gradients of objectives with respect to the input, and the steps that papers take."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ood_bench.data.imageset import Array
from ood_bench.errors import NotFiniteError
from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import Quantity
from ood_bench.scoring.taps import forward_to_all

Objective = Callable[[Tensor], Tensor]
Rule = Callable[[Tensor], Tensor]
Forward = Callable[[Quantity, Tensor], Tensor]
"""Rows ``[B, D]`` of a quantity for normalised images ``[B, C, H, W]``."""


@dataclass(frozen=True)
class Perturbation:
    """A family of steps ``x' = x + direction * magnitude * rule(gradient of a loss) / std``, then a score of x'.

    Attributes:
        quantity: what losses and scores look at, rows ``[B, D]``; the network runs no further than its tap.
        losses: each maps the rows to one number per image, ``[B]``.
        scores: one for each loss, maps the rows of the stepped images to one number per image, ``[B]``, or to several,
            ``[columns, B]``.
        rule: what is done to the gradient: :func:`sign`, :func:`sign_of_largest`, :func:`sign_of_smallest` or
            :func:`standardised`.
        direction: -1 to go down the loss, +1 to go along the processed gradient.
        batch_size: images that go through together; matters to rules that look at the whole batch.
        clip: whether pixels of x' are brought back to 0 to 1 (on the scale before the normalisation).
        columns: numbers per image that each score gives, where it gives more than one; else 0.
        compares: whether scores get the rows of the clean images too, as their second argument.
    """

    quantity: Quantity
    losses: Sequence[Objective]
    scores: Sequence[Callable[..., Tensor]]
    rule: Rule
    direction: float
    batch_size: int
    clip: bool = False
    columns: int = 0
    compares: bool = False


@dataclass(frozen=True)
class Steps:
    """A perturbation at several magnitudes, and what its scores are kept under.

    Attributes:
        name: readable: the method, and the tap if it has several.
        identity: JSON-able, everything that determines the scores but network, device, rows and magnitudes.
        perturbation: what is done.
        magnitudes: step lengths in raw [0, 1] pixels: the step on normalised images is divided by the ID std.
    """

    name: str
    identity: Mapping[str, Any]
    perturbation: Perturbation
    magnitudes: Sequence[float]

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of losses and of magnitudes, and of columns where a score gives several numbers."""
        columns = self.perturbation.columns
        return (len(self.perturbation.losses), len(self.magnitudes), *([columns] if columns else []))

    @property
    def losses(self) -> Sequence[Objective]:
        """The losses whose gradients are needed: none if every magnitude is 0."""
        return self.perturbation.losses if any(self.magnitudes) else ()

    @property
    def passes(self) -> int:
        """Forward passes of stepped images: one for each loss and magnitude above 0."""
        return len(self.losses) * sum(magnitude != 0 for magnitude in self.magnitudes)

    def scores(
        self, classifier: Classifier, x: Tensor, clean: Tensor, gradients: Sequence[Tensor], forward: Forward
    ) -> Array:
        """Scores of a batch, float64 ``[*shape, B]``, from :attr:`passes` forward passes.

        Args:
            classifier: the network.
            x: normalised images ``[B, C, H, W]``.
            clean: the rows of ``x``.
            gradients: one ``[B, C, H, W]`` for each of :attr:`losses`.
            forward: gives the rows of the stepped images.
        """
        step = self.perturbation
        found = np.empty((*self.shape, len(x)))
        for row, score in enumerate(step.scores):
            direction = step.direction * step.rule(gradients[row]) / classifier.channel_std() if self.losses else x
            for column, magnitude in enumerate(self.magnitudes):
                value = clean
                if magnitude != 0:
                    stepped = x + magnitude * direction
                    stepped = classifier.clipped(stepped) if step.clip else stepped
                    value = forward(step.quantity, stepped)
                both = (value, clean) if step.compares else (value,)
                found[row, column] = score(*both).cpu().numpy()
        return found


def input_gradients(
    classifier: Classifier, x: Tensor, losses: Mapping[Quantity, Sequence[Objective]], also: Collection[Quantity] = ()
) -> tuple[dict[Quantity, Tensor], dict[Quantity, list[Tensor]]]:
    """Gradients of losses of any quantities with respect to the input, all from one forward pass.

    Only the input's gradient is computed, none of the weights'.

    Args:
        classifier: the network, frozen.
        x: normalised images ``[B, C, H, W]``.
        losses: for each quantity, functions of its rows to one number per image, ``[B]``; their sum over the batch is
            derived.
        also: further quantities whose rows are wanted.

    Returns:
        Rows ``[B, D]`` of the quantities, and by quantity one gradient ``[B, C, H, W]`` for each loss.
    """
    left = sum(map(len, losses.values()))
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_(left > 0)
        wanted = dict.fromkeys([*losses, *also])
        values = forward_to_all(classifier, leaf, {quantity.tap for quantity in wanted})
        rows = {quantity: quantity.reduction(values[quantity.tap]) for quantity in wanted}
        gradients: dict[Quantity, list[Tensor]] = {quantity: [] for quantity in losses}
        for quantity, mine in losses.items():
            for loss in mine:
                left -= 1
                total = loss(rows[quantity]).sum()
                gradient = torch.autograd.grad(total, leaf, retain_graph=left > 0)[0]
                if not gradient.sum().isfinite():  # its sign would be one all the same
                    raise NotFiniteError(
                        f"the input's gradient of a loss at tap {quantity.tap} is NaN or infinite",
                        "the network's weights are damaged, or too large for float32",
                    )
                gradients[quantity].append(gradient)
    return {quantity: value.detach() for quantity, value in rows.items()}, gradients


def sign(gradient: Tensor) -> Tensor:
    """+1 where the gradient is zero or above, -1 elsewhere: the convention of ODIN's code, unlike ``torch.sign``."""
    return torch.copysign(torch.ones((), device=gradient.device), gradient + 0.0)  # the sum makes -0 positive


def sign_of_largest(gradient: Tensor) -> Tensor:
    """:func:`sign` at each image's one element with the largest absolute gradient, 0 elsewhere: i-ODIN's rule."""
    place = gradient.abs().flatten(1).argmax(dim=1, keepdim=True)
    signs = sign(gradient).flatten(1)
    return torch.zeros_like(signs).scatter(1, place, signs.gather(1, place)).view_as(gradient)


def sign_of_smallest(gradient: Tensor, share: float) -> Tensor:
    """-1, 0 or +1 at the share of each image's elements with the smallest absolute gradient: AdaSCALE's rule.

    All other elements are 0, and so are those whose gradient is 0.

    Args:
        gradient: ``[B, ...]``.
        share: of the elements of one image, rounded down to a whole number, but at least one.
    """
    rows = gradient.flatten(1)
    count = max(1, int(rows.shape[1] * share))
    places = rows.abs().topk(count, dim=1, largest=False).indices
    return torch.zeros_like(rows).scatter(1, places, rows.gather(1, places).sign()).view_as(gradient)


def standardised(gradient: Tensor) -> Tensor:
    """Gradient less its mean, divided by its (n - 1) standard deviation, both over the *whole batch*: FSSD's rule."""
    return (gradient - gradient.mean()) / gradient.std()
