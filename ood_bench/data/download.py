"""Downloads that resume, are verified, and say plainly when a server sent something else than the file."""

import contextlib
import html
import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ood_bench.data.source import md5_file
from ood_bench.errors import DataError
from ood_bench.utils.locks import locked
from ood_bench.utils.progress import ticking

_log = logging.getLogger(__name__)
_TIMEOUT = 30.0
_ATTEMPTS = 3
_PAUSE = 1.0
_CHUNK = 1 << 18
_AGENT = "ood-bench (data set download)"
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


class _RefusedError(Exception):
    """This mirror does not have the file; another may."""


class _CutError(Exception):
    """The transfer broke off; going on may help."""


@dataclass(frozen=True)
class Expected:
    """MD5 and length in bytes of a file that is to be fetched, as far as its publisher states them."""

    md5: str | None
    size: int | None

    def fault(self, path: Path) -> str | None:
        """What is wrong with ``path``, or none."""
        if self.size is not None and (size := path.stat().st_size) != self.size:
            return f"it holds {size:,} bytes, not {self.size:,}"
        if self.md5 is not None and (found := md5_file(path)) != self.md5.lower():
            return f"its MD5 is {found}, not {self.md5}"
        return None


def is_web_page(head: bytes) -> bool:
    """Whether leading bytes are those of a web page or XML answer, such as a "file not found" saved as an archive."""
    start = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<script", b"<?xml"))


def download(mirrors: Sequence[str], destination: Path, *, md5: str | None = None, size: int | None = None) -> None:
    """Fetches one file from the first mirror that delivers it, and moves it into place once it is verified.

    A transfer that broke off goes on where it stopped (``<destination>.part``), now or in a later call.

    Args:
        mirrors: http or https addresses of the same file.
        destination: where to put it; a file that is there and right is kept.
        md5: MD5 that the file must have.
        size: length in bytes that the file must have.

    Raises:
        DataError: if no mirror delivers the file, or it cannot be written; every mirror's failure is named.
    """
    expected = Expected(md5, size)
    try:
        with locked(destination):
            _obtain(mirrors, destination, expected)
    except OSError as error:
        hint = "free some space, or choose another data root (--root, or OOD_BENCH_DATA)"
        raise DataError(f"cannot write {destination}: {error.strerror or error}; {hint}") from error


def _obtain(mirrors: Sequence[str], destination: Path, expected: Expected) -> None:
    if destination.exists():
        if (fault := expected.fault(destination)) is not None:
            raise DataError(f"{destination} is there but {fault}; delete it and fetch it again")
        return
    part = destination.with_name(destination.name + ".part")
    if expected.md5 is None:
        part.unlink(missing_ok=True)
    failures = []
    for mirror in mirrors:
        try:
            _from_mirror(mirror, part, expected)
        except _RefusedError as error:
            _log.warning("%s: %s", mirror, error)
            failures.append(f"  {mirror}: {error}")
        else:
            part.replace(destination)
            return
    tried = "\n".join(failures) or "  (no mirror is known)"
    raise DataError(f"{destination.name} could not be fetched:\n{tried}\nGet it by hand and put it at {destination}")


def _from_mirror(address: str, part: Path, expected: Expected) -> None:
    """Completes ``part`` from one mirror.

    Raises:
        _RefusedError: if the mirror does not deliver the file that is expected.
    """
    if (scheme := urllib.parse.urlsplit(address).scheme) not in ("http", "https"):
        raise _RefusedError(f"{scheme or 'no scheme'}: only http and https are fetched")
    reason = ""
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE)
        resumed = part.exists()
        try:
            if not (resumed and expected.md5 is not None and expected.fault(part) is None):
                _transfer(address, part, expected.size)
        except _CutError as error:
            reason = str(error)
            continue
        if (fault := expected.fault(part)) is None:
            return
        part.unlink()
        reason = f"the file came whole but {fault}"
        if not resumed:
            break
    raise _RefusedError(reason)


def _transfer(address: str, part: Path, size: int | None) -> None:
    """One request, from where ``part`` ends if the server can do that, from the start otherwise.

    Raises:
        _CutError: if the transfer may succeed when tried again.
        _RefusedError: if it will not.
    """
    offset = part.stat().st_size if part.exists() else 0
    with contextlib.closing(_request(address, part, offset)) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT or not _starts_at(response, offset):
            offset = 0
        left = int(response.headers["Content-Length"]) if response.headers["Content-Length"] else None
        if size is not None and left is not None and offset + left != size:
            raise _RefusedError(f"the server offers {offset + left:,} bytes, not {size:,}")
        chunk = _read(response)
        _refuse_web_page(response, chunk, offset)
        with (
            part.open("ab" if offset else "wb") as file,
            ticking(f"fetching {part.stem}", left or 0, "bytes") as ticker,
        ):
            done = 0
            while chunk:
                file.write(chunk)
                done += len(chunk)
                ticker.advance(len(chunk))
                chunk = _read(response)
    if left is not None and done < left:
        raise _CutError(f"the connection was cut after {offset + done:,} of {offset + left:,} bytes")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within http and https alone."""

    def redirect_request(  # noqa: PLR0917 - the base class calls it so
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Refuses other schemes, such as ftp; otherwise see the base class."""
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise _RefusedError(f"redirects to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _request(address: str, part: Path, offset: int) -> http.client.HTTPResponse:
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme has been checked
    try:
        opened: http.client.HTTPResponse = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise _CutError("the partial file was longer than the file") from error
        kind = _CutError if error.code in _BUSY else _RefusedError
        raise kind(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _RefusedError(str(error.reason)) from error
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"no answer: {error or type(error).__name__}") from error
    return opened


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _CutError(f"the connection was cut: {error or type(error).__name__}") from error


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    return (response.headers["Content-Range"] or "").startswith(f"bytes {offset}-")


def _refuse_web_page(response: http.client.HTTPResponse, chunk: bytes, offset: int) -> None:
    """Raises :class:`_RefusedError` if the answer is a page for people."""
    if response.headers.get_content_type() == "text/html" or (offset == 0 and is_web_page(chunk)):
        found = re.search(rb"<title[^>]*>(.{1,200}?)</title>", chunk, re.IGNORECASE | re.DOTALL)
        title = f' titled "{html.unescape(found[1].decode(errors="replace")).strip()}"' if found else ""
        raise _RefusedError(f"answered with a web page{title}, not the file (link expired, login or proxy page?)")
