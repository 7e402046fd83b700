"""Downloads that resume, are verified, and say plainly when a server sent something else than the file."""

import contextlib
import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ood_bench.data.source import md5_fault
from ood_bench.data.transfer import (
    CutError,
    Pace,
    RefusedError,
    check_address,
    continues,
    is_web_page,
    read,
    refuse_other_content,
    request,
    stated_length,
)
from ood_bench.errors import DataError
from ood_bench.utils.files import clear_io_errors, sha256_file
from ood_bench.utils.locks import locked
from ood_bench.utils.progress import ticking

__all__ = ["DATA_ROOT", "MOST_BYTES", "download", "is_web_page"]

DATA_ROOT = "data.root (--root, or OOD_BENCH_DATA)"
"""How messages name the choice of another place for downloads."""
MOST_BYTES = 40 << 30
_log = logging.getLogger(__name__)
_ATTEMPTS = 3
_PAUSE = 1.0
_CHUNK = 1 << 18
_HEAD = 1 << 12


@dataclass(frozen=True)
class Expected:
    """Sums and length in bytes of a file that is to be fetched, as far as they are known; see :func:`download`."""

    md5: str | None = None
    size: int | None = None
    sha256: str | None = None

    @property
    def has_sum(self) -> bool:
        """Whether it can be told if parts belong together."""
        return self.md5 is not None or self.sha256 is not None

    def fault(self, path: Path) -> str | None:
        """What is wrong with ``path``, or none."""
        if self.size is not None and (size := path.stat().st_size) != self.size:
            return f"it holds {size:,} bytes, not {self.size:,}"
        fault = None if self.md5 is None else md5_fault(path, self.md5)
        if self.sha256 is not None and not (found := sha256_file(path)).startswith(self.sha256):
            fault = f"SHA-256 is {found}, not {self.sha256}"
        return fault and f"its {fault}"


def download(
    mirrors: Sequence[str],
    destination: Path,
    *,
    md5: str | None = None,
    size: int | None = None,
    sha256: str | None = None,
    setting: str = DATA_ROOT,
) -> None:
    """Fetches one file from the first mirror that delivers it, and moves it into place once it is verified.

    A transfer that broke off goes on where it stopped (``<destination>.part``), now or in a later call; without a sum,
    which alone tells whether the parts belong together, it begins again. It ends when the server sends more than
    ``size`` (or 40 GiB), or fewer than 1,024 bytes a second for a minute.

    Args:
        mirrors: http or https addresses of the same file.
        destination: where to put it; a file that is there and right is kept.
        md5: MD5 that the file must have.
        size: length in bytes that the file must have.
        sha256: SHA-256 that the file must have, or its first digits.
        setting: how messages name the choice of another place.

    Raises:
        DataError: if no mirror delivers the file; every mirror's failure is named.
        ArtifactError: if it cannot be written.
    """
    with locked(destination, setting=setting), clear_io_errors("write", destination, setting):
        _obtain(mirrors, destination, Expected(md5, size, sha256))


def _obtain(mirrors: Sequence[str], destination: Path, expected: Expected) -> None:
    if destination.exists():
        if (fault := expected.fault(destination)) is not None:
            raise DataError(f"{destination} is there but {fault}; delete it and fetch it again")
        return
    part = destination.with_name(destination.name + ".part")
    failures = []
    for mirror in mirrors:
        try:
            _from_mirror(mirror, part, expected)
        except RefusedError as error:
            failures.append(f"  {mirror}: {error}")
            _log.warning("%s", failures[-1].strip())
        else:
            part.replace(destination)
            if not expected.has_sum:
                text = "%s: no checksum is known: the %s bytes that came were not verified"
                _log.warning(text, destination, f"{destination.stat().st_size:,}")
            return
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DataError(f"{destination.name} could not be fetched:\n{tried}\nGet it by hand and put it at {destination}")


def _from_mirror(address: str, part: Path, expected: Expected) -> None:
    """Completes ``part`` from one mirror.

    Raises:
        RefusedError: if the mirror does not deliver the file that is expected.
    """
    check_address(address)
    reason = ""
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE)
        if not expected.has_sum:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        try:
            if not (resumed and expected.fault(part) is None):
                _transfer(address, part, expected.size)
        except CutError as error:
            reason = str(error)
            continue
        if (fault := expected.fault(part)) is None:
            return
        part.unlink()
        reason = f"the file came whole but {fault}"
        if not resumed:
            break
    raise RefusedError(reason)


def _transfer(address: str, part: Path, size: int | None) -> None:
    """One request, from where ``part`` ends if the server can do that, from the start otherwise.

    Raises:
        CutError: if the transfer may succeed when tried again.
        RefusedError: if it will not.
    """
    offset = part.stat().st_size if part.exists() else 0
    most = size if size is not None else min(MOST_BYTES, offset + shutil.disk_usage(part.parent).free)
    with contextlib.closing(request(address, part, offset)) as response:
        if not continues(response, offset):
            offset = 0
        left = stated_length(response)
        if left is not None and size is not None and offset + left != size:
            raise RefusedError(f"the server offers {offset + left:,} bytes, not {size:,}")
        if left is not None and offset + left > most:
            raise RefusedError(f"the server offers {offset + left:,} bytes, more than fits (at most 40 GiB)")
        if left is None and size is not None:
            left = size - offset
        pace, head = Pace(), b""
        while len(head) < _HEAD and (chunk := read(response, _HEAD - len(head), pace)):
            head += chunk
        refuse_other_content(response, head, offset)
        with (
            part.open("ab" if offset else "wb") as file,
            ticking(f"fetching {part.stem}", left or 0, "bytes") as ticker,
        ):
            chunk, done = head, 0
            while chunk:
                file.write(chunk)
                done += len(chunk)
                ticker.advance(len(chunk))
                if offset + done > most:
                    break
                chunk = read(response, min(_CHUNK, most + 1 - offset - done), pace)
    if offset + done > most:
        part.unlink()
        raise RefusedError(f"the server sends more than {most:,} bytes")
    if left is not None and done < left:
        raise CutError(f"the connection was cut after {offset + done:,} of {offset + left:,} bytes")
