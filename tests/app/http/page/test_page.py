"""The page as a whole: its readings, its tabs, its errors and its key."""

from app.http.auth import new_key
from tests.app.http.page.conftest import READY, Address
from tests.app.http.page.reading import TEXT, WAITING, ask, choose, drop, error, marks, put, read, submit
from tests.app.http.page.webdriver import Browser

ANSWER = "ここに《答え》があります。"


def test_the_summary_is_marked_in_the_document(browser: Browser) -> None:
    browser.run("$('#length').value = 'max_sentences:1'")
    read(browser, "summarize")
    assert marks(browser) == ["重い話だ。"]
    assert browser.texts("#summaries .passage") == ["重い話だ。"]
    assert browser.complaints() == []


def test_labels_have_bars(browser: Browser) -> None:
    read(browser, "classify", "上を向く。")
    assert browser.text(".label-name") == "up"
    assert browser.get("$('#label-lists meter').value") > 0.9
    assert browser.complaints() == []


def test_results_are_kept_when_tabs_change(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?")
    browser.run("$('#length').value = 'max_sentences:1'")
    choose(browser, "summarize")
    assert marks(browser) == []
    submit(browser)
    assert marks(browser) == ["重い話だ。"]
    choose(browser, "qa")
    assert marks(browser) == ["《答え😀》"]
    assert browser.texts("#questions .passage") == ["ここに《答え😀》があります。"]
    choose(browser, "summarize")
    assert marks(browser) == ["重い話だ。"]


def test_results_of_another_text_are_gone(browser: Browser) -> None:
    read(browser, "summarize")
    choose(browser, "qa")
    ask(browser, "何?")
    put(browser, TEXT + "続き。")
    assert browser.texts("#summaries > *") == []
    assert browser.texts("#questions h3") == ["何?"]
    assert browser.texts("#questions .note") == [WAITING]
    submit(browser)
    assert browser.texts("#questions .passage") == ["ここに《答え😀》があります。"]


def test_errors_are_japanese(browser: Browser) -> None:
    read(browser, "classify", "零\0文字")
    assert error(browser).startswith("受け付けられない内容です")
    assert "NUL" in browser.text("#panel-classify .error details")
    read(browser, "classify", " ")
    assert error(browser) == "文書を入れてください。"


def test_arrows_move_between_tabs(browser: Browser) -> None:
    browser.run("$('#tab-qa').focus()")
    browser.press("Left")
    assert browser.get("document.activeElement.id") == "tab-classify"
    assert browser.get("$('#panel-classify').hidden") is False


def test_the_focus_stays_with_the_text_that_was_written(browser: Browser) -> None:
    put(browser, TEXT)
    browser.run("$('#question').value = '何?'; $('#text').focus();")
    browser.run("$('#text').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', ctrlKey: true }))")
    browser.wait("$('.usage').textContent")
    assert browser.get("document.activeElement.id") == "reading"
    browser.click("#edit")
    assert browser.get("document.activeElement.id") == "text"
    assert browser.get("$('#text').value") == TEXT


def test_a_phone_shows_all_of_it(browser: Browser) -> None:
    browser.resize(360, 740)
    put(browser, TEXT)
    ask(browser, "何?")
    assert browser.get("document.documentElement.scrollWidth") == 360
    browser.resize(1280, 900)


def test_words_without_a_place_to_break_fit_on_a_phone(browser: Browser) -> None:
    browser.resize(360, 740)
    drop(browser, ("x" * 90 + ".png", b"\x89PNG\r\n\x1a\n" + bytes(40)))
    put(browser, TEXT)
    ask(browser, "https://example.com/" + "a" * 200)
    assert browser.get("document.documentElement.scrollWidth") == 360
    browser.resize(1280, 900)


def test_a_result_is_announced(browser: Browser) -> None:
    browser.run(
        "window.said = []; const observe = (node) => new MutationObserver(() => window.said.push(node.textContent))"
        "  .observe(node, { childList: true, characterData: true, subtree: true });"
        "all('[role=status]').filter((node) => node.checkVisibility()).forEach(observe)"
    )
    put(browser, TEXT)
    ask(browser, "何?")
    read(browser, "classify", "上を向く。")
    assert [text for text in browser.get("window.said") if text] == ["結果が出ました。"] * 2


def test_a_text_that_the_browser_restores_is_the_document(browser: Browser) -> None:
    browser.click("#text")
    browser.press(*ANSWER)
    browser.click("footer a")
    browser.wait("$('#swagger-ui')")
    browser.back()
    browser.wait(READY)
    assert browser.get("$('#text').value") == ANSWER
    ask(browser, "何?")
    assert marks(browser) == ["《答え》"]


def test_the_reference_is_drawn_without_any_other_host(window: Browser, page: str) -> None:
    window.open(page + "/docs")
    window.complaints()
    window.wait("$('.opblock-summary-path')")
    assert "/qa" in window.text("body")
    assert window.complaints() == []


def test_requests_of_the_reference_go_below_its_own_address(window: Browser, page: str) -> None:
    window.open(page + "/docs")
    window.wait("$('.servers select')")
    assert window.get("$('.servers select').value") == page + "/"


def test_a_key_is_asked_for_and_kept_for_the_tab(window: Browser, address: Address) -> None:
    token, entry = new_key("web")
    asks = "!$('#key-form').hidden"
    with address("--api-keys", entry) as url:

        def enter(key: str) -> None:
            window.run("$('#key').value = arguments[0]; $('#key-form').requestSubmit();", key)

        window.open(url)
        window.wait(asks)
        assert "API キーが必要です" in window.text("#error")
        for wrong in ("wrong", "nagayomi_…"):  # no header can hold the second
            enter(wrong)
            window.wait(asks)
        enter(f" {token} ")
        window.wait(READY)
        assert window.get(asks) is False
        assert window.get("$('#key').value") == ""
        read(window, "classify", "上を向く。")
        assert window.text(".label-name") == "up"
        window.open(url)
        window.wait(READY)
        window.run("sessionStorage.setItem('key', 'revoked')")
        read(window, "classify", "上を向く。")
        assert window.get(asks) is True
