"""Texts copied from the page: quotations, JSON, and curl commands that give the same answer."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.app.http.page.reading import TEXT, ask, drop, put, read
from tests.app.http.page.webdriver import Browser


def copied(browser: Browser, what: str) -> str:
    """The text that a button puts into the clipboard."""
    browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    browser.run("$('[role=tabpanel]:not([hidden]) .copy [aria-label^=\"' + arguments[0] + '\"]').click()", what)
    text: str = browser.get("window.copied")
    return text


def shell(command: str, folder: Path) -> object:
    """The output of a command, as JSON without values that differ from run to run."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    environment = {"PATH": "/usr/bin:/bin", "no_proxy": "*"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, check=True, capture_output=True)
    return json.loads(done.stdout)["results"]


def test_a_quotation_names_its_place(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?")
    assert copied(browser, "引用") == "「ここに《答え😀》があります。」"
    drop(browser, ("話.md", "# 題\n\nここに《答え》があります。".encode()))
    ask(browser)
    assert copied(browser, "引用") == "「ここに《答え》があります。」（話.md、題）"


def test_the_sentences_of_a_summary_are_quoted_line_by_line(browser: Browser) -> None:
    browser.run("$('#length').value = 'ratio:0.2'")
    read(browser, "summarize")
    assert copied(browser, "引用") == "「重い話だ。」"


def test_the_curl_command_of_a_text_gives_the_same_answer(browser: Browser, tmp_path: Path) -> None:
    put(browser, TEXT + 'It\'s "quoted" $HOME `x` \\')
    ask(browser, "何'?")
    result = json.loads(copied(browser, "JSON"))
    assert shell(copied(browser, "curl"), tmp_path) == [result]


def test_the_curl_command_of_a_file_gives_the_same_answer(browser: Browser, tmp_path: Path) -> None:
    name = 'it\'s "a" 話.txt'
    (tmp_path / name).write_text(TEXT, encoding="utf-8")
    drop(browser, (name, TEXT.encode()))
    ask(browser, "@何?")
    result = json.loads(copied(browser, "JSON"))
    assert shell(copied(browser, "curl"), tmp_path) == [result]


def test_a_key_is_never_copied(browser: Browser) -> None:
    put(browser, TEXT)
    browser.run("sessionStorage.setItem('key', 'nagayomi_secret')")
    ask(browser, "何?")
    command = copied(browser, "curl")
    browser.run("sessionStorage.clear()")
    assert 'Bearer $NAGAYOMI_API_KEY"' in command
    assert "secret" not in command


def test_without_a_clipboard_the_text_is_shown(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?")
    browser.run("navigator.clipboard.writeText = () => Promise.reject(new Error()); $('.copy button').click()")
    browser.wait("$('#copy-dialog').open")
    assert browser.get("$('#copy-text').value") == "「ここに《答え😀》があります。」"
    browser.click("#copy-dialog button")
    browser.wait("!$('#copy-dialog').open")
