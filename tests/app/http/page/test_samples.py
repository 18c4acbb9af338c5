"""The samples of the page fill it with a text and questions, which the shipped model answers right."""

import json
import re
from pathlib import Path

import pytest

from app.http.pages import STATIC
from app.schemas import QaRequest
from app.service import Service
from app.settings import Settings
from app.tasks.qa import QA
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


# Empty where the sample does not answer.
ANSWERS = {
    "contract.txt": ["8,800円", "30日以内", ""],
    "minutes.txt": ["28,600円", "７月22日"],
    "manual.txt": ["約３時間30分", "月に１回"],
    "history.txt": ["田辺朔郎"],
}


@pytest.mark.slow
async def test_the_shipped_model_answers_the_questions_of_the_samples() -> None:
    script = (STATIC / "samples.js").read_text(encoding="utf-8")
    listed = re.findall(r'file: "([^"]+)".*?questions: (\[.*?\])', script, re.DOTALL)
    given = {}
    store = Path(__file__).parents[4] / "model_store"
    async with Service.open(Settings(model_store=store), tasks=["qa"]) as service:
        for file, questions in listed:
            context = (STATIC / "samples" / file).read_text(encoding="utf-8").rstrip()
            response = await service.answer(QA, QaRequest(question=json.loads(questions), context=context))
            best = [(result.answers[0].text, result.score_diff) for result in response.results]
            threshold = service.store.find("qa", None).manifest.null_score_diff_threshold or 0
            given[file] = [text if difference <= threshold else "" for text, difference in best]
    assert given == ANSWERS
