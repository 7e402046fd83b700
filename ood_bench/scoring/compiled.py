"""A network and the reductions of its taps as one OpenVINO graph, for forward passes on a processor in float32."""

import copy
import functools
import importlib.metadata
import importlib.util
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from ood_bench.models.classifier import Classifier
from ood_bench.scoring.quantities import OUTPUT, Quantity
from ood_bench.scoring.taps import forward_to_all, reading

_PIECE_BYTES = 2 << 20
_HELD = 24 << 20
_OPTIONS = {
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
}


def installed() -> bool:
    """Whether OpenVINO can be imported; it is not imported to find that out."""
    return importlib.util.find_spec("openvino") is not None


def title() -> str:
    """Name and version, as records have it."""
    return f"openvino {importlib.metadata.version('openvino')}"


class CompiledPass:
    """One forward pass for some quantities, compiled for batches of a fixed number of images.

    Reductions that are plain float32 arithmetic are part of the graph; taps with others leave it as maps. What is
    traced is a copy of the folded network whose activations overwrite nothing.

    Args:
        classifier: the network, on a processor.
        quantities: what the pass leaves behind.
        x: some normalised images ``[B, C, H, W]``, as the pass will get them.

    Attributes:
        images: number of images that go through together: so many that the largest map stays in a processor's cache.
        size: bytes of memory that it holds, roughly.

    Raises:
        Exception: of any kind, if the network or a reduction cannot be traced or converted.
    """

    def __init__(self, classifier: Classifier, quantities: Sequence[Quantity], x: Tensor) -> None:
        self._at: dict[str, list[Quantity]] = {}
        for quantity in quantities:
            self._at.setdefault(quantity.tap, []).append(quantity)
        self.size = _HELD + 3 * sum(value.nbytes for value in classifier.scoring_network.parameters())
        self._outputs: list[Quantity | str] = []
        for tap, mine in self._at.items():
            self._outputs += mine if all(quantity.reduction.plain for quantity in mine) else [tap]
        with torch.inference_mode(mode=False), torch.no_grad():
            traced = _Traced(classifier, self._outputs)
            largest = largest_output(traced, x.clone())
            self.images = even(len(x), max(1, torch.get_num_threads() * _PIECE_BYTES // (4 * largest)))
            self._request = _request(traced, x[: self.images].clone().contiguous())

    def __call__(self, x: Tensor) -> Iterator[tuple[Quantity, Tensor]]:
        """Rows ``[b, D]`` of each quantity, piece by piece in the order of the images.

        Rows are valid until the next ones are asked for.

        Args:
            x: normalised images ``[B, C, H, W]``.
        """
        whole = x.contiguous().numpy()
        for start in range(0, len(whole), self.images):
            piece = whole[start : start + self.images]
            count = len(piece)
            if count < self.images:  # the graph takes so many and no fewer
                piece = np.concatenate([piece, np.repeat(piece[:1], self.images - count, axis=0)])
            found = self._request.infer([piece], share_inputs=True, share_outputs=True)
            for number, output in enumerate(self._outputs):
                value = torch.from_numpy(found[number][:count])
                if isinstance(output, Quantity):
                    yield output, value
                else:
                    yield from ((quantity, quantity.reduction(value)) for quantity in self._at[output])


def even(count: int, most: int) -> int:
    """Size of the fewest equal pieces of ``count`` images of which none has more than ``most``."""
    pieces = -(-count // most)
    return -(-count // pieces)


class _Traced(nn.Module):
    """A network that returns what a pass leaves behind."""

    def __init__(self, classifier: Classifier, outputs: Sequence[Quantity | str]) -> None:
        super().__init__()
        self.network = copy.deepcopy(classifier.scoring_network)
        for module in self.network.modules():
            if module.__dict__.get("inplace") is True:
                module.inplace = False  # type: ignore[assignment]
        self._classifier, self._outputs = classifier, outputs

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Rows of each quantity and maps of each tap that is to be returned, in the order of the outputs."""
        found: dict[Quantity | str, Tensor] = {}

        def reader(tap: str) -> Callable[[Tensor], None]:
            def read(value: Tensor) -> None:
                for one in self._outputs:
                    if one == tap:
                        found[one] = value
                    elif isinstance(one, Quantity) and one.tap == tap:
                        found[one] = one.reduction(value)

            return read

        taps = {one.tap if isinstance(one, Quantity) else one for one in self._outputs}
        with reading(self._classifier, {tap: reader(tap) for tap in taps - {OUTPUT}}, self.network):
            reader(OUTPUT)(self.network(x))
        return tuple(found[one] for one in self._outputs)


def multiplications(classifier: Classifier, x: Tensor, taps: Collection[str]) -> int:
    """Multiplications of convolutions and linear layers up to the last of some taps, for one image of ``x``."""
    total = 0

    def count(module: nn.Module, _inputs: Any, value: Any) -> None:
        nonlocal total
        weight = getattr(module, "weight", None)
        if isinstance(value, Tensor) and isinstance(weight, Tensor) and weight.ndim > 1:
            total += value.numel() * weight[0].numel()

    _with_hook(classifier.scoring_network, count, lambda: forward_to_all(classifier, x[:1], taps))
    return total


def largest_output(network: nn.Module, x: Tensor) -> int:
    """Number of values of the largest map that any module gives for one image of ``x``."""
    largest = x[0].numel()

    def measure(_module: nn.Module, _inputs: Any, value: Any) -> None:
        nonlocal largest
        largest = max(largest, value.numel() if isinstance(value, Tensor) else 0)

    _with_hook(network, measure, lambda: network(x[:1]))
    return largest


def _with_hook(network: nn.Module, hook: Callable[[nn.Module, Any, Any], None], run: Callable[[], object]) -> None:
    """Runs something with a hook on every module of a network."""
    handles = [module.register_forward_hook(hook) for module in network.modules()]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()


def _request(traced: nn.Module, x: Tensor) -> Any:
    """The traced network, compiled for images of the shape of ``x``."""
    # OpenVINO sends statistics to its makers as soon as it is imported, unless that package is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    from openvino.frontend import FrontEndManager  # noqa: PLC0415 - optional, and imported by those that use it alone
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # noqa: PLC0415

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        graph = torch.jit.trace(traced, x, check_trace=False)  # type: ignore[no-untyped-call]
        for one in said:
            if issubclass(one.category, TracerWarning):  # control flow that depends on values, frozen as x has it
                raise TypeError(str(one.message))
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(graph)  # the frontend reads it while it converts, but does not keep it
        model = frontend.convert(frontend.load(decoder))
    model.reshape(list(x.shape))
    options = {**_OPTIONS, "INFERENCE_NUM_THREADS": torch.get_num_threads()}
    return _core().compile_model(model, "CPU", options).create_infer_request()


@functools.cache
def _core() -> Any:
    """One for the whole process: of two that end, the first to start first, a signal ends the process.

    Each gives the thread a stack for signals of its own, and at its end puts back the stack that it found.
    """
    import openvino  # noqa: PLC0415 - as above

    return openvino.Core()
