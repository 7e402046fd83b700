"""The two layouts of ``torch.save``, read without torch's unpickler: the zip archive, and the stream before it."""

import io
import struct
import zipfile
from typing import Any

from ood_bench.checkpoints.storages import Storages
from ood_bench.errors import ArtifactError

LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
_PROTOCOL = 1001
_AGAIN = "download it again"


def read_legacy(content: bytes) -> Any:
    """Tree of a file in the layout of PyTorch 0.1.10 to 1.5: five pickles, then the storages' bytes.

    Args:
        content: the whole file.

    Returns:
        What was saved, with :class:`~ood_bench.checkpoints.storages.StoredTensor` for tensors and inert records for
        objects.

    Raises:
        ArtifactError: if the file is damaged, or its pickles want something that is refused.
    """
    file, storages = io.BytesIO(content), Storages()
    interpreter = storages.interpreter()
    _, protocol, system = (interpreter.load(file) for _ in range(3))
    if protocol != _PROTOCOL or not isinstance(system, dict):
        raise ArtifactError("not a layout of torch.save that this reader knows")
    if not system.get("little_endian", True):
        raise ArtifactError("written on a big-endian machine: save it again on a common one")
    tree, keys = interpreter.load(file), interpreter.load(file)
    if not isinstance(keys, list):
        raise ArtifactError(f"damaged (no list of storages): {_AGAIN}")
    start = file.tell()
    for number, key in enumerate(map(str, keys)):
        dtype = storages.dtypes.get(key)
        if dtype is None or start + 8 > len(content):
            raise ArtifactError(f"truncated or damaged at storage {number + 1} of {len(keys)}: {_AGAIN}")
        (count,) = struct.unpack_from("<q", content, start)
        end = start + 8 + count * dtype.itemsize
        if count < 0 or end > len(content):
            raise ArtifactError(f"truncated in storage {number + 1} of {len(keys)}: {_AGAIN}")
        storages.content[key] = memoryview(content)[start + 8 : end]
        start = end
    return tree


def read_zip(content: bytes, limit: int) -> Any:
    """Tree of a file in the layout of PyTorch since 1.6: a zip archive of one pickle and one entry a storage.

    Args:
        content: the whole file.
        limit: most bytes that the archive may unpack to.

    Raises:
        ArtifactError: as :func:`read_legacy`, or if it unpacks to more than the limit.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            pickles = [name for name in sizes if name.split("/")[1:] == ["data.pkl"]]
            if len(pickles) != 1:
                raise ArtifactError(f"damaged ({len(pickles)} entries data.pkl): {_AGAIN}")
            root = pickles[0].removesuffix("data.pkl")
            if sum(sizes.values()) > limit:
                raise ArtifactError(f"unpacks to more than {limit >> 30} GiB: no checkpoint is that large")
            if f"{root}byteorder" in sizes and archive.read(f"{root}byteorder") != b"little":
                raise ArtifactError("written on a big-endian machine: save it again on a common one")
            storages = Storages()
            tree = storages.interpreter().load(io.BytesIO(archive.read(f"{root}data.pkl")))
            for key in storages.dtypes:
                if (name := f"{root}data/{key}") in sizes:
                    storages.content[key] = memoryview(archive.read(name))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ArtifactError(f"truncated or damaged ({error}): {_AGAIN}") from error
    return tree
