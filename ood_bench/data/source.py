"""What every source of images can do: say what it is, whether it is there, how to get it, and read it."""

import hashlib
import shlex
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from ood_bench.data.imageset import ImageSet
from ood_bench.errors import DataError
from ood_bench.utils.build import Strict
from ood_bench.utils.configs import conf_dir

_ANOTHER = "delete it and get it again"


def not_keyed(default: Any) -> Any:
    """A field that says where images come from but does not change them, so it stays out of the identity."""
    return field(default=default, metadata={"keyed": False})


def stamp(path: Path, root: Path) -> dict[str, Any]:
    """What tells one state of a file from another without reading it: relative path, size and time of change."""
    status = path.stat()
    return {"path": path.relative_to(root).as_posix(), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def md5_file(path: Path) -> str:
    """MD5 of a file's bytes, as 32 hex digits: what the publishers of the sets state; not a safeguard."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check_md5(path: Path, md5: str, hint: str = _ANOTHER, *, shown: Path | None = None) -> None:
    """Compares a file with the sum that its publisher states.

    Args:
        path: the file.
        md5: 32 hex digits.
        hint: what to do about another file.
        shown: what the message calls the file, if not ``path``.

    Raises:
        DataError: if the file has another MD5.
    """
    if (fault := md5_fault(path, md5)) is not None:
        raise DataError(f"{shown or path}: {fault}, so it is incomplete or changed", hint)


def md5_fault(path: Path, md5: str) -> str | None:
    """What is wrong with a file's MD5, or none; ``md5`` is 32 hex digits in any case."""
    found = md5_file(path)
    return None if found == md5.lower() else f"MD5 is {found}, not {md5}"


@dataclass(frozen=True, kw_only=True)
class Source(Strict, ABC):
    """One split of one image set, before it is read.

    Attributes:
        name: canonical name, as in the published tables.
        variant: what the pixels are when they are not the official release; empty otherwise.
        kind: the value of ``kind`` in a config that builds this class.
        reader: number of the reading code; raised when the same files are to give other pixels.
        always_channels: channels of the images, if it is the same for all sets of the kind.
    """

    name: str = not_keyed("")
    variant: str = not_keyed("")
    kind: ClassVar[str]
    reader: ClassVar[int] = 1
    always_channels: ClassVar[int | None] = None

    def parameters(self) -> dict[str, Any]:
        """The settings that change the content, by name."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.metadata.get("keyed", True)}

    def inputs(self, root: Path) -> list[Path]:
        """The files under ``root`` that the content is read from; none for what is generated or bundled."""
        return []

    def stamps(self, root: Path) -> Any:
        """State of the input files, JSON-able, without reading them."""
        return [stamp(path, root) for path in self.inputs(root)]

    def identity(self, root: Path) -> dict[str, Any]:
        """Everything that determines the content, JSON-able, found without reading a pixel.

        Raises:
            DataError: if the files are not there.
        """
        if (message := self.missing(root)) is not None:
            raise DataError(message)
        return {
            "kind": self.kind,
            "reader": self.reader,
            "parameters": self.parameters(),
            "files": self.stamps(root),
        }

    @property
    def full_variant(self) -> str:
        """The variant as tables print it, with what this source's settings did to the pixels."""
        return self.variant

    @property
    def channels(self) -> int | None:
        """Channels of the images, or none if only the files tell."""
        return self.always_channels

    def lacking(self, root: Path) -> str | None:
        """None if the images can be read; otherwise which file or folder is expected where."""
        return None

    def missing(self, root: Path) -> str | None:
        """None if the images can be read; otherwise what is expected where, and how to get it."""
        try:
            what = self.lacking(root)
        except OSError as error:
            what = f"{error.filename} cannot be looked at: {error.strerror}"
        if what is None:
            return None
        if self.fetchable and any((conf_dir() / group / f"{self.name}.yaml").is_file() for group in ("id", "ood")):
            return (
                f"{self.name}: {what}; fetch it with: ood-bench data fetch {self.name} --root {shlex.quote(str(root))}"
            )
        if self.fetchable:
            return f"{self.name}: {what}; add data.download=true to the run, and it is fetched"
        return f"{self.name}: {what}; no mirror is known; get it by hand: {self.origin()}"

    def origin(self) -> str:
        """Where the files come from, or how to get them by hand: one line."""
        return "generated"

    @property
    def fetchable(self) -> bool:
        """Whether :meth:`fetch` knows a mirror, as kinds that replace it do."""
        return type(self).fetch is not Source.fetch

    def fetch(self, root: Path) -> None:
        """Downloads what is missing under ``root``.

        Raises:
            DataError: if no mirror is known, or every mirror failed.
        """
        if (message := self.missing(root)) is not None:
            raise DataError(message)

    def stream(self, root: Path) -> ImageSet | None:
        """The set with :class:`~ood_bench.data.stream.StreamedImages`, for kinds that are image files; by default none.

        Its fingerprint is that of :meth:`identity`, since no pixel has been read.

        Raises:
            DataError: as :meth:`read`.
        """
        return None

    @abstractmethod
    def read(self, root: Path) -> ImageSet:
        """Reads, checks and decodes the whole set.

        Raises:
            DataError: if a file is missing, incomplete, corrupt or not the released one.
        """
