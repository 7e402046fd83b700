"""Input perturbation: gradients of an objective with respect to the input, and the steps that papers take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ood_bench.models.classifier import Classifier
from ood_bench.progress import ticking
from ood_bench.scoring.engine import Array, View
from ood_bench.scoring.taps import forward_to, full_precision

Objective = Callable[[Tensor], Tensor]
Rule = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Perturbation:
    """A family of steps ``x' = x + direction * magnitude * rule(gradient of a loss) / std``, then a score of x'.

    Attributes:
        tap: tap that losses and scores look at; the network runs no further.
        losses: each maps the tap to one number per image, ``[B]``.
        scores: one for each loss, maps the tap on the stepped images to one number per image, ``[B]``.
        rule: what is done to the gradient: :func:`sign` or :func:`standardised`.
        direction: -1 to go down the loss, +1 to go along the processed gradient.
        batch_size: images that go through together; matters to rules that look at the whole batch.
        clip: whether pixels of x' are brought back to 0 to 1 (on the scale before the normalisation).
    """

    tap: str
    losses: Sequence[Objective]
    scores: Sequence[Objective]
    rule: Rule
    direction: float
    batch_size: int
    clip: bool = False


def perturbed_scores(
    classifier: Classifier, view: View, step: Perturbation, magnitudes: Sequence[float], what: str
) -> Array:
    """Scores of every loss at every magnitude, sharing one forward pass and one gradient per loss.

    Costs one forward pass, one input gradient per loss, and one forward pass per loss and non-zero magnitude.

    Args:
        classifier: the network.
        view: the images.
        step: what to do.
        magnitudes: step lengths in raw [0, 1] pixels: the step on normalised images is divided by the ID std.
        what: for the progress bar.

    Returns:
        float64 ``[losses, magnitudes, n]``.
    """
    scores = np.empty((len(step.losses), len(magnitudes), len(view)))
    done = 0
    with ticking(what, len(view), "images") as ticker, full_precision(), torch.no_grad():
        for batch in view.batches(step.batch_size):
            x = classifier.normalise(batch)
            scores[:, :, done : done + len(x)] = _batch_scores(classifier, x, step, magnitudes)
            done += len(x)
            ticker.advance(len(x))
    return scores


def _batch_scores(classifier: Classifier, x: Tensor, step: Perturbation, magnitudes: Sequence[float]) -> Array:
    if any(magnitudes):
        clean, gradients = input_gradients(classifier, x, step.tap, step.losses)
    else:
        clean, gradients = forward_to(classifier, x, step.tap), [x] * len(step.losses)
    scores = np.empty((len(step.losses), len(magnitudes), len(x)))
    for row, (gradient, score) in enumerate(zip(gradients, step.scores, strict=True)):
        direction = step.direction * step.rule(gradient) / classifier.channel_std() if any(magnitudes) else x
        for column, magnitude in enumerate(magnitudes):
            if magnitude != 0:
                stepped = x + magnitude * direction
                value = forward_to(classifier, classifier.clipped(stepped) if step.clip else stepped, step.tap)
            scores[row, column] = score(value if magnitude else clean).cpu().numpy()
    return scores


def input_gradients(
    classifier: Classifier, x: Tensor, tap: str, objectives: Sequence[Objective]
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of several objectives of one tap with respect to the input, from one forward pass.

    Only the input's gradient is computed, none of the weights'.

    Args:
        classifier: the network, frozen.
        x: normalised images ``[B, C, H, W]``.
        tap: name of the tap that the objectives look at.
        objectives: each maps the tap's value to one number per image, ``[B]``; their sum over the batch is derived.

    Returns:
        The tap's value on the clean images, and one gradient ``[B, C, H, W]`` per objective.
    """
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        value = forward_to(classifier, leaf, tap)
        last = len(objectives) - 1
        gradients = [
            torch.autograd.grad(objective(value).sum(), leaf, retain_graph=number < last)[0]
            for number, objective in enumerate(objectives)
        ]
    return value.detach(), gradients


def sign(gradient: Tensor) -> Tensor:
    """+1 where the gradient is zero or above, -1 elsewhere: the convention of ODIN's code, unlike ``torch.sign``."""
    return torch.where(gradient >= 0, 1.0, -1.0)


def standardised(gradient: Tensor) -> Tensor:
    """Gradient less its mean, divided by its (n - 1) standard deviation, both over the *whole batch*: FSSD's rule."""
    return (gradient - gradient.mean()) / gradient.std()
