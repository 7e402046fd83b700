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
        dropout: rate of dropout layers that can be sampled: what timm makes of ``drop_rate``, if that are layers; else
            one before the last linear layer, because timm's own is a function there or the rate is ignored. Our choice.

    Raises:
        ConfigError: if timm is not installed, does not know the network or an option, a tap names no module, or there
            is no place for dropout.
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
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        asked = {"num_classes": classes, "in_chans": shape[0], **dict(options or {})}
        self.net = _with_dropout(timm_name, asked, dropout) if dropout else _create(timm_name, asked)
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


def _create(timm_name: str, options: Mapping[str, Any]) -> nn.Module:
    """Timm's network with fresh weights."""
    try:
        timm = importlib.import_module("timm")
    except ImportError as error:
        raise ConfigError("the model `timm` needs the timm library: pip install 'ood-bench[timm]'") from error
    try:
        network: nn.Module = timm.create_model(timm_name, pretrained=False, **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ConfigError(f"timm cannot make {timm_name!r} with {dict(options)}: {error}") from error
    return network


def _with_dropout(timm_name: str, options: Mapping[str, Any], rate: float) -> nn.Module:
    """Timm's network with dropout layers of the rate, by its own ``drop_rate`` or before its last linear layer."""
    plain = {key: value for key, value in options.items() if key != "drop_rate"}
    try:
        network = _create(timm_name, {**plain, "drop_rate": rate})
    except ConfigError:  # some networks have no such option; if the fault is another one, the next line tells it
        network = _create(timm_name, plain)
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.modules()):
        return network
    network = _create(timm_name, plain)
    path, last = list(network.named_modules())[-1]
    if not isinstance(last, nn.Linear) or last.out_features != options["num_classes"]:
        raise ConfigError(
            f"model.dropout={rate}: timm's {timm_name} makes no dropout layers of drop_rate, and its last module "
            f"{path!r} is no linear layer to the classes before which one could be put: choose another timm_name"
        )
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, nn.Sequential(nn.Dropout(rate), last))
    return network
