"""The samples of the page fill it with a text and questions."""

import pytest

from tests.app.http.page.reading import submit
from tests.app.http.page.webdriver import Browser


@pytest.mark.parametrize(
    ("file", "begins", "question"),
    [
        ("contract.txt", "駐車場賃貸借契約書", "賃料は月額いくらですか"),
        ("minutes.txt", "令和７年度　第２回", "ごみの収集枠は１台いくらですか"),
        ("manual.txt", "コードレス掃除機", "充電にはどのくらい時間がかかりますか"),
        ("history.txt", "琵琶湖疏水は", "工事の責任者に選ばれたのは誰ですか"),
    ],
)
def test_a_sample_says_what_it_is_and_comes_with_questions(
    browser: Browser, file: str, begins: str, question: str
) -> None:
    browser.run("$('#sample').value = arguments[0]; $('#sample').dispatchEvent(new Event('change'))", file)
    browser.wait("$('#text').value")
    assert browser.get("$('#text').value").startswith(begins)
    assert browser.text("#about").startswith("見本：")
    assert browser.get("$('#question').value").split("\n")[0] == question
    submit(browser)
    assert question in browser.texts("#questions h3")
    assert browser.complaints() == []
