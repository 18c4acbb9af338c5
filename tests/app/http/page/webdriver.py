"""As much of the WebDriver protocol as the tests of the page need, over chromedriver."""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.app.serving import read_until

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# No sandbox, because tests run as root in containers, which may have next to no /dev/shm; the rest keeps Chromium from
# calling anyone.
_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"]
_ARGUMENTS += ["--disable-dev-shm-usage", "--disable-background-networking"]
_ARGUMENTS += ["--disable-component-update", "--disable-sync"]
_ARGUMENTS += ["--disable-features=BackForwardCache"]  # a page that is gone back to is loaded again
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of an element's id, fixed by the protocol

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "Up": "\ue013", "Down": "\ue015", "Left": "\ue012"}


@contextmanager
def chromedriver() -> Iterator[str]:
    """Where a chromedriver of one's own listens."""
    process = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        match = re.search(r"successfully on port (\d+)", read_until(process.stdout, "started successfully on port"))
        assert match is not None
        yield f"http://127.0.0.1:{match.group(1)}"
    finally:
        process.terminate()
        process.communicate()


class Browser:
    """One window of Chromium."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        options = {"goog:chromeOptions": {"args": _ARGUMENTS}, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = "/session"
        self._session += "/" + self._call("", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def _call(self, path: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._driver + self._session + path, data, method=method)
        try:
            with _OPENER.open(request, timeout=200) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, url: str) -> None:
        self._call("/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """The result of a script. `$` is a short form of document.querySelector, `all` of its sibling."""
        short = "const $ = (s) => document.querySelector(s), all = (s) => [...document.querySelectorAll(s)];"
        return self._call("/execute/sync", {"script": short + script, "args": arguments})

    def get(self, expression: str, *arguments: object) -> Any:
        return self.run(f"return {expression}", *arguments)

    def text(self, selector: str) -> str:
        """The visible text there."""
        text: str = self.get("$(arguments[0]).textContent", selector)
        return text

    def texts(self, selector: str) -> list[str]:
        texts: list[str] = self.get("all(arguments[0]).map((e) => e.textContent)", selector)
        return texts

    def wait(self, condition: str, most_s: float = 30) -> None:
        deadline = time.monotonic() + most_s
        while not self.get(f"Boolean({condition})"):
            assert time.monotonic() < deadline, condition
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        """Type into the element with the focus: names of KEYS, else characters."""
        strokes = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in strokes for kind in ("keyDown", "keyUp")]
        self._call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector: str) -> None:
        """A click of a mouse, which scrolls there first and fails where something else is in the way."""
        found = self._call("/element", {"using": "css selector", "value": selector})
        self._call(f"/element/{found[_ELEMENT]}/click", {})

    def choose_files(self, selector: str, *files: Path) -> None:
        """Files of this machine, as a person chooses them in the dialog of a file input."""
        found = self._call("/element", {"using": "css selector", "value": selector})
        self._call(f"/element/{found[_ELEMENT]}/value", {"text": "\n".join(map(str, files))})

    def back(self) -> None:
        self._call("/back", {})

    def resize(self, width: int, height: int) -> None:
        self._call("/goog/cdp/execute", _device(width, height))

    def prefer_dark(self) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark"}]
        self._call("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})

    def screenshot(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("/screenshot", None, "GET"))

    def print_pdf(self) -> bytes:
        """The document of the window as it is printed."""
        return base64.b64decode(self._call("/print", {}))

    def complaints(self) -> list[str]:
        """Messages of the browser's console: refused scripts and styles, failed requests, errors."""
        return [entry["message"] for entry in self._call("/se/log", {"type": "browser"})]

    def close(self) -> None:
        self._call("", None, "DELETE")


def _device(width: int, height: int) -> dict[str, Any]:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    return {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics}
