"""Checkpoints made on the spot: whole modules as PyTorch pickled them in 2017, and pickles that attack."""

import copy
import io
import pickle
import struct
import sys
import tarfile
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from ood_bench.data.imageset import ImageSet
from ood_bench.models.resnet import BasicBlock, ResNet


class _Storage:
    """A storage to be pickled as a persistent id."""

    def __init__(self, key: str, values: Tensor) -> None:
        self.key, self.values = key, values


class _Pickler(pickle._Pickler):  # the pure Python one, as torch used it
    """Pickles tensors, parameters and classes as PyTorch 0.2 did."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[str, _Storage] = {}
        self._kept: list[object] = []
        self._classes: set[type] = set()

    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, type) and issubclass(obj, nn.Module) and obj not in self._classes:
            self._classes.add(obj)
            return ("module", obj, "somewhere/net.py", "class Net: its source")
        if isinstance(obj, _Storage):
            kind = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}[obj.values.dtype]
            return ("storage", kind, obj.key, "cuda:1", obj.values.numel(), None)
        return None

    def reducer_override(self, obj: object) -> object:
        if isinstance(obj, nn.Parameter):
            return nn.Parameter, (obj.data,), (True, False, OrderedDict())
        if isinstance(obj, Tensor):
            storage = _Storage(str(1000 + len(self.storages)), obj.contiguous())
            self.storages[storage.key] = storage
            self._kept.append(obj)
            return torch._utils._rebuild_tensor, (storage, 0, tuple(obj.shape), tuple(obj.stride()))
        return NotImplemented


def _old(network: nn.Module, classes: dict[type, type]) -> nn.Module:
    """A copy as an old PyTorch would have had it: other class paths, no counters, a backend object."""
    network = copy.deepcopy(network)
    backend = sys.modules["torch.nn.backends.thnn"].Backend()
    for module in network.modules():
        module.__class__ = classes.get(type(module), type(module))
        module._backend = backend
        if isinstance(module, nn.BatchNorm2d):
            del module._buffers["num_batches_tracked"]
            del module.__dict__["track_running_stats"]
    return network


@pytest.fixture
def tiny_model() -> dict[str, object]:
    """What a ``conf/model`` file of the small network would hold."""
    return {
        "_target_": "ood_bench.models.resnet.ResNet",
        "name": "tiny",
        "blocks": [1, 1],
        "widths": [4, 8],
        "variants": {"never": "passed on"},
    }


@pytest.fixture
def id_node() -> dict[str, object]:
    """What a ``conf/id`` file of the toy images would hold."""
    moments = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    return {"name": "toy", "classes": 3, "shape": [3, 8, 8], "normalisation": moments}


@pytest.fixture
def network() -> ResNet:
    """A small network with weights and statistics that are nowhere constant."""
    torch.manual_seed(3)
    network = ResNet((3, 8, 8), 3, blocks=(1, 1), widths=(4, 8))
    with torch.no_grad():
        for value in network.state_dict().values():
            value.copy_(torch.rand_like(value.float()) + 0.5)
    return network


@pytest.fixture
def legacy() -> Callable[..., bytes]:
    """Bytes of the legacy layout around a main pickle."""

    def make(main: bytes, storages: dict[str, Tensor] | None = None) -> bytes:
        parts = [pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001)]
        parts += [pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, protocol=2), main]
        held = storages or {}
        parts.append(pickle.dumps(list(held), protocol=2))
        for values in held.values():
            parts += [struct.pack("<q", values.numel()), values.numpy().tobytes()]
        return b"".join(parts)

    return make


@pytest.fixture
def whole_module(
    network: ResNet, legacy: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> Callable[[bool], bytes]:
    """The network as a module pickled whole in 2017, of classes that are gone when it is read."""

    def make(parallel: bool = False) -> bytes:
        module, thnn = types.ModuleType("oldnets.resnet"), types.ModuleType("torch.nn.backends.thnn")
        classes = {}
        for cls in (ResNet, BasicBlock):
            classes[cls] = type(f"Old{cls.__name__}", (cls,), {"__module__": "oldnets.resnet"})
            setattr(module, f"Old{cls.__name__}", classes[cls])

        def _get_thnn_function_backend() -> None: ...

        _get_thnn_function_backend.__module__ = "torch.nn.backends.thnn"
        _get_thnn_function_backend.__qualname__ = "_get_thnn_function_backend"
        thnn._get_thnn_function_backend = _get_thnn_function_backend
        thnn.Backend = type("Backend", (), {"__reduce__": lambda _: (_get_thnn_function_backend, ())})
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "oldnets", types.ModuleType("oldnets"))
            patch.setitem(sys.modules, "oldnets.resnet", module)
            patch.setitem(sys.modules, "torch.nn.backends.thnn", thnn)
            root = _old(network, classes)
            if parallel:
                wrapped = nn.Module()
                wrapped.add_module("module", root)
                root = wrapped
            pickler = _Pickler(file := io.BytesIO())
            pickler.dump(root)
        return legacy(file.getvalue(), {key: storage.values for key, storage in pickler.storages.items()})

    return make


@pytest.fixture
def toy_images() -> ImageSet:
    """Forty labelled images that fit the small network."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    return ImageSet.of("toy", images, random.integers(0, 3, 40), variant="random pixels")


@pytest.fixture
def exact_images(real: Callable[[str], Path]) -> Callable[[str, int], ImageSet]:
    """The first official test rows of CIFAR-10 or CIFAR-100, exact pixels."""

    def read(name: str, count: int) -> ImageSet:
        found: dict[int, tuple[str, np.ndarray]] = {}
        labels = set()
        with tarfile.open(real(f"data/{name}-png-subset.tar.xz")) as archive:
            for member in archive:
                parts = Path(member.name).parts
                if member.isfile() and "test" in parts:
                    labels.add(parts[-2])
                    if (row := int(Path(parts[-1]).stem)) < count:
                        content = archive.extractfile(member)
                        assert content is not None
                        found[row] = parts[-2], np.asarray(Image.open(content)).transpose(2, 0, 1)
        names = sorted(labels)
        rows = [found[row] for row in range(count)]
        images = np.stack([pixels for _, pixels in rows])
        return ImageSet.of(name, images, np.array([names.index(label) for label, _ in rows]))

    return read
