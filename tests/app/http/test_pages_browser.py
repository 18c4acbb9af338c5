"""The web page in a real browser, against the real server with handmade models. Skipped where Chromium is missing."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.http.auth import new_key
from tests.app.serving import read_until, serving

pytestmark = pytest.mark.skipif(
    shutil.which("chromedriver") is None, reason="chromedriver (Debian: chromium-driver) is not installed"
)

TEXT = "𠮷野家😀の話。\n重い話だ。ここに《答え😀》があります。<b>太字</b>\n軽い話。"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# No sandbox, because tests run as root in containers; the rest keeps Chromium from calling anyone.
_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_ARGUMENTS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


class Browser:
    """As much of the WebDriver protocol as the tests need."""

    def __init__(self, driver: str) -> None:
        self._driver = driver
        options = {"goog:chromeOptions": {"args": _ARGUMENTS}, "goog:loggingPrefs": {"browser": "ALL"}}
        self._session = "/session"
        self._session += "/" + self._call("", {"capabilities": {"alwaysMatch": options}})["sessionId"]

    def _call(self, path: str, body: dict[str, Any] | None, method: str = "POST") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._driver + self._session + path, data, method=method)
        with _OPENER.open(request, timeout=30) as response:
            return json.load(response)["value"]

    def open(self, url: str) -> None:
        self._call("/url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        return self._call("/execute/sync", {"script": script, "args": arguments})

    def wait(self, condition: str) -> None:
        deadline = time.monotonic() + 15
        while not self.run(f"return {condition}"):
            assert time.monotonic() < deadline, condition
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """What the browser wrote to its console: refused scripts and styles, failed requests, errors."""
        return [entry["message"] for entry in self._call("/se/log", {"type": "browser"})]

    def close(self) -> None:
        self._call("", None, "DELETE")


@contextmanager
def _address(store: Path, *arguments: str) -> Iterator[str]:
    """Where a server of its own listens."""
    with serving(store, *arguments) as process:
        assert process.stdout is not None
        match = re.search(r"ready at (\S+)", read_until(process.stdout, "Ctrl-C"))
        assert match is not None
        yield match.group(1)


@pytest.fixture(scope="module")
def page(handmade_models: Path) -> Iterator[str]:
    with _address(handmade_models) as url:
        yield url


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
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


@pytest.fixture
def browser(driver: str, page: str) -> Iterator[Browser]:
    browser = Browser(driver)
    try:
        browser.open(page)
        browser.wait("document.getElementById('model-qa').value === 'hand-qa'")
        yield browser
    finally:
        browser.close()


def _read(browser: Browser, tab: str, text: str = TEXT) -> None:
    browser.run(
        "document.getElementById('text').value = arguments[1];"
        "document.getElementById('tab-' + arguments[0]).click();"
        "document.querySelector('form:not([hidden])').requestSubmit();",
        tab,
        text,
    )
    browser.wait("document.getElementById('usage').textContent || !document.getElementById('error').hidden")


def _marks(browser: Browser) -> list[str]:
    marks: list[str] = browser.run("return [...document.querySelectorAll('#reading mark')].map((m) => m.textContent)")
    return marks


def test_the_answer_is_marked_in_the_document(browser: Browser) -> None:
    browser.run("document.getElementById('question').value = '何?'; document.getElementById('answers').value = '1'")
    _read(browser, "qa")
    assert _marks(browser) == ["《答え😀》"]
    assert browser.run("return document.getElementById('reading').textContent") == TEXT
    assert browser.run("return document.querySelector('#reading b')") is None
    assert browser.run("return document.querySelector('.found .passage').textContent") == "ここに《答え😀》があります。"
    assert browser.run("return document.querySelector('mark.current').textContent") == "《答え😀》"
    assert browser.complaints() == []


def test_the_summary_is_marked_in_the_document(browser: Browser) -> None:
    browser.run("document.getElementById('length').value = 'max_sentences:1'")
    _read(browser, "summarize")
    assert _marks(browser) == ["重い話だ。"]
    assert browser.run("return document.querySelector('.found .passage').textContent") == "重い話だ。"
    assert browser.complaints() == []


def test_labels_have_bars(browser: Browser) -> None:
    _read(browser, "classify", "上を向く。")
    assert browser.run("return document.querySelector('.label-name').textContent") == "up"
    assert browser.run("return document.querySelector('#results meter').value") > 0.9
    assert browser.complaints() == []


def test_errors_are_japanese(browser: Browser) -> None:
    _read(browser, "classify", "零\0文字")
    assert browser.run("return document.querySelector('#error p').textContent").startswith("受け付けられない内容です")
    assert "NUL" in browser.run("return document.querySelector('#error details').textContent")
    _read(browser, "classify", " ")
    assert browser.run("return document.querySelector('#error').textContent") == "文書を入れてください。"


def test_the_sample_fits(browser: Browser) -> None:
    browser.run("document.getElementById('sample').click()")
    browser.wait("document.getElementById('text').value.startsWith('琵琶湖疏水は')")
    browser.run("document.querySelector('form:not([hidden])').requestSubmit()")
    browser.wait("document.getElementById('usage').textContent")
    assert browser.complaints() == []


def test_arrows_move_between_tabs(browser: Browser) -> None:
    browser.run(
        "const tab = document.getElementById('tab-qa'); tab.focus();"
        "tab.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))"
    )
    assert browser.run("return document.activeElement.id") == "tab-classify"
    assert browser.run("return document.getElementById('panel-classify').hidden") is False


def test_the_reference_is_drawn_without_any_other_host(browser: Browser, page: str) -> None:
    browser.open(page + "/docs")
    browser.wait("document.querySelector('.opblock-summary-path')")
    assert "/qa" in browser.run("return document.body.textContent")
    assert browser.complaints() == []


def test_a_key_is_asked_for_and_kept_for_the_tab(driver: str, handmade_models: Path) -> None:
    token, entry = new_key("web")
    asks = "!document.getElementById('key-form').hidden"
    with _address(handmade_models, "--api-keys", entry) as url:
        browser = Browser(driver)

        def enter(key: str) -> None:
            browser.run(
                "document.getElementById('key').value = arguments[0];"
                "document.getElementById('key-form').requestSubmit();",
                key,
            )

        try:
            browser.open(url)
            browser.wait(asks)
            assert "鍵が要ります" in browser.run("return document.getElementById('error').textContent")
            enter("wrong")
            browser.wait(asks)
            enter(f" {token} ")
            browser.wait("document.getElementById('model-qa').value === 'hand-qa'")
            assert browser.run(f"return {asks}") is False
            assert browser.run("return document.getElementById('key').value") == ""
            _read(browser, "classify", "上を向く。")
            assert browser.run("return document.querySelector('.label-name').textContent") == "up"
            browser.open(url)
            browser.wait("document.getElementById('model-qa').value === 'hand-qa'")
            browser.run("sessionStorage.setItem('key', 'revoked')")
            _read(browser, "classify", "上を向く。")
            assert browser.run(f"return {asks}") is True
        finally:
            browser.close()
