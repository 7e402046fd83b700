"""One request of a download: what may be asked, how long an answer may take, and what is no file."""

import html
import http.client
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

_TIMEOUT = 30.0
_PATIENCE = 60.0
_SLOWEST = 1024
_AGENT = "ood-bench (data set download)"
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})


class RefusedError(Exception):
    """This mirror does not have the file; another may."""


class CutError(Exception):
    """The transfer broke off; going on may help."""


class Pace:
    """Ends a transfer that brings fewer than 1,024 bytes a second over a minute, however long it would go on so."""

    def __init__(self) -> None:
        self._since, self._bytes = time.monotonic(), 0

    def count(self, received: int) -> None:
        """Raises :class:`CutError` if too few bytes have come in the last minute."""
        self._bytes += received
        if (passed := time.monotonic() - self._since) < _PATIENCE:
            return
        if self._bytes < _SLOWEST * passed:
            raise CutError(f"too slow: {self._bytes:,} bytes in {passed:.0f} s, fewer than {_SLOWEST:,} a second")
        self._since, self._bytes = time.monotonic(), 0


def is_web_page(head: bytes) -> bool:
    """Whether leading bytes are those of a web page or XML answer, such as a "file not found" saved as an archive."""
    start = head[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<script", b"<?xml", b"<!--"))


def check_address(address: str) -> None:
    """Raises :class:`RefusedError` unless the address is one of http or https."""
    try:
        parts = urllib.parse.urlsplit(address)
        scheme, _ = parts.scheme, parts.port  # a port that cannot be is noticed when it is asked for
    except ValueError as error:
        raise RefusedError(f"no valid address: {error}") from error
    if scheme not in ("http", "https"):
        raise RefusedError(f"{scheme or 'no scheme'}: only http and https are fetched")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within http and https alone."""

    def redirect_request(  # noqa: PLR0917 - the base class calls it so
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Refuses other schemes, such as ftp; otherwise see the base class."""
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise RefusedError(f"redirects to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def request(address: str, part: Path, offset: int) -> http.client.HTTPResponse:
    """The answer to a request for a file from byte ``offset`` on; ``part`` is what is there of it.

    Raises:
        CutError: if the server is busy or does not answer.
        RefusedError: if it does not have the file, or cannot be asked.
    """
    headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        asked = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme has been checked
        opener = urllib.request.build_opener(_SafeRedirects)
        opened = _in_time(lambda: opener.open(asked, timeout=_TIMEOUT))
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.unlink()
            raise CutError("the partial file was longer than the file") from error
        kind = CutError if error.code in _BUSY else RefusedError
        raise kind(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise RefusedError(str(error.reason)) from error
    except (ValueError, OverflowError, http.client.InvalidURL) as error:  # a host or port that cannot be
        raise RefusedError(f"no valid address: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise CutError(f"no answer: {error or type(error).__name__}") from error
    return opened


def _in_time(ask: Callable[[], http.client.HTTPResponse]) -> http.client.HTTPResponse:
    """What ``ask`` gives, in a thread of its own: a server may send an answer's head byte by byte and never end it.

    Raises:
        CutError: if that takes longer than a minute.
    """
    found: queue.SimpleQueue[http.client.HTTPResponse | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            found.put(ask())
        except BaseException as error:
            found.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        answer = found.get(timeout=_PATIENCE)
    except queue.Empty:
        raise CutError(f"no whole answer within {_PATIENCE:.0f} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def read(response: http.client.HTTPResponse, most: int, pace: Pace) -> bytes:
    """The next bytes, as many as are there; none at the end.

    Raises:
        CutError: if the connection broke off or is too slow.
    """
    try:
        chunk = response.read1(most)
    except (OSError, http.client.HTTPException) as error:
        raise CutError(f"the connection was cut: {error or type(error).__name__}") from error
    pace.count(len(chunk))
    return chunk


def continues(response: http.client.HTTPResponse, offset: int) -> bool:
    """Whether the answer begins at byte ``offset`` of the file."""
    starts = (response.headers["Content-Range"] or "").startswith(f"bytes {offset}-")
    return starts and response.status == http.HTTPStatus.PARTIAL_CONTENT


def stated_length(response: http.client.HTTPResponse) -> int | None:
    """Length of the answer as its header states it, or none."""
    stated = response.headers["Content-Length"]
    if stated is not None and not re.fullmatch(r"\d{1,18}", stated.strip(), re.ASCII):
        raise RefusedError(f"the server states a length of {stated[:40]!r}")
    return None if stated is None else int(stated)


def refuse_other_content(response: http.client.HTTPResponse, head: bytes, offset: int) -> None:
    """Raises :class:`RefusedError` if the answer, which begins with ``head``, is a page for people or is packed."""
    kind = response.headers.get_content_type()
    if kind in _PAGES or (offset == 0 and is_web_page(head)):
        found = re.search(rb"<title[^>]*>(.{1,200}?)</title>", head, re.IGNORECASE | re.DOTALL)
        title = f' titled "{html.unescape(found[1].decode(errors="replace")).strip()}"' if found else ""
        raise RefusedError(f"answered with a web page{title}, not the file (link expired, login or proxy page?)")
    if kind == "application/json":
        raise RefusedError(f"answered with JSON, not the file: {head[:80].decode(errors='replace')}")
    if (packing := response.headers.get("Content-Encoding", "identity")) != "identity":
        raise RefusedError(f"answered with content packed as {packing}, which was not asked for")
