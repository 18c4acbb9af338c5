"""Pictures of the page: a contract as PDF, dropped on it, answers three questions.

    python -m tests.app.http.page.pictures http://127.0.0.1:8080 docs/page.png [desktop|phone|dark]

Asks a running server, and fails where an answer is another one than the contract has.
"""

import sys
from html import escape
from pathlib import Path
from urllib.parse import quote

from app.http.pages import STATIC
from tests.app.http.page.reading import ask, drop
from tests.app.http.page.webdriver import Browser, chromedriver

QUESTIONS = ("賃料は月額いくらですか", "敷金の残額はいつまでに返してもらえますか", "連帯保証人は誰ですか")
ANSWERS = ["8,800円", "30日以内"]
SIZES = {"desktop": (1280, 860), "phone": (390, 844), "dark": (1280, 860)}
_STYLE = (
    "body { font: 12.5pt/1.9 'Noto Serif CJK JP', serif; margin: 6mm } p { margin: 0 }"
    "h1 { font-size: 17pt; text-align: center }"
)


def contract(browser: Browser) -> bytes:
    """The sample as a PDF of two pages, as Chromium prints it."""
    title, *lines = (STATIC / "samples" / "contract.txt").read_text(encoding="utf-8").splitlines()
    body = "".join(f"<p>{escape(line) or '<br>'}</p>" for line in lines)
    page = f"<!doctype html><meta charset=utf-8><style>{_STYLE}</style><h1>{escape(title)}</h1>{body}"
    browser.open("data:text/html;charset=utf-8," + quote(page))
    return browser.print_pdf()


def main(url: str, target: Path, kind: str = "desktop") -> None:
    with chromedriver() as driver:
        browser = Browser(driver)
        try:
            browser.resize(*SIZES[kind])
            if kind == "dark":
                browser.prefer_dark()
            file = contract(browser)
            browser.open(url)
            browser.wait("$('#model-qa').value")
            drop(browser, ("駐車場契約書.pdf", file))
            ask(browser, *QUESTIONS)
            answers = browser.texts("#questions li > .found mark.answer")
            assert answers == ANSWERS, answers
            assert browser.texts("#questions .absent") == ["この文書には書かれていません"]
            browser.click("#questions li:nth-child(2) .found")
            browser.wait("$('rect.current').closest('figure').classList.contains('drawn')")
            browser.run("scrollTo(0, 0)")
            target.write_bytes(browser.screenshot())
        finally:
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
