"""What a downloaded file is, and the checkpoint inside it: wrappers are taken off in memory, never on the disk."""

import gzip
import io
import tarfile
import zipfile
import zlib
from enum import Enum

from ood_bench.checkpoints.archives import LEGACY_START
from ood_bench.data.download import is_web_page
from ood_bench.errors import ArtifactError

UNPACKED_LIMIT = 8 << 30
_CHUNK = 1 << 22
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
    for _ in range(4):
        _refuse_others(content)
        if content[:2] == b"\x1f\x8b":
            content = _gunzip(content)
        elif content[_TAR_MAGIC] == b"ustar":
            content = _only_member_of_tar(content)
        elif content[:4] == b"PK\x03\x04":
            inner = _only_member_of_zip(content)
            if inner is None:
                return content, Layout.zip
            content = inner
        elif content.startswith(LEGACY_START):
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
        raise ArtifactError("empty: download it again")
    if is_web_page(content):
        raise ArtifactError(
            "a web page that was saved under the name of a checkpoint (the download asked for a confirmation or the "
            "link has expired): open the link in a browser, or use its direct form (Dropbox: ?dl=1)"
        )
    if content.startswith(b"version https://git-lfs"):
        raise ArtifactError("a Git LFS pointer, not the file itself: run git lfs pull where it came from")


def _gunzip(content: bytes) -> bytes:
    unpacked = io.BytesIO()
    try:
        with gzip.open(io.BytesIO(content)) as stream:
            while chunk := stream.read(_CHUNK):
                unpacked.write(chunk)
                _hold_to_limit(unpacked.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise ArtifactError(f"a truncated or damaged gzip file ({error}): download it again") from error
    return unpacked.getvalue()


def _hold_to_limit(size: int) -> None:
    if size > UNPACKED_LIMIT:
        raise ArtifactError(f"unpacks to more than {UNPACKED_LIMIT >> 30} GiB: no checkpoint is that large")


def _only_one(names: list[str]) -> str:
    if len(names) != 1:
        listed = ", ".join(sorted(names)[:12]) or "none"
        raise ArtifactError(f"an archive of {len(names)} files ({listed}): unpack it and import one of them")
    return names[0]


def _only_member_of_tar(content: bytes) -> bytes:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            members = {entry.name: entry for entry in archive.getmembers() if entry.isfile()}
            if members.keys() >= _OLD_TAR_MEMBERS:
                raise ArtifactError(
                    "written by PyTorch before 0.1.10, in a layout of tar files that is not supported: load it with "
                    "PyTorch 1.x in a container without network, and save the state_dict()"
                )
            entry = members[_only_one([name for name in members if not _hidden(name)])]
            _hold_to_limit(entry.size)
            member = archive.extractfile(entry)
            inner = b"" if member is None else member.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ArtifactError(f"a truncated or damaged tar file ({error}): download it again") from error
    if len(inner) != entry.size:
        raise ArtifactError("a truncated tar file: download it again")
    return inner


def _only_member_of_zip(content: bytes) -> bytes | None:
    """The archive's only file, or none if the archive is itself a checkpoint."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist() if not entry.is_dir()}
            if any(name.split("/")[1:] == ["constants.pkl"] for name in entries):
                raise ArtifactError("a TorchScript archive: save the network's state_dict() from it instead")
            if any(name.split("/")[1:] == ["data.pkl"] for name in entries):
                return None
            entry = entries[_only_one([name for name in entries if not _hidden(name)])]
            _hold_to_limit(entry.file_size)
            return archive.read(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        raise ArtifactError(f"a truncated or damaged zip file ({error}): download it again") from error


def _hidden(name: str) -> bool:
    """Whether a file only describes others, as the ``._`` files and the ``__MACOSX`` folder of a Mac do."""
    return name.rsplit("/", 1)[-1].startswith(".") or name.startswith("__MACOSX/")
