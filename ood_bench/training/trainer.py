"""The training loop: data resident on the device, a checkpoint every epoch, resumed to the same bits on CPU."""

import io
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ood_bench.errors import ArtifactError, TrainingError
from ood_bench.files import clear_io_errors, write_atomically
from ood_bench.models.classifier import Classifier, build_network, to_layout
from ood_bench.progress import Ticker, ticking
from ood_bench.training.augment import augmentations
from ood_bench.training.folds import split_known, taken
from ood_bench.training.objectives import Batch
from ood_bench.training.recipe import Autocast, OptimizerConfig, OptimizerName, learning_rate_factor
from ood_bench.training.selection import MspSelector
from ood_bench.training.spec import TrainingSpec
from ood_bench.training.streams import SecondStream

_log = logging.getLogger(__name__)
_CHECK_EVERY = 50


def _optimizer(config: OptimizerConfig, network: nn.Module) -> torch.optim.Optimizer:
    if config.name is OptimizerName.adadelta:
        return torch.optim.Adadelta(
            network.parameters(), lr=config.lr, rho=config.rho, eps=config.eps, weight_decay=config.weight_decay
        )
    return torch.optim.SGD(
        network.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )


@dataclass
class TrainingState:
    """What a checkpoint holds: enough to go on as if nothing had happened.

    ``best`` is the best epoch so far by the recipe's selection: its number (from 1), its value and its weights.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] | None = None

    def choose(self, value: float) -> None:
        """Keeps the present weights if ``value`` is strictly the best so far; the first epoch always counts as best."""
        if self.best is None or value > self.best["value"]:
            weights = {name: tensor.detach().clone() for name, tensor in self.network.state_dict().items()}
            self.best = {"epoch": self.epoch, "value": value, "network": weights}

    def save(self, path: Path, key: str) -> None:
        """Writes the checkpoint atomically."""
        buffer = io.BytesIO()
        torch.save(
            {
                "key": key,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "generator": self.generator.get_state(),
                "torch_rng": torch.get_rng_state(),
                "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
                "epoch": self.epoch,
                "seconds": self.seconds,
                "history": self.history,
                "best": self.best,
            },
            buffer,
        )
        write_atomically(path, buffer.getvalue())

    def restore(self, path: Path, key: str) -> None:
        """Reads a checkpoint back.

        Raises:
            ArtifactError: if it is truncated, damaged, or another classifier's.
        """
        with clear_io_errors("read the checkpoint", path):
            content = path.read_bytes()
        try:
            saved: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if saved["key"] != key:
                raise ValueError("it belongs to another classifier")  # noqa: TRY301 - one message for all damage
            self.network.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.generator.set_state(saved["generator"])
            torch.set_rng_state(saved["torch_rng"])
            if saved["cuda_rng"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(saved["cuda_rng"])
            self.epoch, self.seconds, self.history = saved["epoch"], saved["seconds"], saved["history"]
            self.best = saved.get("best")
        except Exception as error:  # a damaged file can fail in the unpickler in any way
            raise ArtifactError(
                f"checkpoint {path} is truncated or damaged ({error}): delete it to start again"
            ) from error


class Trainer:
    """Trains the classifier of one :class:`TrainingSpec`.

    Args:
        spec: what to train.
        device: where to train.
        initial: weights to start from, or none for fresh ones.
    """

    def __init__(self, spec: TrainingSpec, device: torch.device, initial: dict[str, Tensor] | None = None) -> None:
        self.spec, self.device = spec, device
        torch.manual_seed(spec.seed)
        network = build_network(spec.model, spec.data.shape, spec.classes)
        if initial is not None:
            network.load_state_dict(initial)
        layout = torch.channels_last if spec.recipe.channels_last else torch.contiguous_format
        network = to_layout(network.to(device), layout)
        self.state = TrainingState(
            network, _optimizer(spec.recipe.optimizer, network), torch.Generator().manual_seed(spec.seed)
        )
        self._forward = torch.compile(network) if spec.recipe.compile else network
        self._augment = augmentations(spec.recipe.augment)
        self._objective = spec.recipe.objective
        self._load(spec)
        moments = spec.normalisation
        self._normalise = Classifier(network, tuple(moments["mean"]), tuple(moments["std"])).normalise
        self._selector: MspSelector | None = None
        if spec.validation is not None:
            self._selector = MspSelector(spec.test, spec.validation, self._normalise)

    def _load(self, spec: TrainingSpec) -> None:
        """Puts the images of both streams on the device."""
        images, labels = spec.data.images, spec.data.labels
        second = None if spec.outliers is None else spec.outliers.images
        assert labels is not None  # noqa: S101 - refused by the specification
        if spec.known is None:
            images, labels = images.copy(), labels.copy()
        else:
            rows, labels, left_out = split_known(labels, spec.known)
            second = taken(images, left_out) if second is None else second
            images = taken(images, rows)
        self._images = torch.from_numpy(images).to(self.device)
        self._labels = torch.from_numpy(labels).to(self.device)
        self._second: SecondStream | None = None
        if self._objective.streams > 1 and second is not None:
            outliers = torch.from_numpy(second.copy()).to(self.device)
            recipe = spec.recipe
            self._second = SecondStream(outliers, recipe.outlier_batch_size, recipe.outlier_order, self.state.generator)

    def run(self, checkpoint: Path) -> TrainingState:
        """Trains to the last epoch, from ``checkpoint`` if it exists, writing it after every epoch.

        Returns:
            The finished state, network in training mode, with the weights that the recipe's selection keeps.

        Raises:
            TrainingError: if the loss is no longer finite.
            ArtifactError: if the checkpoint cannot be read or written.
        """
        state, recipe, key = self.state, self.spec.recipe, self.spec.key
        if checkpoint.exists():
            state.restore(checkpoint, key)
            _log.info("continuing %s from epoch %d of %d", self.spec.title, state.epoch, recipe.epochs)
        left = recipe.epochs - state.epoch
        what = f"training {self.spec.model['name']} on {self.spec.data.name}, seed {self.spec.seed}"
        with ticking(what, left * len(self._images), "images") as ticker:
            while state.epoch < recipe.epochs:
                start = time.monotonic()
                entry = self._epoch(ticker)
                state.epoch += 1
                if self._selector is not None:
                    entry["validation_auroc"] = 100 * self._selector(state.network)
                    state.choose(entry["validation_auroc"])
                state.seconds += time.monotonic() - start
                state.history.append(entry)
                state.save(checkpoint, key)
        if state.best is not None:
            state.network.load_state_dict(state.best["network"])
        state.network.train()
        return state

    def _epoch(self, ticker: Ticker) -> dict[str, float]:
        """One pass over the training set; returns mean loss and accuracy in percent."""
        state, recipe = self.state, self.spec.recipe
        state.network.train()
        if self._second is not None:
            self._second.restart()
        count = len(self._images)
        order = torch.randperm(count, generator=state.generator)
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        for step, index in enumerate(torch.split(order, recipe.batch_size)):
            progress = step * recipe.batch_size / count
            rate = recipe.optimizer.lr * learning_rate_factor(
                recipe.schedule, recipe.optimizer.lr, recipe.epochs, state.epoch, progress
            )
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            loss, hits = self._step(index.to(self.device))
            loss_sum += loss * len(index)
            correct += hits
            if step % _CHECK_EVERY == 0:
                self._refuse_infinite(loss_sum, rate)
            ticker.advance(len(index), f"epoch {state.epoch + 1}/{recipe.epochs}")
        # The last step's weights have had no loss yet.
        weights = torch.stack([value.detach().isfinite().all() for value in state.network.parameters()]).all()
        self._refuse_infinite(torch.where(weights, loss_sum, torch.inf), rate)
        return {"loss": loss_sum.item() / count, "train_accuracy": 100.0 * correct.item() / count}

    def _step(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """One update on the images of ``index``; returns the loss and the number of correct predictions."""
        state = self.state
        images, labels = self._images[index], self._labels[index]
        if self._second is not None:
            images = torch.cat([images, self._second.draw()])
        for augmentation in self._augment:
            images = augmentation(images, state.generator)
        x = self._normalise(images)
        if self.spec.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        loss, logits = self._objective(self._logits, Batch(x, labels))
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    def _logits(self, x: Tensor) -> Tensor:
        """Float32 logits of normalised images, in the recipe's precision."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.recipe.autocast is Autocast.bfloat16):
            logits: Tensor = self._forward(x)
        return logits.float()

    def _refuse_infinite(self, loss_sum: Tensor, rate: float) -> None:
        if not torch.isfinite(loss_sum):
            raise TrainingError(
                f"loss or weights of {self.spec.title} are not finite in epoch {self.state.epoch + 1}, at a learning "
                f"rate of {rate:g}: lower train.optimizer.lr, or set train.autocast=none; the last whole epoch is kept"
            )
