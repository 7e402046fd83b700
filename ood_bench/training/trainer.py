"""The training loop: data resident on the device, a checkpoint every epoch, resumed to the same bits on CPU."""

import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ood_bench.budget import reserve, time_for
from ood_bench.errors import ArtifactError, TrainingError
from ood_bench.files import clear_io_errors, write_atomically
from ood_bench.models.classifier import Classifier, build_network, to_layout
from ood_bench.progress import Ticker, ticking
from ood_bench.training.augment import augmentations
from ood_bench.training.epoch import Step, epoch_steps
from ood_bench.training.losses import cross_entropy, outlier_exposure
from ood_bench.training.optim import build_optimizer
from ood_bench.training.recipe import Autocast, CompileMode, learning_rate_factor
from ood_bench.training.spec import TrainingSpec
from ood_bench.training.speed import tuned_convolutions

_log = logging.getLogger(__name__)
_CHECK_EVERY = 50
_SAVE_SECONDS = 15.0


def _compiled(network: nn.Module, mode: CompileMode) -> Callable[[Tensor], Tensor]:
    compiled: Callable[[Tensor], Tensor] = torch.compile(network, mode=mode.value, dynamic=False)
    return compiled


def _last(times: list[float]) -> float:
    return times[-1] if times else 0.0


@dataclass
class TrainingState:
    """What a checkpoint holds: enough to go on as if nothing had happened; ``times`` are the epochs' seconds."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

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
                "times": self.times,
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
            self.times = saved.get("times", [])  # checkpoints of an earlier version have none
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
            network, build_optimizer(spec.recipe.optimizer, network), torch.Generator().manual_seed(spec.seed)
        )
        self._compiled = _compiled(network, spec.recipe.compile_mode) if spec.recipe.compile else network
        self._augment = augmentations(spec.recipe.augment)
        self._images = torch.from_numpy(spec.data.images.copy()).to(device)
        self._labels = torch.from_numpy(spec.data.labels.copy()).to(device)  # type: ignore[union-attr]
        self._outliers = None if spec.outliers is None else torch.from_numpy(spec.outliers.images.copy()).to(device)
        moments = spec.normalisation
        self._normalise = Classifier(network, tuple(moments["mean"]), tuple(moments["std"])).normalise

    def run(self, checkpoint: Path) -> TrainingState:
        """Trains to the last epoch, from ``checkpoint`` if it exists.

        It is written after every epoch; on a GPU, every 15 seconds and at the end.

        Returns:
            The finished state, network in training mode.

        Raises:
            TrainingError: if the loss is no longer finite.
            ArtifactError: if the checkpoint cannot be read or written.
            OutOfTime: if a time limit does not allow another epoch.
        """
        state, recipe, key = self.state, self.spec.recipe, self.spec.key
        if checkpoint.exists():
            state.restore(checkpoint, key)
            _log.info("continuing %s from epoch %d of %d", self.spec.title, state.epoch, recipe.epochs)
        left = recipe.epochs - state.epoch
        what = f"training {self.spec.model['name']} on {self.spec.data.name}, seed {self.spec.seed}"
        saved = 0.0
        with ticking(what, left * len(self.spec.data), "images") as ticker, tuned_convolutions(self.device):
            while state.epoch < recipe.epochs:
                reserve(_last(state.times), f"epoch {state.epoch + 1} of {self.spec.title}")
                start = time.monotonic()
                entry = self._epoch(ticker)
                state.epoch += 1
                state.times.append(time.monotonic() - start)
                state.seconds += state.times[-1]
                state.history.append(entry)
                if self._must_save(time.monotonic() - saved):
                    state.save(checkpoint, key)
                    saved = time.monotonic()
        return state

    def _must_save(self, age: float) -> bool:
        """Whether this epoch leaves a checkpoint; a fast GPU would spend more time on writing them than on training.

        Args:
            age: seconds since the last one.
        """
        last = self.state.epoch == self.spec.recipe.epochs or not time_for(_last(self.state.times))
        return last or self.device.type == "cpu" or age > _SAVE_SECONDS

    def _epoch(self, ticker: Ticker) -> dict[str, float]:
        """One pass over the training set; returns mean loss and accuracy in percent."""
        state, recipe = self.state, self.spec.recipe
        state.network.train()
        count = len(self._images)
        loss_sum = torch.zeros((), device=self.device)
        correct = torch.zeros((), device=self.device)
        for number, step in enumerate(self._steps()):
            progress = number * recipe.batch_size / count
            rate = recipe.optimizer.lr * learning_rate_factor(
                recipe.schedule, recipe.optimizer.lr, recipe.epochs, state.epoch, progress
            )
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            loss, hits = self._step(step)
            loss_sum += loss * len(step.rows)
            correct += hits
            if self.device.type == "cpu" and number % _CHECK_EVERY == 0:  # a GPU would have to empty its queue first
                self._refuse_infinite(loss_sum, rate)
            ticker.advance(len(step.rows), f"epoch {state.epoch + 1}/{recipe.epochs}")
        # The last step's weights have had no loss yet.
        weights = torch.stack([value.detach().isfinite().all() for value in state.network.parameters()]).all()
        self._refuse_infinite(torch.where(weights, loss_sum, torch.inf), rate)
        return {"loss": loss_sum.item() / count, "train_accuracy": 100.0 * correct.item() / count}

    def _steps(self) -> list[Step]:
        """The draws of the coming epoch."""
        outliers = (0, 0) if self._outliers is None else (len(self._outliers), self.spec.recipe.outlier_batch_size)
        count, size = len(self._images), self.spec.recipe.batch_size
        return epoch_steps(count, size, self._augment, self.state.generator, device=self.device, outliers=outliers)

    def _forward(self, x: Tensor) -> Tensor:
        """Logits; only whole batches go through the compiled network, so that it is compiled once."""
        recipe = self.spec.recipe
        whole = recipe.batch_size + (0 if self._outliers is None else recipe.outlier_batch_size)
        logits: Tensor = self._compiled(x) if len(x) == whole else self.state.network(x)
        return logits

    def _step(self, step: Step) -> tuple[Tensor, Tensor]:
        """One update on the images of a step; returns the loss and the number of correct predictions."""
        state, loss_config = self.state, self.spec.recipe.loss
        images, labels = self._images[step.rows], self._labels[step.rows]
        if self._outliers is not None:
            images = torch.cat([images, self._outliers[step.outliers]])
        for augmentation, drawn in zip(self._augment, step.draws, strict=True):
            images = augmentation.apply(images, drawn)
        x = self._normalise(images)
        if self.spec.recipe.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        state.optimizer.zero_grad(set_to_none=True)  # before the pass: a replayed graph writes over its old gradients
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.spec.recipe.autocast is Autocast.bfloat16):
            logits = self._forward(x)
        logits = logits.float()
        inside, outside = logits[: len(labels)], logits[len(labels) :]
        if self._outliers is None:
            loss = cross_entropy(inside, labels)
        else:
            loss = outlier_exposure(inside, labels, outside, loss_config.outlier_weight)
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        return loss.detach(), (inside.detach().argmax(dim=1) == labels).sum()

    def _refuse_infinite(self, loss_sum: Tensor, rate: float) -> None:
        if not torch.isfinite(loss_sum):
            raise TrainingError(
                f"loss or weights of {self.spec.title} are not finite in epoch {self.state.epoch + 1}, at a learning "
                f"rate of {rate:g}: lower train.optimizer.lr, or set train.autocast=none; the last checkpoint is kept"
            )
