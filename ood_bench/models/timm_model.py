"""Any network of the timm library, with taps that the config names."""

import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ood_bench.errors import ConfigError


class TimmModel(nn.Module):
    """A timm network under ``net``, so that its parameter names are timm's with the prefix ``net.``.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        timm_name: timm's name of the architecture, such as ``resnet50``.
        taps: tap names and timm's module paths, in forward order; each module must return one tensor.
        penultimate: the tap that feeds the last linear layer.
        options: passed on to ``timm.create_model``, such as ``img_size`` or ``drop_rate``.

    Raises:
        ConfigError: if timm is not installed, does not know the network or an option, or a tap names no module.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        timm_name: str,
        taps: Mapping[str, str],
        penultimate: str,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        try:
            timm = importlib.import_module("timm")
        except ImportError as error:
            raise ConfigError("the model `timm` needs the timm library: pip install 'ood-bench[timm]'") from error
        try:
            self.net: nn.Module = timm.create_model(
                timm_name, pretrained=False, num_classes=classes, in_chans=shape[0], **dict(options or {})
            )
        except (RuntimeError, TypeError, ValueError) as error:
            raise ConfigError(f"timm cannot make {timm_name!r} with {dict(options or {})}: {error}") from error
        if penultimate not in taps:
            raise ConfigError(f"model.penultimate is {penultimate!r}; model.taps names {', '.join(taps)}")
        modules = dict(self.net.named_modules())
        if unknown := sorted(path for path in taps.values() if path not in modules):
            raise ConfigError(f"{timm_name} has no module {', '.join(unknown)}; see its named_modules()")
        self.taps = {name: f"net.{path}" for name, path in taps.items()}
        self.penultimate = penultimate

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        logits: Tensor = self.net(x)
        return logits
