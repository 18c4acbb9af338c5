"""Files on the page: dropped, read, shown with their pages, and closed."""

from pathlib import Path
from urllib.parse import quote

import pytest

from tests.app.files.packages import sheet, xlsx
from tests.app.http.page.reading import ask, choose, drop, error, marks, put, submit
from tests.app.http.page.webdriver import Browser

COVER = "契約書\n"
ANSWER = "ここに《答え》があります。"


@pytest.fixture(scope="module")
def contract(window: Browser) -> bytes:
    """A PDF of two pages, with the answer on the second."""
    cover = "<meta charset=utf-8><h1>契約書</h1><p style='break-after: page'>重い表紙。</p>"
    window.open("data:text/html;charset=utf-8," + quote(f"{cover}<p>軽い話。</p><p>{ANSWER}</p>"))
    return window.print_pdf()


def hold_files(browser: Browser) -> None:
    """From now on, files are read only after `window.go()`, which appears when the first is to be read."""
    browser.run(
        "const extract = fetch, going = new Promise((go) => { window.started = () => { window.go = go; }; });"
        "window.fetch = async (path, options) => {"
        "  if (path === 'extract') window.started();"
        "  if (path === 'extract') await going;"
        "  return extract(path, options);"
        "};"
    )


def test_a_workbook_has_sheets_in_place_of_pages(browser: Browser) -> None:
    workbook = xlsx(sheet({"A1": "一日", "B1": "100円"}), sheet({"A1": ANSWER}), names={2: "案内"})
    drop(browser, ("料金.xlsx", workbook))
    browser.wait("$('#count').textContent.includes('字・')")
    assert browser.text("#count").endswith("・2 シート")
    ask(browser, "何?")
    assert browser.texts("#questions .place") == ["料金.xlsx、シート 2、案内"]
    assert browser.complaints() == []


def test_the_answer_has_a_box_on_the_picture_of_its_page(browser: Browser, contract: bytes) -> None:
    drop(browser, ("契約.pdf", contract))
    assert browser.texts("#files .name") == ["契約.pdf"]
    assert browser.text("#count").endswith("・2 ページ")
    ask(browser, "何?")
    assert browser.texts("#questions .place") == ["契約.pdf、2 ページ、契約書"]
    assert browser.get("all('#pages rect').map((r) => [r.closest('figure').dataset.page, r.className.baseVal])") == [
        ["2", "answer current"]
    ]
    browser.wait("$('figure[data-page=\"2\"].drawn')")
    assert browser.complaints() == []
    # The box is where the answer is drawn: there is ink inside, and none right above it.
    inside, above = browser.run(
        "const canvas = $('figure[data-page=\"2\"] canvas'), rect = $('#pages rect'), box = rect.getBBox();"
        "const scale = canvas.width / rect.ownerSVGElement.viewBox.baseVal.width;"
        "const [x, y, w, h] = [box.x, box.y, box.width, box.height].map((v) => Math.round(v * scale));"
        "const dark = (...area) => canvas.getContext('2d').getImageData(...area).data"
        "  .filter((value, at) => at % 4 === 0 && value < 128).length;"
        "return [dark(x, y, w, h), dark(0, y - h, canvas.width, h / 2)]"
    )
    assert inside > 20
    assert above == 0


def test_a_pdf_is_shown_as_text_where_that_is_asked_for(browser: Browser, contract: bytes) -> None:
    drop(browser, ("契約.pdf", contract))
    ask(browser, "何?")
    browser.click("#as-text")
    assert marks(browser) == ["《答え》"]
    assert browser.get("$('#pages').hidden") is True
    browser.click("#as-text")
    assert browser.get("$('#pages').hidden") is False


def test_the_map_leads_to_a_page(browser: Browser, contract: bytes) -> None:
    drop(browser, ("契約.pdf", contract))
    ask(browser, "何?")
    browser.run("$('#pages').scrollTop = 0; $('#map button:last-child').click()")
    browser.wait("$('#pages').scrollTop > 100")


def test_files_of_several_kinds_are_asked_together(browser: Browser, contract: bytes) -> None:
    drop(browser, ("契約.pdf", contract), ("覚え書き.txt", "覚え。ここにも《別の答え》がある。".encode("cp932")))
    assert browser.texts("#files .name") == ["契約.pdf", "覚え書き.txt"]
    ask(browser, "何?")
    assert browser.texts("#questions .found > .place") == ["契約.pdf、2 ページ、契約書", "覚え書き.txt"]
    browser.click("#questions details summary")
    browser.click("#questions details .found")
    assert browser.text("[aria-pressed=true]") == "覚え書き.txt"
    assert browser.text("mark.current") == "《別の答え》"
    choose(browser, "classify")
    submit(browser)
    assert browser.texts("#label-lists h3") == ["契約.pdf：分野", "覚え書き.txt：分野"]


def test_a_file_that_cannot_be_read_is_named(browser: Browser) -> None:
    drop(browser, ("写真.png", b"\x89PNG\r\n\x1a\n" + bytes(40)))
    text = browser.text("#file-error")
    assert text.startswith("「写真.png」を開けませんでした。この種類のファイルは読めません。")
    assert browser.get("$('#files').hidden") is True


def test_all_files_that_cannot_be_read_are_named(browser: Browser) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(40)
    drop(browser, ("一.png", picture), ("二.png", picture))
    browser.wait("$('#file-error').textContent.includes('「二.png」')")
    assert "「一.png」を開けませんでした。" in browser.text("#file-error")


def test_a_file_is_asked_about_as_it_was_when_it_was_opened(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "覚え.txt"
    file.write_text(ANSWER, encoding="utf-8")
    browser.choose_files("#file", file)
    browser.wait("all('#files li').length")
    file.write_text("書き足した文。" + ANSWER, encoding="utf-8")
    ask(browser, "何?")
    assert marks(browser) == ["《答え》"]
    file.unlink()
    ask(browser, "どれ?")
    assert browser.texts("#questions .passage") == [ANSWER] * 2


def test_a_file_that_is_gone_before_it_is_read_is_not_blamed_on_the_server(browser: Browser, tmp_path: Path) -> None:
    first, second = tmp_path / "一.txt", tmp_path / "二.txt"
    first.write_text("一", encoding="utf-8")
    second.write_text("二", encoding="utf-8")
    hold_files(browser)
    browser.choose_files("#file", first, second)
    browser.wait("window.go")
    second.unlink()
    browser.run("window.go()")
    browser.wait("!$('#file-error').hidden")
    assert browser.texts("#file-error p") == [
        "「二.txt」を開けませんでした。",
        "ファイルの中身を読み出せません。フォルダーは開けません。移動したり書き換えたりしたファイルは、開き直してください。",
    ]
    assert browser.texts("#files .name") == ["一.txt"]


def test_a_question_waits_for_the_files_that_are_still_being_read(browser: Browser) -> None:
    hold_files(browser)
    browser.run(
        "const files = new DataTransfer(); files.items.add(new File(['《一》'], '一.txt'));"
        "$('main').dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));"
    )
    browser.wait("window.go")
    browser.run(
        "$('#question').value = '何?'; $('#panel-qa form').requestSubmit(); $('#panel-qa form').requestSubmit()"
    )
    assert browser.get("$('#panel-qa .error').hidden") is True
    browser.run("window.go()")
    browser.wait("$('#panel-qa .usage').textContent")
    assert marks(browser) == ["《一》"]
    assert browser.texts("#questions h3") == ["何?"]


def test_a_sample_is_not_covered_by_a_file_that_was_still_being_read(browser: Browser) -> None:
    hold_files(browser)
    browser.run(
        "const files = new DataTransfer(); files.items.add(new File(['覚え'], '覚え.txt'));"
        "$('main').dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));"
    )
    browser.wait("window.go && $('#sample').options.length > 1")
    browser.run("$('#sample').value = 'history.txt'; $('#sample').dispatchEvent(new Event('change'));")
    browser.wait("!$('#about').hidden")
    browser.run("window.go()")
    browser.wait("$('#file-status').textContent === ''")
    assert browser.texts("#files .name") == []
    assert browser.get("$('#sample').value") == "history.txt"
    assert browser.get("$('#file-error').hidden") is True


def test_a_text_that_was_deleted_is_no_file_without_characters(browser: Browser) -> None:
    put(browser, "本文")
    put(browser, "")
    assert browser.text("#warnings") == ""


def test_the_pasted_text_waits_while_files_are_open(browser: Browser) -> None:
    browser.run("$('#text').value = '重い話だ。'; $('#text').dispatchEvent(new Event('input'))")
    drop(browser, ("一.txt", "《一》".encode()), ("二.txt", "《二》".encode()))
    assert browser.get("$('#text').hidden") is True
    browser.click("#files li:first-child .remove")
    assert browser.texts("#files .name") == ["二.txt"]
    assert browser.get("document.activeElement.getAttribute('aria-label')") == "「二.txt」を閉じる"
    browser.press("Enter")
    assert browser.get("document.activeElement.id") == "text"
    assert browser.get("$('#text').value") == "重い話だ。"


def test_a_file_without_text_says_so(browser: Browser) -> None:
    drop(browser, ("空.txt", b" \n"))
    assert "文字がありません" in browser.text("#warnings")
    assert browser.get("[...document.querySelectorAll('#warnings li')].map((one) => one.textContent)") == [
        "文字がありません。詳しくThe file holds no text."
    ]
    ask(browser, "何?")
    assert error(browser) == "文書を入れてください。"


def test_a_text_is_pasted_as_one_though_a_picture_of_it_comes_along(browser: Browser) -> None:
    browser.run(
        "const data = new DataTransfer();"
        "data.items.add(new File(['x'], 'picture.png'));"
        "data.items.add(arguments[0], 'text/plain');"
        "const options = { clipboardData: data, bubbles: true, cancelable: true };"
        "$('#text').dispatchEvent(new ClipboardEvent('paste', options))",
        "表の文字",
    )
    assert browser.text("#file-status") == ""
    assert browser.get("$('#file-error').hidden") is True
