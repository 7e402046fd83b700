"""Any classification network of torchvision, with taps that the config names."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ood_bench.errors import ConfigError
from ood_bench.models.wrapped import WrappedModel, add_dropout


class TorchvisionModel(WrappedModel):
    """A torchvision network with fresh weights.

    A penultimate tap that is an average pooling returns its result flattened, ``[B, D]``, as the last linear layer
    reads it. Vision transformers have an ``Identity`` before their last layer, ``heads.features``, whose output
    ``[B, D]`` is the class token that this layer reads.

    Args:
        shape: channels (3), height and width of the images.
        classes: number of classes.
        torchvision_name: torchvision's name of the architecture, such as ``resnet50``.
        taps: see :class:`~ood_bench.models.wrapped.WrappedModel`.
        penultimate: see there.
        options: passed on to ``torchvision.models.get_model``, such as ``{aux_logits: false}`` for ``googlenet``.
        dropout: rate of the network's dropout layers, or of one before the last linear layer if it has none; 0 leaves
            the network as torchvision makes it. Our choice.
        channels_last: see :class:`~ood_bench.models.wrapped.WrappedModel`.

    Raises:
        ConfigError: as the base class, if the images are not RGB, or there is no place for dropout.
        ValueError: if torchvision does not know the network.
        TypeError: if the network does not know an option.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int,
        *,
        torchvision_name: str,
        taps: Mapping[str, str | None],
        penultimate: str,
        options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        channels_last: Sequence[str] | None = None,
    ) -> None:
        from torchvision.models import VisionTransformer, get_model  # noqa: PLC0415 - takes seconds to import, and few runs need it

        if shape[0] != 3:
            raise ConfigError(
                f"torchvision's networks take RGB, but the images have {shape[0]} channels: use model=timm"
            )
        net = get_model(torchvision_name, weights=None, num_classes=classes, **dict(options or {}))
        if dropout:
            layers = [module for module in net.modules() if isinstance(module, nn.Dropout)]
            for layer in layers:
                layer.p = dropout
            if not layers:
                add_dropout(net, classes, dropout, f"torchvision's {torchvision_name}")
        if isinstance(net, VisionTransformer):
            *before, last = net.heads.named_children()
            net.heads = nn.Sequential(OrderedDict([*before, ("features", nn.Identity()), last]))
        super().__init__(net, taps, penultimate, channels_last)
        path = self.taps[penultimate]
        pooling = self.get_submodule(path)
        if isinstance(pooling, nn.AdaptiveAvgPool2d):
            self.set_submodule(path, nn.Sequential(pooling, nn.Flatten(1)))
