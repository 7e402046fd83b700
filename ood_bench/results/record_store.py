"""A folder of records that many processes may write at once, and that nothing overwrites."""

import errno
import gc
import logging
import os
import re
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from ood_bench.errors import RecordError
from ood_bench.results.record import Record, address, sealed
from ood_bench.utils.files import clear_io_errors, staged_file
from ood_bench.utils.locks import locked

_log = logging.getLogger(__name__)
_PIECE = 1 << 16
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Problem(NamedTuple):
    """A file among the records that is not one: where it lies and what is wrong with it."""

    path: Path
    reason: str


def slug(text: str) -> str:
    """``text`` as a part of a folder's name: lower case, one dash for whatever is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class RecordStore:
    """Records below ``root/records``, one JSON file each.

    Attributes:
        root: the results folder.
        problems: what the last :meth:`load` could not read.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.problems: list[Problem] = []

    @property
    def folder(self) -> Path:
        """The folder of all records."""
        return self.root / "records"

    def path(self, record: Record) -> Path:
        """Where ``record`` belongs."""
        return self.folder / _place_of(record)

    def write(self, record: Record) -> Path:
        """Adds a record, whole or not at all; never overwrites.

        Returns:
            Its path; that of the earlier record where one with the same content exists. Times and machine may
            differ.

        Raises:
            RecordError: if the record is not valid, or another with the same key but other content is there.
            ArtifactError: if the disk is full or the folder may not be written.
        """
        path = self.path(record)
        try:
            text = record.to_json()
        except ValueError as error:
            raise RecordError(f"{path}: not a valid record: {error}") from error
        valid = Record.from_json(text, path)
        if not _place(path, sealed(text).encode()):
            self._agree(path, valid)
        return path

    def _agree(self, path: Path, record: Record) -> None:
        """Raises unless the record at ``path`` has the content of ``record``."""
        there = self._read_in_place(path)[0].substance()
        new = record.substance()
        if "selective" not in there:  # it is from before these metrics, which make it no other result
            new.pop("selective", None)
        if differing := sorted(key for key in new if new[key] != there.get(key)):
            raise RecordError(
                f"{path} exists and differs in {', '.join(differing)}: the same cell gave another result. To keep the "
                f"new one, delete the file or {self._hint(path)}; then run the cell again."
            )

    def _hint(self, path: str | Path) -> str:
        return f"set it aside with `ood-bench report --results {quote(str(self.root))} --set-aside {quote(str(path))}`"

    def _read(self, path: str | Path) -> tuple[Record, bytes]:
        """One record and its file's content; raises :class:`RecordError` if it cannot be read or is not valid."""
        try:
            content = _content(path)
            return Record.from_json(content, path), content
        except OSError as error:
            raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
        except RecordError as error:
            raise RecordError(f"{error}; restore the file or {self._hint(path)}") from error

    def load(self) -> list[Record]:
        """Reads every record, sorted by path; a file that is not a valid record is logged and left out."""
        collects = gc.isenabled()
        gc.disable()  # it would walk again and again over the many objects that are made here to stay
        try:
            return [record for record, _ in self.each()]
        finally:
            if collects:
                gc.enable()

    def each(self) -> Iterator[tuple[Record, bytes]]:
        """As :meth:`load`, one record after the other, with its file's content; none is kept."""
        self.problems = []
        for path in _record_files(self.folder):
            try:
                yield self._read_in_place(path)
            except RecordError as error:
                self.problems.append(Problem(Path(path), str(error)))
                _log.warning("left out: %s", error)

    def _read_in_place(self, path: str | Path) -> tuple[Record, bytes]:
        """Reads a record and raises unless its content belongs at ``path``, as a copied file's does not."""
        record, content = self._read(path)
        if not os.fspath(path).endswith(f"{os.sep}{_place_of(record)}"):
            place = self.path(record)
            raise RecordError(f"{path}: lies in the wrong place: its content belongs at {place}; {self._hint(path)}")
        return record, content

    def find_all(self, addresses: Iterable[str]) -> dict[str, Record]:
        """The records with these addresses, by address; one look at the folder for all of them.

        Raises:
            RecordError: if a file is damaged or in the wrong place, or two carry one key: better known before a cell is
                computed than after.
        """
        return {one: self._read_in_place(path)[0] for one, path in self.find_paths(addresses).items()}

    def find_paths(self, addresses: Iterable[str]) -> dict[str, Path]:
        """Files of the records with these addresses (:attr:`Record.address`), unread.

        Raises:
            RecordError: if two files carry one address.
        """
        return self.listing().find(addresses)

    def listing(self) -> "Listing":
        """All record files as they are, unread."""
        return Listing(self.folder, _record_files(self.folder))

    def set_aside(self, path: Path) -> Path:
        """Moves a file out of the records to ``root/set-aside``, with the same path below that.

        Returns:
            Its new path.

        Raises:
            RecordError: if ``path`` is not a file below the records, or was set aside before.
            ArtifactError: if it cannot be moved.
        """
        try:
            inside = Path(path).resolve().relative_to(self.folder.resolve())
        except ValueError as error:
            raise RecordError(f"{path}: not below {self.folder}") from error
        source, target = self.folder / inside, self.root / "set-aside" / inside
        if not source.is_file():
            raise RecordError(f"{path}: no such file")
        if target.exists():
            raise RecordError(f"{target} exists: remove or rename it first")
        with clear_io_errors("set a record aside", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        return target


class Listing:
    """Record files by address, as they were at one look at their folder.

    Args:
        folder: the folder of all records.
        files: paths below it, sorted.
    """

    def __init__(self, folder: Path, files: Iterable[str]) -> None:
        self._files: dict[str, list[str]] = {}
        for file in files:
            id_name, *_, ood_name, name = file[len(str(folder)) + 1 :].split(os.sep)
            key = name.removesuffix(".json").rpartition("-")[2]
            self._files.setdefault(address(id_name, ood_name, key), []).append(file)

    @property
    def addresses(self) -> Set[str]:
        """Addresses of all files."""
        return self._files.keys()

    def find(self, addresses: Iterable[str]) -> dict[str, Path]:
        """Files of the records with these addresses (:attr:`Record.address`), sorted.

        Raises:
            RecordError: if two files carry one address.
        """
        found = {one: self._files[one] for one in addresses if one in self._files}
        for files in found.values():
            if len(files) > 1:
                raise RecordError(f"one cell has more than one record: {', '.join(files)}")
        return {one: Path(file) for one, (file,) in sorted(found.items(), key=lambda pair: pair[1])}


def _content(path: str | Path) -> bytes:
    """A file's content, by system calls alone: a file object takes twice as long, and there are many files."""
    file, parts = os.open(path, os.O_RDONLY | os.O_CLOEXEC), []
    try:
        while part := os.read(file, _PIECE):
            parts.append(part)
            if len(part) < _PIECE:
                break
    finally:
        os.close(file)
    return b"".join(parts)


def _place_of(record: Record) -> str:
    """Where a record belongs below the folder of all."""
    variant = slug(record.variant)
    method = f"{record.method}-{variant}" if variant else record.method
    name = f"seed{record.seed}-{record.cell_key}.json"
    return os.sep.join((record.id, record.model, record.protocol, method, record.ood, name))


def _record_files(folder: Path) -> list[str]:
    """Every ``*.json`` below ``folder`` but for hidden ones (half-written), sorted; text, for there are many."""
    files = (
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.endswith(".json") and name[0] != "."
    )
    return sorted(files, key=lambda file: file.split(os.sep))


def _place(path: Path, content: bytes) -> bool:
    """Puts ``content`` at ``path`` in one step unless something is there; says whether it did."""
    with clear_io_errors("write a record", path), staged_file(path, content) as staged:
        try:
            os.link(staged, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            with locked(path.parent / ".records"):
                if path.exists():
                    return False
                staged.rename(path)
        return True
