"""ELOC: an ensemble of classifiers, each of which has learned to be unsure of some of the classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch.nn.functional as F
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from ood_bench.errors import ConfigError
from ood_bench.methods.base import Array, Networks, Scorer, Setting, Steps, View
from ood_bench.methods.grid import SteppingDetector, axes, picked
from ood_bench.methods.ranges import Magnitudes, Seed32, Temperatures
from ood_bench.papers.methods import Source
from ood_bench.scoring.perturb import Perturbation, sign
from ood_bench.scoring.quantities import LOGITS
from ood_bench.training.folds import known_classes
from ood_bench.training.objectives import entropy
from ood_bench.training.recipe import changed
from ood_bench.training.spec import TrainingSpec

_CHECKPOINT = "*_fold_{}_*_checkpoint/model_best.pth.tar"


@dataclass
class Eloc(SteppingDetector):
    """Sum over the members of maximum softmax probability less entropy, at temperature T after a step on the input.

    Member k leaves out the k-th group of classes; images of those are what it learns to be unsure of. Each member steps
    along its own gradient, ``x' = x - epsilon * sign(gradient) / std`` with sign(0) = +1, and its softmax and entropy
    (nats) go over its own outputs only; float64 throughout, because at T = 1000 all scores agree in their first digits.

    Folds, training and ``perturb_loss=ce`` follow an unofficial implementation, as no official code is known. The
    default magnitude is the paper's.

    Attributes:
        folds: number of groups of classes, and of members.
        split_seed: legacy seed of the permutation of the classes.
        magnitudes: candidates for epsilon, in raw [0, 1] pixels.
        temperatures: candidates for T.
        perturb_loss: what the step goes down: ``ce``, the cross entropy to the predicted class; or ``entropy``, as the
            paper has it.
        train: changes to the run's recipe, as in ``conf/train``; a whole recipe by ``train@method.eloc.train=NAME``.
    """

    folds: Annotated[int, Field(ge=2)] = 5
    split_seed: Seed32 = 3
    magnitudes: Magnitudes = field(default_factory=lambda: [0.002])
    temperatures: Temperatures = field(default_factory=lambda: [1000.0])
    perturb_loss: Literal["ce", "entropy"] = "ce"
    train: dict[str, Any] = field(default_factory=dict)

    source = Source(
        title="Out-of-Distribution Detection Using an Ensemble of Self Supervised Leave-out Classifiers",
        authors="Vyas et al.",
        venue="ECCV",
        year=2018,
        arxiv="1809.03576",
    )
    needs = ("networks of its own", "input gradients")

    tunes_by_id = True

    def __post_init__(self) -> None:
        self._accuracy: float | None = None

    @property
    def variant(self) -> str:
        """Names the gradient where it is not that of cross entropy."""
        return "entropy gradient" if self.perturb_loss == "entropy" else ""

    def networks(self, networks: Networks) -> list[TrainingSpec]:
        """One classifier for each group that is left out."""
        base = networks.base
        recipe = changed(base.recipe, self.train)
        selects = recipe.selection == "msp_auroc"
        if selects and networks.validation is None and base.checkpoint is None:
            raise ConfigError(
                "method eloc: its recipe chooses the epoch on validation images: name some, as in "
                "ood@method.eloc.validation=isun, or keep the last epoch by method.eloc.train.selection=last"
            )
        if base.checkpoint is not None:
            recipe, selects = replace(recipe, selection="last"), False
        return [
            replace(
                base,
                recipe=replace(recipe, name=f"{recipe.name}_fold{number}"),
                classes=len(known),
                known=known,
                validation=networks.validation if selects else None,
                checkpoint=None if base.checkpoint is None else _fold_checkpoint(base.checkpoint, number),
            )
            for number, known in enumerate(known_classes(base.classes, self.folds, self.split_seed), start=1)
        ]

    def fit(self, scorer: Scorer, random: np.random.RandomState) -> None:
        """Learns nothing; measures the ensemble's accuracy on the ID test images."""
        if scorer.test is not None and scorer.test.labels is not None:
            predicted = self.probabilities(scorer, View(scorer.test)).argmax(axis=1)
            self._accuracy = 100.0 * float(np.mean(predicted == scorer.test.labels))

    def findings(self) -> dict[str, Any]:
        """Accuracy of the whole ensemble, in percent."""
        return {} if self._accuracy is None else {"ensemble_accuracy": self._accuracy}

    def probabilities(self, scorer: Scorer, view: View) -> Array:
        """Members' softmax at T = 1 without a step, averaged over all of them, with 0 at left-out classes: ``[n, C]``.

        Whether the paper classifies at T = 1 on clean images is not known.
        """
        whole = np.zeros((len(view), 0))
        for number in range(len(scorer.classifiers)):
            member = softmax(scorer.rows(view, LOGITS, number), axis=1)
            classes = round(member.shape[1] * self.folds / (self.folds - 1))
            whole = whole if number else np.zeros((len(view), classes))
            whole[:, known_classes(classes, self.folds, self.split_seed)[number]] += member / self.folds
        return whole

    def raw_scores(self, scorer: Scorer, view: View, settings: Sequence[Setting]) -> Array:
        """The sum over members, ``[len(settings), n, 1]``; each member costs what ODIN costs."""
        temperatures, magnitudes = axes(settings)
        members = [
            scorer.stepped(view, [self.member_steps(scorer, number, temperatures, magnitudes)], number)[0]
            for number in range(len(scorer.classifiers))
        ]
        return picked(np.sum(members, axis=0), settings)[:, :, None]

    def member_steps(self, scorer: Scorer, number: int, temperatures: list[float], magnitudes: list[float]) -> Steps:
        """One member's steps along its own gradient, and its score after them."""
        classifier = scorer.classifiers[number]
        loss = cross_entropy_to_predicted if self.perturb_loss == "ce" else entropy
        step = Perturbation(
            quantity=LOGITS,
            losses=[_at(temperature, loss) for temperature in temperatures],
            scores=[_at(temperature, maximum_less_entropy) for temperature in temperatures],
            rule=sign,
            direction=-1.0,
            batch_size=scorer.engine.batch_size(classifier),
        )
        identity = {
            "method": self.kept_as("eloc"),
            "temperatures": temperatures,
            "perturb_loss": self.perturb_loss,
        }
        return Steps(f"eloc member {number + 1}", identity, step, magnitudes)


def _fold_checkpoint(folder: Path, number: int) -> Path:
    """The published checkpoint of fold ``number``, counted from 1, in the folder that its archive unpacks to."""
    pattern = _CHECKPOINT.format(number)
    found = sorted(folder.rglob(pattern)) if folder.is_dir() else []
    if len(found) != 1:
        raise ConfigError(
            f"method eloc: checkpoint={folder} must be the folder of one unpacked archive of all folds; it holds "
            f"{len(found)} files {pattern}"
        )
    return found[0]


def _at(temperature: float, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function of float64 logits, at a temperature."""
    return lambda logits: function(logits.double() / temperature)


def cross_entropy_to_predicted(logits: Tensor) -> Tensor:
    """Cross entropy ``[B]`` of logits ``[B, K]`` to the class that they predict."""
    return F.cross_entropy(logits, logits.argmax(dim=1), reduction="none")


def maximum_less_entropy(logits: Tensor) -> Tensor:
    """Maximum softmax probability less the entropy, ``[B]``."""
    return logits.softmax(dim=1).amax(dim=1) - entropy(logits)
