"""Networks of other libraries: a module ``net`` with taps that the config names."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ood_bench.errors import ConfigError


class WrappedModel(nn.Module):
    """A library's network under ``net``, so that its parameter names are the library's with the prefix ``net.``.

    Args:
        net: from normalised images ``[B, C, H, W]`` to logits ``[B, classes]``.
        taps: tap names and module paths in ``net``, in forward order; each module must return one tensor. One without a
            path is left out, so that a config may take out those of the config that it builds on.
        penultimate: the tap that feeds the last linear layer.

        channels_last: names of the taps whose channels are the last axis; if none, that is so of all taps of three axes
            (tokens ``[B, T, C]``) and, where the library says so of the network, of four (``[B, H, W, C]``).

    Raises:
        ConfigError: if a tap names no module, or ``penultimate`` or ``channels_last`` no tap.
    """

    def __init__(
        self,
        net: nn.Module,
        taps: Mapping[str, str | None],
        penultimate: str,
        channels_last: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        paths = {name: path for name, path in taps.items() if path is not None}
        if penultimate not in paths:
            raise ConfigError(f"model.penultimate is {penultimate!r}; model.taps names {', '.join(paths)}")
        modules = dict(net.named_modules())
        if unknown := sorted(path for path in paths.values() if path not in modules):
            raise ConfigError(f"{type(net).__name__} has no module {', '.join(unknown)}; see its named_modules()")
        self.net = net
        self.taps = {name: f"net.{path}" for name, path in paths.items()}
        self.penultimate = penultimate
        if unknown := sorted(set(channels_last or ()) - paths.keys()):
            raise ConfigError(f"model.channels_last names {', '.join(unknown)}; model.taps names {', '.join(paths)}")
        self.channels_last_taps = channels_last
        self.channels_last_ranks = (3, 4) if _is_nhwc(net) else (3,)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, C, H, W]``."""
        return self.net(x)


def _is_nhwc(net: nn.Module) -> bool:
    """Whether a network's maps are ``[B, H, W, C]``: timm's say so, torchvision's Swin transformers do not."""
    return str(getattr(net, "output_fmt", "")) == "NHWC" or type(net).__name__ == "SwinTransformer"


def add_dropout(net: nn.Module, classes: int, rate: float, name: str) -> None:
    """Puts a dropout layer before the network's last linear layer.

    Raises:
        ConfigError: if the last module is no linear layer to the classes.
    """
    path, last = list(net.named_modules())[-1]
    if not isinstance(last, nn.Linear) or last.out_features != classes:
        raise ConfigError(
            f"model.dropout={rate}: {name} has no dropout layers, and its last module {path!r} is no linear layer to "
            "the classes, before which one could be put: choose another network"
        )
    net.set_submodule(path, nn.Sequential(nn.Dropout(rate), last))
