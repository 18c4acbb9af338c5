"""Questions on the page: the list, its answers, and their places on the map."""

import re
from pathlib import Path

import pytest

from app.manifest import Manifest, write
from tests.app.http.page.conftest import READY
from tests.app.http.page.reading import TEXT, ask, marks, put
from tests.app.http.page.webdriver import Browser
from tests.app.serving import read_until, serving


def answers_with(browser: Browser, **scores: float) -> None:
    """From now on, the model is no surer than this of the answer."""
    browser.run(
        "const ask = fetch, [score, rest] = arguments;"
        "window.fetch = async (path, options) => {"
        "  delete options.headers.Prefer;"
        "  const response = await (await ask(path, options)).json();"
        "  for (const result of response.results) {"
        "    Object.assign(result, rest, { answers: [{ ...result.answers[0], score }] });"
        "  }"
        "  return Response.json(response);"
        "};",
        scores.pop("score"),
        scores,
    )


def test_the_answer_is_marked_in_the_document(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?")
    assert marks(browser) == ["《答え😀》"]
    assert browser.text("#reading") == TEXT
    assert browser.get("$('#reading b')") is None
    assert browser.texts("#questions .passage") == ["ここに《答え😀》があります。"]
    assert browser.text("mark.current") == "《答え😀》"
    assert browser.complaints() == []


def test_several_questions_are_asked_at_once_and_kept(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?", " ", "どれ?")
    assert browser.texts("#questions h3") == ["何?", "どれ?"]
    ask(browser, "いつ?")
    assert browser.texts("#questions h3") == ["何?", "どれ?", "いつ?"]
    assert browser.texts("#questions .passage") == ["ここに《答え😀》があります。"] * 3
    assert browser.get("$('#question').value") == ""


def test_a_question_asked_while_another_is_read_is_asked_after_it(browser: Browser) -> None:
    put(browser, TEXT)
    browser.run(
        "const ask = (text) => { $('#question').value = text; $('#panel-qa form').requestSubmit(); };"
        "ask('何?'); setTimeout(() => ask('どれ?'))"
    )
    browser.wait("all('#questions .passage').length === 2")
    assert browser.texts("#questions h3") == ["何?", "どれ?"]


def test_the_windows_of_all_questions_are_counted(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?", "どれ?")
    assert "のべ 2 区間" in browser.text("#panel-qa .usage")
    ask(browser, "いつ?")
    assert "区間" not in browser.text("#panel-qa .usage")


@pytest.mark.parametrize("composing", ["isComposing: true", "keyCode: 229"], ids=["Chromium", "Safari"])
def test_enter_asks_unless_it_ends_a_word(browser: Browser, composing: str) -> None:
    put(browser, TEXT)
    browser.run(
        "$('#question').value = '何?'; $('#question').focus();"
        f"const options = {{ key: 'Enter', {composing}, bubbles: true, cancelable: true }};"
        "$('#question').dispatchEvent(new KeyboardEvent('keydown', options));"
    )
    assert browser.texts("#questions h3") == []
    browser.press("Enter")
    browser.wait("$('.usage').textContent")
    assert browser.texts("#questions h3") == ["何?"]
    assert browser.get("document.activeElement.id") == "question"


def test_a_question_without_an_answer_says_so(browser: Browser) -> None:
    put(browser, TEXT)
    answers_with(browser, score=0.2, null_score=0.7, score_diff=1.25)
    ask(browser, "誰?")
    assert browser.texts("#questions .absent") == ["この文書には書かれていません"]
    assert browser.texts("#questions .absent + .score") == ["70.0 %"]
    assert browser.texts("#questions details summary") == ["それでも近いところ（1 件）"]
    assert browser.get("$('#reading mark').className") == "current"


def test_an_answer_is_stated_up_to_the_threshold_that_was_fitted_for_the_model(
    window: Browser, handmade_store: Path
) -> None:
    directory = handmade_store / "hand-qa"
    write(directory, Manifest.read(directory).model_copy(update={"null_score_diff_threshold": -1.0}))
    with serving(handmade_store, most_s=1800) as process:
        assert process.stdout is not None
        match = re.search(r"ready at (\S+)", read_until(process.stdout, "Ctrl-C"))
        assert match is not None
        window.open(match.group(1))
        window.wait(READY)
        put(window, TEXT)
        answers_with(window, score=0.5, null_score=0.4, score_diff=-0.7)
        ask(window, "誰?")
        assert window.texts("#questions .absent") == ["この文書には書かれていません"]


def test_a_guess_is_called_one(browser: Browser) -> None:
    put(browser, TEXT)
    answers_with(browser, score=0.2, null_score=0.1, score_diff=-0.7)
    ask(browser, "誰?")
    assert browser.texts("#questions .low") == ["確からしさが低い答えです"]


def test_a_question_is_removed_and_the_focus_goes_to_the_next(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?", "どれ?")
    browser.click("#questions li:first-child .remove")
    assert browser.texts("#questions h3") == ["どれ?"]
    assert browser.get("document.activeElement.getAttribute('aria-label')") == "「どれ?」を消す"
    browser.press("Enter")
    assert browser.texts("#questions h3") == []
    assert browser.get("document.activeElement.id") == "question"


def test_the_map_is_darkest_where_the_answer_is(browser: Browser) -> None:
    put(browser, TEXT)
    ask(browser, "何?")
    levels = browser.get("all('#map button').map((b) => b.dataset.level)")
    assert (len(levels), levels[1]) == (3, "5")
    assert max(levels[0], levels[2]) < "5"
    assert browser.get("$('#map [aria-current=true]').getAttribute('aria-label')").startswith("段落 2：重い話だ。")


def test_the_map_leads_to_a_paragraph_by_mouse_and_keys(browser: Browser) -> None:
    put(browser, "\n".join(f"段落{number}。" + "長い文。" * 60 for number in range(40)) + "《答え》")
    ask(browser, "何?")
    inside = (
        "((p) => p.top >= 0 && p.top < innerHeight)($('[data-block=\"' + arguments[0] + '\"]').getBoundingClientRect())"
    )
    browser.click("#map button:nth-child(11)")
    browser.wait(inside.replace("arguments[0]", "10"))
    browser.press("Down")
    assert browser.get("document.activeElement.getAttribute('aria-label')").startswith("段落 12：段落11。")
    browser.wait(inside.replace("arguments[0]", "11"))
    assert browser.get("all('#map button').filter((b) => b.tabIndex === 0).length") == 1


def test_the_map_of_a_very_long_text_has_lines_for_several_paragraphs(browser: Browser) -> None:
    put(browser, "\n".join(f"{number}。" for number in range(1000)) + "\n《答え》")
    ask(browser, "何?")
    assert browser.get("all('#map button').length") == 143
    assert browser.get("$('#map button:last-child').dataset.level") == "5"
    assert browser.get("$('#map button').getAttribute('aria-label')").startswith("段落 1–7：0。")
