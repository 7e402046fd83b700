"""A file server on this machine, with bad manners where a test asks for them."""

import contextlib
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Mirror:
    """A file server on this machine.

    Attributes:
        content: what it serves.
        address: where.
        ranges: whether it honours Range.
        status: answers every request with this if set.
        page: answers with this HTML page if set.
        cut_after: bytes after which it hangs up, one entry a request, until the list is empty.
        headers: take the place of the right ones; none leaves one out.
        endless: sends zeros until the client hangs up.
        endless_head: sends headers for as long as it is set.
        pause: seconds between single bytes, if it sends them so.
        wrong_rest: answers for a range with the file's first bytes.
        asked: the Range header of each request.
    """

    content: bytes = b""
    address: str = ""
    ranges: bool = True
    status: int = 0
    page: bytes = b""
    page_type: str = "text/html"
    redirect: str = ""
    cut_after: list[int] = field(default_factory=list)
    headers: dict[str, str | None] = field(default_factory=dict)
    endless: bool = False
    endless_head: bool = False
    pause: float = 0.0
    wrong_rest: bool = False
    asked: list[str | None] = field(default_factory=list)

    @property
    def md5(self) -> str:
        return hashlib.md5(self.content, usedforsecurity=False).hexdigest()

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers["Range"]
        self.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        headers: dict[str, Any] = {"Content-Type": "application/octet-stream"}
        body, status = self.content[start:], 206 if start else 200
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(self.content) - 1}/{len(self.content)}"
        if self.wrong_rest:
            body = self.content[: len(body)]
        if start and start >= len(self.content):
            body, status = b"", 416
        if self.page:
            body, status, headers["Content-Type"] = self.page, 200, self.page_type
        if self.redirect:
            body, status, headers["Location"] = b"", 302, self.redirect
        request.send_response(self.status or status)
        headers["Content-Length"] = len(body)
        for name, value in (headers | self.headers).items():
            if value is not None:
                request.send_header(name, str(value))
        while self.endless_head:
            request.send_header("X-More", "and more")
            request.flush_headers()
            time.sleep(0.02)
        request.end_headers()
        body = body[: self.cut_after.pop(0)] if self.cut_after else body
        step = 1 if self.pause else len(body)
        with contextlib.suppress(OSError):  # the client hung up
            while body or self.endless:
                request.wfile.write(body[:step] or bytes(1 << 16))
                body = body[step:]
                time.sleep(self.pause)


@contextlib.contextmanager
def serving() -> Iterator[Mirror]:
    """A running :class:`Mirror`."""
    served = Mirror(content=bytes(range(256)) * 400)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_port}/"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()
