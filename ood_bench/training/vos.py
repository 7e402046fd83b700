"""Virtual outlier synthesis: images are told from unlikely features of each class's Gaussian by their energies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ood_bench.errors import ConfigError
from ood_bench.models.vos import VOS, VosHead, vos_head
from ood_bench.training.objectives import Batch, Forward, Objective

_RIDGE = 1e-4


class FeatureQueue(nn.Module):
    """The last features of each class; a part of the network while it trains, so that checkpoints hold it.

    Args:
        like: makes its buffers where and as this tensor is.
        classes: K.
        length: features of each class, N.
        features: D.
    """

    rows: Tensor
    taken: Tensor

    def __init__(self, like: Tensor, classes: int, length: int, features: int) -> None:
        super().__init__()
        self.register_buffer("rows", like.new_zeros(classes, length, features))
        self.register_buffer("taken", torch.zeros(classes, dtype=torch.int64, device=like.device))

    def full(self) -> bool:
        """Whether every class has all its features."""
        return bool((self.taken >= self.rows.shape[1]).all())

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Takes features ``[B, D]``: the last ones take the place of the oldest.

        Until all classes are full, a class that is full takes none, as in the authors' code.
        """
        length = self.rows.shape[1]
        among = F.one_hot(labels, len(self.taken))
        counts = among.sum(dim=0)
        number = (among.cumsum(dim=0) * among).sum(dim=1) - 1  # how many of the same class stand before
        place = self.taken[labels] + number
        if self.full():
            kept, taken = number >= (counts - length)[labels], counts  # of more than fit, the last
        else:
            kept, taken = place < length, torch.minimum(counts, length - self.taken)
        self.rows[labels[kept], place[kept] % length] = features[kept].to(self.rows.dtype)
        self.taken += taken


@dataclass
class Vos(Objective):
    """Cross entropy, plus ``weight`` times the uncertainty loss of the energies of images and of virtual outliers.

    The features of each class that the last layer got last, ``queue`` of them, give a Gaussian with its own mean and a
    covariance that all share, plus 1e-4 on the diagonal. Of ``candidates`` draws from each Gaussian those ``select``
    least likely are virtual outliers, and the last layer gives their logits. A logistic regression of the weighted
    energy, learned along with the energy's weights, tells images from outliers; its mean cross entropy is the
    uncertainty loss. It begins with epoch ``start_epoch``, and not before the queues are full.

    Source: Du et al., "VOS: Learning What You Don't Know by Virtual Outlier Synthesis", ICLR 2022, arXiv 2202.01197,
    and its code for CIFAR (train_virtual.py), whose constants are the defaults. The least likely draws are found by the
    lengths of the standard normal draws they are made from. OpenOOD's trainer draws new weights of the energy at each
    step and takes no gradient of energies, so that its uncertainty loss does not reach the network.

    Attributes:
        weight: weight of the uncertainty loss.
        start_epoch: number of epochs without it.
        queue: features of each class.
        candidates: draws from each class's Gaussian.
        select: how many of them are taken.
    """

    weight: float = 0.1
    start_epoch: int = 40
    queue: int = 1000
    candidates: int = 10_000
    select: int = 1

    head: ClassVar[str | None] = VOS

    def __post_init__(self) -> None:
        if not self.weight >= 0 or self.start_epoch < 0 or self.queue < 2:
            raise ConfigError(
                f"train.loss.options of vos: weight is {self.weight}, start_epoch is {self.start_epoch} and queue is "
                f"{self.queue}",
                hint="give a weight and an epoch of 0 or more, and 2 or more features a class",
            )
        if not 1 <= self.select <= self.candidates:
            raise ConfigError(
                f"train.loss.options of vos: select is {self.select} of {self.candidates} candidates",
                hint="select 1 or more, and at most all",
            )

    def check(self, epochs: int, images: npt.NDArray[np.int64]) -> None:
        """Refuses a training that ends before the uncertainty loss begins."""
        if self.start_epoch >= epochs or self.queue >= epochs * images.min():
            raise ConfigError(
                "loss vos would end as plain cross entropy: its uncertainty loss begins after epoch "
                f"{self.start_epoch} and {self.queue} images of each class, and the recipe has {epochs} epochs of "
                f"{images.min()} images of the smallest class",
                hint="set start_epoch and queue of the loss's options lower, or train.epochs higher",
            )

    def prepare(self, network: nn.Module) -> Callable[[], None]:
        """Adds the queue to the network while it trains.

        Raises:
            ConfigError: if the network has another head.
        """
        self._head = vos_head(network)
        layer = self._head.classes
        self._head.queue = FeatureQueue(layer.weight.detach(), layer.out_features, self.queue, layer.in_features)

        def keep() -> None:
            del self._head.queue

        return keep

    def __call__(self, forward: Forward, batch: Batch) -> tuple[Tensor, Tensor]:
        """See the base class; ``forward`` gives logits and features side by side."""
        head, both = self._head, forward(batch.images)
        queue: FeatureQueue = head.queue  # type: ignore[assignment]
        classes = head.classes.out_features
        logits, features = both[:, :classes], both[:, classes:].detach()
        loss = F.cross_entropy(logits, batch.labels)
        begun = batch.epoch >= self.start_epoch and queue.full()
        queue.add(features, batch.labels)
        if begun:
            loss = loss + self.weight * self._uncertainty(head, logits, self.outliers(queue.rows))
        return loss, logits

    @staticmethod
    def _uncertainty(head: VosHead, logits: Tensor, outliers: Tensor) -> Tensor:
        """Mean cross entropy of telling images by their logits ``[B, K]`` from outliers' features ``[M, D]``."""
        energies = torch.cat([head.energy(logits), head.energy(head.classes(outliers))])
        truth = torch.cat([torch.ones(len(logits)), torch.zeros(len(outliers))]).to(energies.device, torch.int64)
        return F.cross_entropy(head.logistic(energies[:, None]), truth)

    @torch.no_grad()
    def outliers(self, rows: Tensor) -> Tensor:
        """Virtual outliers ``[K * select, D]`` of features ``[K, N, D]``, class by class, the least likely first."""
        classes, length, features = rows.shape
        means = rows.mean(dim=1)
        centred = (rows - means[:, None]).flatten(0, 1)
        covariance = centred.T @ centred / (classes * length) + _RIDGE * torch.eye(features).to(rows)
        root = torch.linalg.cholesky(covariance)
        found = []
        for mean in means:
            draws = torch.randn(self.candidates, features, dtype=rows.dtype, device=rows.device)
            unlikely = draws.square().sum(dim=1).topk(self.select).indices
            found.append(mean + draws[unlikely] @ root.T)
        return torch.cat(found)
