"""What a downloaded file is, and the checkpoint inside it: wrappers are taken off in memory, never on the disk."""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from enum import Enum

from ood_bench.data.download import is_web_page
from ood_bench.errors import ArtifactError

AGAIN = "download it again"
# In the layout of PyTorch 0.1.10 to 1.5, a magic number and a version come first, each as a pickle.
_LEGACY_START = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."
_UNPACKED_LIMIT = 8 << 30
_FREE, _MOST_PACKED = 64 << 20, 20
_CHUNK = 1 << 22
_MOST_NAMES = 50_000
_TAR_MAGIC = slice(257, 262)
_OLD_TAR_MEMBERS = {"sys_info", "pickle", "tensors", "storages"}


class Layout(Enum):
    """Layouts that hold tensors."""

    zip = "zip"
    legacy = "legacy"
    safetensors = "safetensors"


def unwrap(content: bytes) -> tuple[bytes, Layout]:
    """Takes gzip, tar and zip wrappers off a checkpoint.

    Args:
        content: the whole file.

    Returns:
        The checkpoint's bytes and layout.

    Raises:
        ArtifactError: if it is a web page, empty, damaged, of an unknown layout, or holds several files.
    """
    limit = min(_UNPACKED_LIMIT, _FREE + _MOST_PACKED * len(content))
    for _ in range(4):
        _refuse_others(content)
        if content[:2] == b"\x1f\x8b":
            content = _gunzip(content, limit)
        elif content[_TAR_MAGIC] == b"ustar":
            content = _only_member_of_tar(content, limit)
        elif content[:4] == b"PK\x03\x04":
            inner = _only_member_of_zip(content, limit)
            if inner is None:
                return content, Layout.zip
            content = inner
        elif content.startswith(_LEGACY_START):
            return content, Layout.legacy
        elif content[8:9] == b"{" and int.from_bytes(content[:8], "little") + 8 <= len(content):
            return content, Layout.safetensors
        else:
            raise ArtifactError(
                "not a checkpoint that this reader knows (torch.save in either layout, or safetensors, as it is or in "
                "a gzip, tar or zip file); is it truncated, or another kind of file?"
            )
    raise ArtifactError("wrapped in archives more than three deep: unpack it first")


def _refuse_others(content: bytes) -> None:
    if not content:
        raise ArtifactError("empty", AGAIN)
    if is_web_page(content):
        raise ArtifactError(
            "a web page that was saved under the name of a checkpoint (the download asked for a confirmation or the "
            "link has expired): open the link in a browser, or use its direct form (Dropbox: ?dl=1)"
        )
    if content.startswith(b"version https://git-lfs"):
        raise ArtifactError("a Git LFS pointer, not the file itself: run git lfs pull where it came from")


def _gunzip(content: bytes, limit: int) -> bytes:
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            return _in_chunks(stream.read, limit)
    except (OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"a truncated or damaged gzip file ({error})", AGAIN) from error


def _in_chunks(read: Callable[[int], bytes], limit: int) -> bytes:
    """All of a stream, whose decompressor then never holds more than a chunk, however much it may unpack to."""
    unpacked = io.BytesIO()
    while chunk := read(_CHUNK):
        unpacked.write(chunk)
        _hold_to_limit(unpacked.tell(), limit)
    return unpacked.getvalue()


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """A file in a zip archive, whose declared size has been held to the limit."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others cannot be unpacked in chunks
        raise ArtifactError("a zip file with an unusual compression: unpack it first")
    with archive.open(entry) as stream:
        return _in_chunks(stream.read, entry.file_size)


def _hold_to_limit(size: int, limit: int) -> None:
    if size > limit:
        raise ArtifactError(f"unpacks to more than {limit >> 20} MiB, more than a checkpoint of its size can hold")


def check_names(names: Iterable[str]) -> None:
    """Refuses the names of an archive's files, or of a file's tensors, of which one is there twice, or far too many.

    Raises:
        ArtifactError: with what is wrong.
    """
    listed = list(names)
    if len(listed) > _MOST_NAMES:
        raise ArtifactError(f"it holds {len(listed):,} parts, more than a network has")
    if len(set(listed)) != len(listed):
        raise ArtifactError("damaged (it holds a name twice)", AGAIN)


def _only_one(names: list[str]) -> str:
    if len(names) != 1:
        listed = ", ".join(sorted(names)[:12]) or "none"
        raise ArtifactError(f"an archive of {len(names)} files ({listed}): unpack it and import one of them")
    return names[0]


def _only_member_of_tar(content: bytes, limit: int) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            files = [entry for entry in archive.getmembers() if entry.isfile()]
            check_names(entry.name for entry in files)
            members = {entry.name: entry for entry in files}
            if members.keys() >= _OLD_TAR_MEMBERS:
                raise ArtifactError(
                    "written by PyTorch before 0.1.10, in a layout of tar files that is not supported: load it with "
                    "PyTorch 1.x in a container without network, and save the state_dict()"
                )
            entry = members[_only_one([name for name in members if not _hidden(name)])]
            _hold_to_limit(entry.size, limit)
            member = archive.extractfile(entry)
            inner = b"" if member is None else member.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"a truncated or damaged tar file ({error})", AGAIN) from error
    if len(inner) != entry.size:
        raise ArtifactError("a truncated tar file", AGAIN)
    return inner


def _only_member_of_zip(content: bytes, limit: int) -> bytes | None:
    """The archive's only file, or none if the archive is itself a checkpoint."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _hold_to_limit(sum(entry.file_size for entry in archive.infolist()), limit)
            check_names(map(str.lower, archive.namelist()))  # torch takes names of any case for one
            entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
            if any(name.split("/")[1:] == ["constants.pkl"] for name in entries):
                raise ArtifactError("a TorchScript archive: save the network's state_dict() from it instead")
            if any(name.split("/")[1:] == ["data.pkl"] for name in entries):
                return None
            entry = entries[_only_one([name for name in entries if not _hidden(name)])]
            return _member(archive, entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ArtifactError(f"a truncated or damaged zip file ({error})", AGAIN) from error


def _hidden(name: str) -> bool:
    """Whether a file only describes others, as the ``._`` files and the ``__MACOSX`` folder of a Mac do."""
    return name.rsplit("/", 1)[-1].startswith(".") or name.startswith("__MACOSX/")


def torch_archive(content: bytes) -> tuple[io.BytesIO, dict[str, int]]:
    """The zip archive of a checkpoint again, with only what belongs to the network, each entry once and checked.

    Torch's reader checks neither sums nor sizes, and may find other entries in a crooked archive than Python does.

    Args:
        content: the archive as it came.

    Returns:
        The archive for ``torch.load``, and the number of bytes of each storage.

    Raises:
        ArtifactError: if it is not the archive of one network.
    """
    clean = io.BytesIO()
    sizes: dict[str, int] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(clean, "w") as copy:
        names = archive.namelist()
        roots = [name.removesuffix("data.pkl") for name in names if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise ArtifactError("damaged (an archive of several pickles)", AGAIN)
        copy.writestr("archive/version", "3")
        for name in names:
            kind, _, key = name.removeprefix(roots[0]).partition("/")
            if name.startswith(roots[0]) and kind in ("data", "data.pkl", "byteorder"):
                entry = _member(archive, archive.getinfo(name))
                copy.writestr(f"archive/{kind}/{key}" if key else f"archive/{kind}", entry)
                if kind == "data":
                    sizes[key] = len(entry)
    clean.seek(0)
    return clean, sizes
