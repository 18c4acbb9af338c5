"""Pictures of the page: a contract as PDF, dropped on it, answers three questions, and a fourth it does not answer.

    python -m tests.app.http.page.pictures http://127.0.0.1:8080 FOLDER

Asks a running server, fails where an answer is another one than the contract has, and writes page.png (README shows
it), page-dark.png and page-phone.png.
"""

import sys
import time
from html import escape
from pathlib import Path
from urllib.parse import quote

from app.http.pages import STATIC
from tests.app.http.page.reading import drop
from tests.app.http.page.webdriver import Browser, chromedriver

# The last one the contract does not answer.
QUESTIONS = (
    *("賃料は月額いくらですか", "遅延損害金の割合はどれくらいですか", "敷金の残額はいつまでに返してもらえますか"),
    "連帯保証人は誰ですか",
)
ANSWERS = ["8,800円", "年14.6パーセント", "本駐車場の明渡しを受けた日から30日以内"]
PAGES = ["1 ページ", "1 ページ", "2 ページ"]
_MOST_S = 300  # that a slow machine may take
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


def main(url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with chromedriver() as driver:
        browser = Browser(driver)
        try:
            file = contract(browser)
            browser.resize(1160, 1180)
            browser.open(url)
            browser.wait("$('#model-qa').value")
            drop(browser, ("駐車場契約書.pdf", file))
            browser.run("$('#question').value = arguments[0]", "\n".join(QUESTIONS))
            browser.run("$('#panel-qa form').requestSubmit()")
            browser.wait("$('#panel-qa .usage').textContent", most_s=_MOST_S)
            answers = browser.texts("#questions > li > .found mark.answer")
            places = browser.texts("#questions > li > .found .place")
            assert answers == ANSWERS, answers
            assert [place.split("、")[1] for place in places] == PAGES, places
            assert browser.texts("#questions .absent") == ["この文書には書かれていません"]
            _take(browser, folder / "page.png")
            browser.prefer_dark()
            _take(browser, folder / "page-dark.png")
            browser.resize(390, 844)
            _take(browser, folder / "page-phone.png")
        finally:
            browser.close()


def _take(browser: Browser, file: Path) -> None:
    """The page from its top, with the last answer shown."""
    browser.run("$('#questions > li:nth-child(3) > .found').click(); scrollTo(0, 0)")
    browser.wait("$('rect.current').closest('figure').classList.contains('drawn')", most_s=_MOST_S)
    time.sleep(1)  # smooth scrolling
    file.write_bytes(browser.screenshot())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
