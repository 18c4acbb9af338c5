"""Actions of people on the page, for its tests."""

import base64

from tests.app.http.page.webdriver import Browser

TEXT = "𠮷野家😀の話。\n重い話だ。ここに《答え😀》があります。<b>太字</b>\n軽い話。"
WAITING = "この文書にはまだ質問していません。「答えをさがす」を押すと質問します。"
_OPEN = "[role=tabpanel]:not([hidden])"


def put(browser: Browser, text: str) -> None:
    """Paste a text."""
    browser.run("$('#text').value = arguments[0]; $('#text').dispatchEvent(new Event('input'))", text)


def drop(browser: Browser, *files: tuple[str, bytes]) -> None:
    """Drop files on the page, and wait until they were read."""
    sent = [(name, base64.b64encode(data).decode()) for name, data in files]
    browser.run(
        "const files = new DataTransfer();"
        "for (const [name, data] of arguments[0]) {"
        "  files.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], name));"
        "}"
        "$('main').dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));",
        sent,
    )
    browser.wait(f"all('#files li').length === {len(files)} || !$('#file-error').hidden")


def choose(browser: Browser, tab: str) -> None:
    browser.run("$('#tab-' + arguments[0]).click()", tab)


def submit(browser: Browser) -> None:
    """Press the button of the open tab, and wait for the result."""
    browser.run(f"$('{_OPEN} form').requestSubmit()")
    browser.wait(f"$('{_OPEN} .usage').textContent || $('{_OPEN} .error:not([hidden])')")


def ask(browser: Browser, *questions: str) -> None:
    browser.run("$('#question').value = arguments[0]", "\n".join(questions))
    submit(browser)


def read(browser: Browser, tab: str, text: str = TEXT) -> None:
    put(browser, text)
    choose(browser, tab)
    submit(browser)


def marks(browser: Browser) -> list[str]:
    return browser.texts("#reading mark")


def error(browser: Browser) -> str:
    return browser.text(f"{_OPEN} .error p")
