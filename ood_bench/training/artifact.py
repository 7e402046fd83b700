"""Trained classifiers as artifacts: found if they exist, else trained once, by the process that asks first."""

import contextlib
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ood_bench.checkpoints.importer import check_fit, import_checkpoint
from ood_bench.errors import ArtifactError, DamagedError
from ood_bench.models.card import write_card
from ood_bench.models.classifier import Classifier, accuracy, freeze, load_classifier, save_classifier
from ood_bench.models.heads import without_default_head
from ood_bench.training.spec import TrainingSpec
from ood_bench.training.speed import Speed
from ood_bench.training.state import TrainingState
from ood_bench.training.trainer import Trainer
from ood_bench.utils.device import generators_of
from ood_bench.utils.files import set_aside, staged_folder
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)


class ClassifierStore:
    """Folder of trained classifiers, shared by any number of processes.

    Args:
        root: the folder ``classifiers`` of the artifact store.
        device: where to train and to load.
    """

    def __init__(self, root: Path, device: torch.device) -> None:
        self._root, self._device = root, device

    def path(self, spec: TrainingSpec) -> Path:
        """Folder of the finished classifier."""
        return self._root / spec.title

    def check(self, spec: TrainingSpec) -> None:
        """Raises :class:`ArtifactError` if the classifier is a published file that does not fit the network."""
        if spec.checkpoint is not None and spec.checkpoint.is_file():
            check_fit(spec.checkpoint, **self._meant(spec))

    def obtain(self, spec: TrainingSpec, *, wait: bool = True) -> Classifier:
        """Loads the classifier, after training it if it does not exist yet.

        A second process that asks for the same classifier waits for the first; if that one dies, it goes on from the
        last whole epoch.

        Raises:
            BusyError: if another process is training it and ``wait`` is false.
            TrainingError: if training fails.
            ArtifactError: if the store cannot be used. A damaged classifier in it is set aside and made again.
        """
        folder = self._folder(spec, wait=wait)
        try:
            return self._load(spec, folder)
        except DamagedError as error:
            _log.warning("%s; it is renamed to .torn and made again", error.message)
        with locked(folder):
            try:  # another process may have made it again meanwhile
                return self._load(spec, folder)
            except DamagedError:
                set_aside(folder)
        return self._load(spec, self._folder(spec, wait=wait))

    def _folder(self, spec: TrainingSpec, *, wait: bool = True) -> Path:
        """Folder of the classifier, which is trained or imported if it is not there."""
        if spec.checkpoint is not None:
            return self._imported(spec, spec.checkpoint)
        self._make(spec, wait=wait)
        return self.path(spec)

    def _load(self, spec: TrainingSpec, folder: Path) -> Classifier:
        """Loads the classifier in a folder and makes sure that it is the one that was asked for.

        Raises:
            DamagedError: if it is another one, or not whole.
            ArtifactError: if it is of a checkpoint that was overwritten since the specification was made.
        """
        classifier = load_classifier(folder, self._device, spec.network())
        if spec.checkpoint is not None:
            if classifier.card["spec"].get("imported_sha256") != spec.checkpoint_sha256:
                raise ArtifactError(f"{spec.checkpoint} has changed since the run began", "start the run again")
        elif classifier.card.get("key") != spec.key:
            raise DamagedError(f"{folder} holds the classifier {classifier.card.get('key')}", "delete it")
        return self._measured(folder, spec, classifier)

    def _measured(self, folder: Path, spec: TrainingSpec, classifier: Classifier) -> Classifier:
        """The classifier with its accuracy on the run's own ID test images, which its card keeps by test set."""
        known, test = classifier.card.get("accuracies", {}), spec.measured
        if test.fingerprint not in known:
            known = {**known, test.fingerprint: accuracy(classifier, test)}
            with contextlib.suppress(ArtifactError):  # somebody else's store, which may only be read
                write_card(folder, {**classifier.card, "accuracies": known})
        card = {**classifier.card, "accuracies": known, "id_accuracy": known[test.fingerprint]}
        return replace(classifier, card=card)

    def _make(self, spec: TrainingSpec, *, wait: bool) -> None:
        """Trains the classifier if it does not exist; see :func:`~ood_bench.utils.locks.locked` for ``wait``."""
        final = self.path(spec)
        if spec.checkpoint is not None or final.exists():
            return
        if spec.initial is not None:
            self._make(spec.initial, wait=wait)
        with locked(final, wait=wait):
            if not final.exists():
                self._train(spec, final, None if spec.initial is None else self.obtain(spec.initial))

    def _imported(self, spec: TrainingSpec, file: Path) -> Path:
        """Folder of the classifier that a published checkpoint becomes, measured on the run's ID test images."""
        return import_checkpoint(file, **self._meant(spec), test=spec.measured, device=self._device)

    def _meant(self, spec: TrainingSpec) -> dict[str, Any]:
        """What the importer needs to know of the network."""
        id_node = {
            "name": spec.data.name,
            "shape": spec.data.shape,
            "classes": spec.classes,
            "normalisation": spec.normalisation,
        }
        model = without_default_head(spec.model)
        return {"model": model, "id_node": id_node, "store": self._root.parent, "choice": spec.choice}

    def _train(self, spec: TrainingSpec, final: Path, initial: Classifier | None) -> None:
        workdir = final.with_name(f"{final.name}.training")
        weights = None if initial is None else initial.network.state_dict()
        # Training seeds torch's generators; what else uses them is left alone.
        with torch.random.fork_rng(devices=generators_of(self._device)):
            try:
                state = Trainer(spec, self._device, weights).run(workdir / "last.ckpt")
            except DamagedError as error:
                _log.warning("%s; it is renamed to .torn and training starts again", error.message)
                set_aside(workdir / "last.ckpt")
                state = Trainer(spec, self._device, weights).run(workdir / "last.ckpt")
        speed = self._speed(spec, state)
        with staged_folder(final) as folder:
            save_classifier(folder, freeze(state.network), {**self._card(spec, state), "speed": speed.card()})
        shutil.rmtree(workdir, ignore_errors=True)
        _log.info("trained %s in %.0f s: %s", spec.title, state.seconds, speed)

    def _speed(self, spec: TrainingSpec, state: TrainingState) -> Speed:
        steps = -(-spec.learned // spec.recipe.batch_size)
        second = spec.recipe.outlier_batch_size if spec.recipe.objective.streams > 1 else 0
        images = spec.recipe.objective.copies * (spec.learned + steps * second)
        times = state.times or [state.seconds / state.epoch]  # a checkpoint of an earlier version has no times
        return Speed.of(
            state.network, spec.data.shape, images, times, device=self._device, autocast=spec.recipe.autocast
        )

    def _card(self, spec: TrainingSpec, state: TrainingState) -> dict[str, object]:
        moments = spec.normalisation
        network = freeze(state.network)
        kept = state.epoch if state.best is None else state.best["epoch"]
        finished = Classifier(network, tuple(moments["mean"]), tuple(moments["std"]))
        percent = accuracy(finished, spec.measured)
        return {
            "key": spec.key,
            "spec": spec.identity(),
            "recipe": spec.recipe.name,
            "deviations": list(spec.recipe.deviations),
            "data": {"name": spec.data.name, "variant": spec.data.variant, "n": len(spec.data)},
            "id_accuracy": percent,
            "accuracies": {spec.measured.fingerprint: percent},
            "train_accuracy": state.history[kept - 1]["train_accuracy"],
            **({} if state.best is None else {"epoch": kept}),
            "history": state.history,
            "trained_seconds": state.seconds,
            "device": str(self._device),
            "torch": torch.__version__,
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
