"""The training loop: data resident on the device, a checkpoint every epoch, resumed to the same bits on CPU."""

import copy
import logging
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ood_bench.errors import TrainingError
from ood_bench.models.classifier import Classifier, build_network, fast_layout, to_layout
from ood_bench.training.augment import AUGMENTATIONS
from ood_bench.training.epoch import Step, epoch_steps
from ood_bench.training.folds import split_known
from ood_bench.training.objectives import Batch
from ood_bench.training.optim import build_optimizer
from ood_bench.training.schedule import learning_rate_factor
from ood_bench.training.selection import MspSelector
from ood_bench.training.spec import TrainingSpec
from ood_bench.training.speed import tuned_convolutions
from ood_bench.training.state import TrainingState
from ood_bench.utils.device import freed_memory_kept
from ood_bench.utils.progress import Ticker, ticking
from ood_bench.utils.time_limit import reserve, time_for

_log = logging.getLogger(__name__)
_CHECK_EVERY = 50
_SAVE_SECONDS = 15.0


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
        network = network.to(device)
        self._objective = copy.copy(spec.recipe.objective)
        self._keep = self._objective.prepare(network)
        self._layout = fast_layout(network) if spec.recipe.channels_last else torch.contiguous_format
        network = to_layout(network, self._layout)
        self.state = TrainingState(
            network, build_optimizer(spec.recipe.optimizer, network), torch.Generator().manual_seed(spec.seed)
        )
        self._compiled: Callable[[Tensor], Tensor] = network
        if spec.recipe.compile:
            mode = spec.recipe.compile_mode.replace("_", "-")
            self._compiled = torch.compile(network, mode=mode, dynamic=False)
        self._augment = [AUGMENTATIONS[name] for name in spec.recipe.augment]
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
        if spec.known is not None:
            rows, labels, left_out = split_known(labels, spec.known)
            second = images[left_out] if second is None else second
            images = images[rows]
        self._images = torch.from_numpy(images.copy()).to(self.device)
        self._labels = torch.from_numpy(labels.copy()).to(self.device)
        wanted = second if self._objective.streams > 1 else None
        self._outliers = None if wanted is None else torch.from_numpy(wanted.copy()).to(self.device)

    def run(self, checkpoint: Path) -> TrainingState:
        """Trains to the last epoch, from ``checkpoint`` if it exists.

        It is written after every epoch; on a GPU, every 15 seconds and at the end.

        Returns:
            The finished state, network in training mode, with the weights that the recipe's selection keeps, as the
            objective makes them for scoring.

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
        with (
            ticking(what, left * len(self._images), "images") as ticker,
            tuned_convolutions(self.device),
            freed_memory_kept(self.device),
        ):
            while state.epoch < recipe.epochs:
                reserve(state.last_seconds, f"epoch {state.epoch + 1} of {self.spec.title}")
                start = time.monotonic()
                entry = self._epoch(ticker)
                state.epoch += 1
                if self._selector is not None:
                    entry["validation_auroc"] = 100 * self._selector(state.network)
                    state.choose(entry["validation_auroc"])
                state.times.append(time.monotonic() - start)
                state.seconds += state.times[-1]
                state.history.append(entry)
                if self._must_save(time.monotonic() - saved):
                    state.save(checkpoint, key)
                    saved = time.monotonic()
        if state.best is not None:
            state.network.load_state_dict(state.best["network"])
        self._keep()
        state.network.train()
        return state

    def _must_save(self, age: float) -> bool:
        """Whether this epoch leaves a checkpoint; a fast GPU would spend more time on writing them than on training.

        Args:
            age: seconds since the last one.
        """
        last = self.state.epoch == self.spec.recipe.epochs or not time_for(self.state.last_seconds)
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
        recipe = self.spec.recipe
        outliers = (0, 0) if self._outliers is None else (len(self._outliers), recipe.outlier_batch_size)
        return epoch_steps(
            len(self._images),
            recipe.batch_size,
            self._augment,
            self.state.generator,
            device=self.device,
            outliers=outliers,
            order="random" if self._outliers is None else recipe.outlier_order,
        )

    def _forward(self, x: Tensor) -> Tensor:
        """Float32 logits of normalised images, in the recipe's precision.

        Only whole batches, of one stream or of both, go through the compiled network, so that it is compiled once.
        """
        recipe = self.spec.recipe
        second = 0 if self._outliers is None else recipe.outlier_batch_size
        sizes = (recipe.batch_size, second, recipe.batch_size + second)
        whole = len(x) in {self._objective.copies * size for size in sizes}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=recipe.autocast == "bfloat16"):
            logits: Tensor = self._compiled(x) if whole else self.state.network(x)
        return logits.float()

    def _step(self, step: Step) -> tuple[Tensor, Tensor]:
        """One update on the images of a step; returns the loss and the number of correct predictions."""
        state, recipe = self.state, self.spec.recipe
        images, labels = self._images[step.rows], self._labels[step.rows]
        if self._outliers is not None:
            images = torch.cat([images, self._outliers[step.outliers]])
        for augmentation, drawn in zip(self._augment, step.draws, strict=True):
            images = augmentation.apply(images, drawn)
        x = self._normalise(images)
        x = x.contiguous(memory_format=self._layout)
        state.optimizer.zero_grad(set_to_none=True)  # before the pass: a replayed graph writes over its old gradients
        if recipe.compile:  # only then, because it imports the compiler
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        loss, logits = self._objective(self._forward, Batch(x, labels, state.epoch))
        loss.backward()  # type: ignore[no-untyped-call]
        state.optimizer.step()
        return loss.detach(), (logits.detach().argmax(dim=1) == labels).sum()

    def _refuse_infinite(self, loss_sum: Tensor, rate: float) -> None:
        if not torch.isfinite(loss_sum):
            raise TrainingError(
                f"loss or weights of {self.spec.title} are not finite in epoch {self.state.epoch + 1}, at a learning "
                f"rate of {rate:g}: lower train.optimizer.lr, or set train.autocast=none; the last checkpoint is kept"
            )
