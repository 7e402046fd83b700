"""The device that a run or a command asks for."""

import torch

from ood_bench.errors import ConfigError


def device_named(name: str) -> torch.device:
    """The device that ``device=`` asks for; ``auto`` takes a GPU if there is one.

    Raises:
        ConfigError: if there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name != "cpu":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= count:
            raise ConfigError(f"device={name}: torch finds {count} CUDA devices here: set device=cpu or device=auto")
    return torch.device(name)
