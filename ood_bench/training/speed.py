"""How fast a training ran: images a second, and the share of the device's arithmetic peak that the network used."""

import contextlib
import copy
import csv
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ood_bench.training.recipe import Autocast

_PEAKS = Path(__file__).with_name("peaks.csv")
_COUNTED = 2  # images; batch norm in training mode refuses a single one where the map is one pixel


def training_flops(network: nn.Module, shape: Sequence[int]) -> int | None:
    """Floating-point operations that one image costs in training: forward and backward pass.

    Matrix products and convolutions are counted, a multiply-add as two; nothing is computed, and neither the network
    nor any generator is touched.

    Args:
        network: the network.
        shape: channels, height and width of an image.

    Returns:
        The count, or none for a network that cannot be followed without data.
    """
    from torch.utils.flop_counter import FlopCounterMode  # noqa: PLC0415 - it imports triton: scoring needs neither

    with torch.random.fork_rng(devices=[]):
        twin = copy.deepcopy(network).to("meta").train().requires_grad_(requires_grad=True)
        images = torch.empty(_COUNTED, *shape, device="meta")
        counter = FlopCounterMode(display=False)
        try:
            with counter:
                twin(images).sum().backward()
        except (NotImplementedError, RuntimeError):  # a forward pass that looks at values
            return None
    return int(counter.get_total_flops()) // _COUNTED


def peak_tflops(device: str, precision: str) -> float | None:
    """Peak of a device in 10^12 operations a second, dense, as its maker states it.

    Args:
        device: the device's name, as torch gives it.
        precision: ``bfloat16``, ``tf32`` or ``float32``.

    Returns:
        The value of the first row of ``peaks.csv`` whose words are in the name, or none.
    """
    with _PEAKS.open(newline="") as file:
        for row in csv.DictReader(file):
            if re.search(rf"\b{re.escape(row['device'])}\b", device):
                return float(row[precision])
    return None


def precision_of(autocast: Autocast, device: torch.device) -> str:
    """The arithmetic that most of a training runs in, as a column of ``peaks.csv``."""
    if autocast == "bfloat16":
        return "bfloat16"
    return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "float32"


@dataclass(frozen=True)
class Speed:
    """Speed of one training.

    Attributes:
        device: name of the device.
        precision: arithmetic that most of it ran in.
        images_per_second: over the median epoch, so that warming up and compiling do not count.
        gflop_per_image: operations of forward and backward pass in 10^9; none without a peak to compare them with
            (counting loads seconds' worth of torch), or if they cannot be counted.
        tflops: operations a second in 10^12, or none.
        peak_tflops: peak of the device in that arithmetic, or none if it is not in ``peaks.csv``.
    """

    device: str
    precision: str
    images_per_second: float
    gflop_per_image: float | None
    tflops: float | None
    peak_tflops: float | None

    @classmethod
    def of(
        cls,
        network: nn.Module,
        shape: Sequence[int],
        images: int,
        seconds: Sequence[float],
        *,
        device: torch.device,
        autocast: Autocast,
    ) -> "Speed":
        """Speed of a finished training.

        Args:
            network: the network.
            shape: channels, height and width of an image.
            images: images that go through the network in an epoch, outliers included.
            seconds: duration of every epoch.
            device: where it ran.
            autocast: precision of the passes.
        """
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        precision = precision_of(autocast, device)
        rate, peak = images / statistics.median(seconds), peak_tflops(name, precision)
        flops = None if peak is None else training_flops(network, shape)
        return cls(
            device=name,
            precision=precision,
            images_per_second=rate,
            gflop_per_image=None if flops is None else flops / 1e9,
            tflops=None if flops is None else rate * flops / 1e12,
            peak_tflops=peak,
        )

    @property
    def share_of_peak(self) -> float | None:
        """Share of the peak that the network's operations took, in percent, or none if it is not known."""
        return 100 * self.tflops / self.peak_tflops if self.tflops is not None and self.peak_tflops else None

    def card(self) -> dict[str, Any]:
        """What the classifier's card says."""
        return {**asdict(self), "share_of_peak": self.share_of_peak}

    def __str__(self) -> str:
        text = f"{self.images_per_second:,.0f} images/s"
        if self.tflops is not None:
            text += f", {self.tflops:.3g} TFLOP/s"
        if self.share_of_peak is None:
            unknown = "" if self.device == "cpu" else "; its peak, or the network's operations, are not known"
            return f"{text} in {self.precision} on {self.device}{unknown}"
        return f"{text}, {self.share_of_peak:.1f} % of the {self.precision} peak of {self.device}"


@contextlib.contextmanager
def tuned_convolutions(device: torch.device) -> Iterator[None]:
    """Lets cuDNN try its algorithms and keep the fastest for each shape while the block runs; nothing on a CPU."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
