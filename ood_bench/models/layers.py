"""What the networks for 32-pixel images share: their initialisation and their pooling before the classifier."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from ood_bench.errors import ConfigError


def initialise(network: nn.Module, zero_linear_bias: bool) -> None:
    """Draws convolution weights from a normal distribution of standard deviation ``sqrt(2 / (k * k * out_channels))``.

    Convolution biases become 0; batch norms keep torch's 1 and 0, linear weights torch's own distribution.

    Args:
        network: changed in place, with torch's generator.
        zero_linear_bias: whether linear biases become 0 as well.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        zeroed = isinstance(module, nn.Conv2d) or (zero_linear_bias and isinstance(module, nn.Linear))
        if zeroed and isinstance(module.bias, Tensor):
            nn.init.zeros_(module.bias)


class Pooled(nn.Sequential):
    """Average pooling of the last map ``[B, C, H, W]`` to one vector per image, ``[B, C]``.

    Args:
        window: side of the window, as in the first CIFAR networks, where it must fit the map exactly once
            (what is left at the right and at the bottom is dropped); 0 averages over the whole map.
    """

    def __init__(self, window: int = 0) -> None:
        super().__init__(nn.AvgPool2d(window) if window else nn.AdaptiveAvgPool2d(1), nn.Flatten(1))


def block_paths(counts: Sequence[int], path: str) -> dict[str, str]:
    """Taps ``block{s}.{b}`` of the blocks of all stages, both counted from 1, with their modules' paths.

    Args:
        counts: number of blocks in each stage.
        path: a block's path, ``{}`` for its stage, from 1, and for its place in it, from 0.
    """
    return {f"block{s}.{b + 1}": path.format(s, b) for s, count in enumerate(counts, 1) for b in range(count)}


def check_window(name: str, shape: tuple[int, int, int], window: int, side: Callable[[int], int]) -> None:
    """Makes sure that a pooling window fits the last map exactly once.

    Args:
        name: the network's name, for the message.
        shape: channels, height and width of the images.
        window: side of the window; 0 fits always.
        side: side of the last map for a side of the image.

    Raises:
        ConfigError: if the last map is too small or holds several windows.
    """
    height, width = side(shape[1]), side(shape[2])
    if min(height, width) < 1:
        raise ConfigError(f"{name}: images of {shape[1]}x{shape[2]} pixels are too small")
    if window and not all(window <= extent < 2 * window for extent in (height, width)):
        raise ConfigError(
            f"{name}: images of {shape[1]}x{shape[2]} pixels end in a map of {height}x{width}, which the pooling "
            f"window of {window}x{window} does not fit exactly once; set model.pool_window=0 to pool the whole map"
        )
