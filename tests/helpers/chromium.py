"""Headless Chromium over its debugging pipe: no port, no driver, no package."""

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE = 240.0


def executable() -> str | None:
    """Where a Chromium is, or none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a headless Chromium.

    Attributes:
        errors: what the page wrote to the console as an error, uncaught errors, and requests to a network.
    """

    def __init__(self, profile: Path) -> None:
        self.errors: list[str] = []
        self._numbers, self._buffer = itertools.count(1), b""
        read_there, self._write = os.pipe()
        self._read, write_there = os.pipe()
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-extensions", "--force-color-profile=srgb",
            "--hide-scrollbars",
            f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
        ]  # fmt: skip
        # The pipe's ends must be the descriptors 3 and 4, which only a shell can promise.
        script = f'exec "$0" "$@" 3<&{read_there} 4>&{write_there}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, str(executable()), *options],
            pass_fds=(read_there, write_there),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        targets = self._call("Target.getTargets", session=None)["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session: str | None = self._call(
            "Target.attachToTarget", {"targetId": target, "flatten": True}, session=None
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")
        self._call("Emulation.setFocusEmulationEnabled", {"enabled": True})

    def close(self) -> None:
        """Ends the browser."""
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        """Sets the window; with ``mobile`` two device pixels a CSS pixel and a touch screen's layout."""
        scale = 2 if mobile else 1
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self._call("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str, media: str = "screen") -> None:
        """Prefers ``light`` or ``dark``; ``media`` is ``screen`` or ``print``."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self._call("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def pdf(self) -> bytes:
        """The page as it would be printed."""
        return base64.b64decode(self._call("Page.printToPDF", {"preferCSSPageSize": True})["data"])

    def back(self) -> None:
        """Goes one step back in the history, as the button does."""
        self.run("history.back()")

    def open(self, path: Path, fragment: str = "") -> None:
        """Opens a file and waits until it has run."""
        self._call("Page.navigate", {"url": "about:blank"})
        self.errors.clear()
        self._call("Page.navigate", {"url": f"{path.resolve().as_uri()}{fragment}"})
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def run(self, code: str) -> Any:
        """The value of a JavaScript expression."""
        found = self._call("Runtime.evaluate", {"expression": code, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in found:
            raise AssertionError(f"{code}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, code: str) -> None:
        """Waits until an expression is true."""
        end = time.monotonic() + _PATIENCE
        while not self.run(code):
            if time.monotonic() > end:
                raise AssertionError(f"still not true: {code}")
            time.sleep(0.02)

    def press(self, key: str, text: str = "") -> None:
        """Presses and releases a key, as ``Enter``, ``Tab`` or ``/``."""
        codes = {"Enter": 13, "Escape": 27, "Tab": 9, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        words = text or ("\r" if key == "Enter" else key if len(key) == 1 else "")
        what = {"key": key, "code": key, "windowsVirtualKeyCode": codes.get(key, ord(key[0])), "text": words}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", **what})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **what})

    def type(self, text: str) -> None:
        """Types a text into what has the focus."""
        self._call("Input.insertText", {"text": text})

    def click(self, selector: str) -> None:
        """Scrolls to an element and clicks into its middle, as a hand would."""
        place = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()"
        )
        where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", {"type": kind, **where})

    def _call(self, method: str, parameters: Any = None, session: str | None = "page") -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _receive(self) -> Any:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], _PATIENCE)
            piece = os.read(self._read, 1 << 16) if ready else b""
            if not piece:
                raise AssertionError("the browser does not answer")
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: Any) -> None:
        """Keeps what must not happen on a page that is self-contained."""
        method, what = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(what["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and what["type"] in {"error", "warning", "assert"}:
            self.errors.append(str(what["args"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] in {"error", "warning"}:
            self.errors.append(str(what["entry"]["text"]))
        elif method == "Network.requestWillBeSent" and not what["request"]["url"].startswith(
            ("file:", "data:", "about:")
        ):
            self.errors.append(f"asks the network for {what['request']['url']}")
