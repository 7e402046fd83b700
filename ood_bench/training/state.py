"""What a training has reached: saved after an epoch, restored to the same bits."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ood_bench.errors import DamagedError
from ood_bench.utils.digests import with_digest, without_digest
from ood_bench.utils.files import clear_io_errors, write_atomically

_PLAIN = ("epoch", "seconds", "history", "times", "best")


@dataclass
class TrainingState:
    """What a checkpoint holds: enough to go on as if nothing had happened; ``times`` are the epochs' seconds.

    ``best`` is the best epoch so far by the recipe's selection: its number (from 1), its value and its weights.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    best: dict[str, Any] | None = None

    @property
    def last_seconds(self) -> float:
        """Duration of the last epoch; 0 before the first."""
        return self.times[-1] if self.times else 0.0

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
                **{name: getattr(self, name) for name in _PLAIN},
            },
            buffer,
        )
        write_atomically(path, with_digest(buffer.getvalue(), key))

    def restore(self, path: Path, key: str) -> None:
        """Reads a checkpoint back.

        Raises:
            DamagedError: if it is truncated, damaged, or another classifier's.
            ArtifactError: if it cannot be read.
        """
        with clear_io_errors("read the checkpoint", path):
            whole = path.read_bytes()
        try:
            content = without_digest(whole, key)
            saved: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if saved["key"] != key:
                raise ValueError("it belongs to another classifier")  # noqa: TRY301 - one message for all damage
            self.network.load_state_dict(saved["network"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.generator.set_state(saved["generator"])
            torch.set_rng_state(saved["torch_rng"])
            if saved["cuda_rng"] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(saved["cuda_rng"])
            for name in _PLAIN:
                setattr(self, name, saved[name])
        except Exception as error:  # a damaged file can fail in the unpickler in any way
            raise DamagedError(
                f"checkpoint {path} is truncated or damaged ({error})", "delete it to start again"
            ) from error
