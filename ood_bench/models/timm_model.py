"""Any network of the timm library, with taps that the config names."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ood_bench.models.wrapped import WrappedModel, add_dropout


class TimmModel(WrappedModel):
    """A timm network with fresh weights.

    Args:
        shape: channels, height and width of the images.
        classes: number of classes.
        timm_name: timm's name of the architecture, such as ``resnet50``.
        taps: see :class:`~ood_bench.models.wrapped.WrappedModel`.
        penultimate: see there.
        options: passed on to ``timm.create_model``, such as ``img_size`` or ``drop_rate``.
        dropout: rate of dropout layers that can be sampled: what timm makes of ``drop_rate``, if that are layers; else
            one before the last linear layer, because timm's own is a function there or the rate is ignored. Our choice.
        channels_last: see :class:`~ood_bench.models.wrapped.WrappedModel`.

    Raises:
        ConfigError: as the base class, and if there is no place for dropout.
        RuntimeError: if timm does not know the network.
        TypeError: if the network does not know an option.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        timm_name: str,
        taps: Mapping[str, str | None],
        penultimate: str,
        options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        channels_last: Sequence[str] | None = None,
    ) -> None:
        asked = {"num_classes": classes, "in_chans": shape[0], **dict(options or {})}
        net = _with_dropout(timm_name, asked, dropout) if dropout else _create(timm_name, asked)
        super().__init__(net, taps, penultimate, channels_last)


def _create(timm_name: str, options: Mapping[str, Any]) -> nn.Module:
    import timm  # noqa: PLC0415 - takes seconds to import, and few runs need it

    return timm.create_model(timm_name, pretrained=False, **options)


def _with_dropout(timm_name: str, options: Mapping[str, Any], rate: float) -> nn.Module:
    """Timm's network with dropout layers of the rate, by its own ``drop_rate`` or before its last linear layer."""
    plain = {key: value for key, value in options.items() if key != "drop_rate"}
    try:
        network = _create(timm_name, {**plain, "drop_rate": rate})
    except TypeError:  # some networks have no such option; if the fault is another one, the next line tells it
        network = _create(timm_name, plain)
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in network.modules()):
        return network
    network = _create(timm_name, plain)
    add_dropout(network, options["num_classes"], rate, f"timm's {timm_name}")
    return network
