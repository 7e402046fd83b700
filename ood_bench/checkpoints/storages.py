"""Tensors of a pickled checkpoint: references into storages whose bytes come from elsewhere in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ood_bench.checkpoints.inert import Name
from ood_bench.checkpoints.pickles import Interpreter
from ood_bench.checkpoints.restricted import admit, constructor
from ood_bench.errors import ArtifactError

_DTYPES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(frozen=True)
class StorageRef:
    """Part of a storage.

    Attributes:
        key: the storage's name in the file.
        dtype: type of its values.
        offset: first value.
    """

    key: str
    dtype: torch.dtype
    offset: int


@dataclass
class Storages:
    """All storages of one file: first their types, as the pickle names them, then their bytes.

    Attributes:
        dtypes: type of the values of each storage.
        content: bytes of each storage.
    """

    dtypes: dict[str, torch.dtype] = field(default_factory=dict)
    content: dict[str, memoryview] = field(default_factory=dict)

    def persistent(self, identity: Any) -> Any:
        """Data for a persistent id: the reference of a storage, or the name of a module's class.

        Raises:
            ArtifactError: if the id is neither.
        """
        match identity:
            case ("module", Name() as name, *_):
                return name
            case ("storage", Name() as kind, str() | int() as key, _location, _count, *views):
                dtype = _DTYPES.get(kind.qualname) if kind.module in ("torch", "torch.cuda") else None
                if dtype is not None and self.dtypes.setdefault(str(key), dtype) == dtype:
                    offset = views[0][1] if views and views[0] is not None else 0
                    return StorageRef(str(key), dtype, _counted(offset))
        raise ArtifactError("its pickle refers to something outside that is no storage of a tensor: it is refused")

    def interpreter(self) -> Interpreter:
        """An interpreter whose tensors refer to these storages."""
        makers = {"torch._utils._rebuild_tensor": self._tensor, "torch._utils._rebuild_tensor_v2": self._tensor}
        return Interpreter(admit, constructor(makers), self.persistent)

    def _tensor(self, args: tuple[Any, ...]) -> "StoredTensor":
        storage, offset, size, stride, *_ = args
        if not isinstance(storage, StorageRef):
            raise TypeError("a tensor without a storage")
        start = storage.offset + _counted(offset)
        shape, strides = tuple(map(_counted, size)), tuple(map(_counted, stride))
        if len(shape) != len(strides):
            raise ValueError("a tensor with more sizes than strides, or fewer")
        return StoredTensor(self, storage.key, start, shape, strides)


def _counted(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"a {type(value).__name__} where a count is due")
    return value


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that is read when it is asked for.

    Attributes:
        storages: where its bytes are.
        key: its storage.
        offset: first value in the storage.
        shape: number of values in each direction.
        strides: distance of neighbours in each direction, in values.
    """

    storages: Storages
    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def read(self) -> Tensor:
        """The tensor, with memory of its own.

        Raises:
            ArtifactError: if its storage is missing or smaller than the tensor.
        """
        dtype = self.storages.dtypes[self.key]
        content = self.storages.content.get(self.key)
        count, last = 1, self.offset
        for size, stride in zip(self.shape, self.strides, strict=True):
            count *= size
            last += (size - 1) * stride
        if count == 0:
            return torch.empty(self.shape, dtype=dtype)
        held = 0 if content is None else len(content) // dtype.itemsize
        # A stride of 0 would make a tensor of any size out of one value, so the number of values is held to it too.
        if content is None or last >= held or count > held:
            raise ArtifactError(f"truncated or damaged: a tensor of {self.shape} in a storage of {held} values")
        part = bytearray(content[self.offset * dtype.itemsize : (last + 1) * dtype.itemsize])
        return torch.as_strided(torch.frombuffer(part, dtype=dtype), self.shape, self.strides).contiguous()
