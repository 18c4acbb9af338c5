"""Answers of services that are known, as they are kept."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.errors import InvalidInput
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.tasks.base import TaskSpec
from training.data import DataError, LabelledText, QuestionExample, SummaryExample
from training.evaluation.predictions import (
    QUESTIONS_A_REQUEST,
    Choice,
    Scored,
    ask_labels,
    ask_marks,
    ask_questions,
    ask_summaries,
    evaluation_settings,
)
from training.reading_set import MarkedText

QUESTIONS = [
    QuestionExample(f"{context}-{index}", f"{context}の{index}番は?", f"{context}の何番。", (("何番", 2),))
    for index in range(QUESTIONS_A_REQUEST + 3)
    for context in "甲乙"
]


class KnownService:
    """Answers from a table: an answer has 0.7, another one 0.1, and no answer 0.2."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.requests: list[QaRequest] = []

    async def answer(self, task: TaskSpec[Any, Any, Any], request: Any) -> Any:
        return await getattr(self, task.name)(request)

    async def qa(self, request: QaRequest) -> Any:
        self.requests.append(request)
        results = []
        for question in request.questions:
            given = [(self.answers[question], 0.7), ("他", 0.1)] if question in self.answers else []
            answers = [SimpleNamespace(text=text, score=score) for text, score in given]
            results.append(SimpleNamespace(answers=answers, null_score=0.2 if given else 1.0, score_diff=-1.5))
        return SimpleNamespace(results=results)

    async def classify(self, request: ClassifyRequest) -> Any:
        labels = [(self.answers[request.text], 0.9), ("Z", 0.1)]
        return SimpleNamespace(labels=[SimpleNamespace(label=label, score=score) for label, score in labels])

    async def summarize(self, request: SummarizeRequest) -> Any:
        return SimpleNamespace(summary=self.answers[request.text])


def _service(answers: dict[str, str]) -> Service:
    return cast(Service, KnownService(answers))


async def test_an_answer_is_kept_with_what_was_wanted_and_where_it_stands() -> None:
    example = QuestionExample(
        "1", "どこ?", "寺は" + "あ" * 98 + "京都府にある。", (("京都", 100), ("京都府", 100)), "寺"
    )
    assert await ask_questions(_service({"どこ?": "京都府。"}), "m", [example]) == [
        Scored(
            asked="どこ?",
            wanted=("京都", "京都府"),
            given="京都府。",
            measure=1.0,
            right=True,
            document="寺",
            characters=107,
            probabilities=(0.7, 0.1, 0.2),
            position=100 / 107,
            passage="あ" * 60 + "京都府にある。",
            score_diff=-1.5,
        )
    ]


async def test_questions_about_one_context_share_requests_and_keep_their_order() -> None:
    service = KnownService({example.question: example.id for example in QUESTIONS})
    items = await ask_questions(cast(Service, service), "m", QUESTIONS)
    assert [(item.asked, item.given) for item in items] == [(e.question, e.id) for e in QUESTIONS]
    assert [len(request.questions) for request in service.requests] == [QUESTIONS_A_REQUEST, 3] * 2


async def test_no_answer_is_right_only_where_none_is_wanted() -> None:
    examples = [QuestionExample("1", "無い?", "丙。", ()), QuestionExample("2", "有る?", "丙。", (("丙", 0),))]
    without, wanted = await ask_questions(_service({}), "m", examples)
    assert (without.given, without.right, without.measure, without.position, without.passage) == ("", True, 1, None, "")
    assert (wanted.given, wanted.right, wanted.measure, wanted.null_score) == ("", False, 0, 1.0)


async def test_labels_and_summaries() -> None:
    (label,) = await ask_labels(_service({"一": "A"}), "m", [LabelledText("一", "B")])
    assert label == Scored("一", ("B",), "A", 0.0, False, "一", 1, (0.9, 0.1))
    document = SummaryExample(("京都は都。", "寺が多い。"), "都は京都")
    (summary,) = await ask_summaries(_service({"京都は都。\n寺が多い。": "京都は都。"}), "m", [document])
    # Bigrams: 京都 都は は都 都。 against 都は は京 京都: two in common of four and three.
    assert summary.measure == pytest.approx(4 / 7)
    assert (summary.given, summary.wanted, summary.characters) == ("京都は都。", ("都は京都",), 11)


async def test_the_first_failure_ends_the_evaluation() -> None:
    class Failing(KnownService):
        async def qa(self, request: QaRequest) -> Any:
            raise InvalidInput("The question is too long.")

    with pytest.raises(InvalidInput, match="too long"):
        await ask_questions(cast(Service, Failing({})), "m", QUESTIONS)


async def test_items_that_no_service_takes_are_named() -> None:
    with pytest.raises(DataError, match=r"Question q7 would be refused by the service: context must .*white space"):
        await ask_questions(_service({}), "m", [QuestionExample("q7", "何?", " ", ())])
    with pytest.raises(DataError, match=r"The text '' of the class A would be refused"):
        await ask_labels(_service({}), "m", [LabelledText("", "A")])
    with pytest.raises(DataError, match="nothing to score"):
        await ask_questions(_service({}), "m", [])


def test_the_limits_of_a_server_do_not_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(tmp_path))
    for name in ("MAX_TEXT_CHARACTERS", "MAX_QUESTIONS", "MAX_REQUEST_TOKENS", "MAX_QUEUE_TOKENS", "REQUEST_TIMEOUT_S"):
        monkeypatch.setenv(f"NAGAYOMI_{name}", "1")
    settings = evaluation_settings(None)
    assert settings.model_store == tmp_path
    # 8 requests at once of a book of a million characters with 16 questions, read with a stride of an eighth.
    assert settings.max_queue_tokens >= settings.max_request_tokens >= 8 * 16 * 1_000_000
    assert settings.max_text_characters >= 1_000_000
    assert settings.max_questions >= QUESTIONS_A_REQUEST
    assert settings.request_timeout_s > 7 * 24 * 3600
    assert evaluation_settings(tmp_path / "other").model_store == tmp_path / "other"


def test_a_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_TEXT_THREADS", "many")
    with pytest.raises(InvalidInput, match="NAGAYOMI_TEXT_THREADS must be a valid integer"):
        evaluation_settings(None)


async def test_a_summary_of_a_marked_document_has_as_many_sentences_as_are_marked() -> None:
    asked: list[SummarizeRequest] = []

    class Choosing:
        async def answer(self, task: object, request: SummarizeRequest) -> Any:
            asked.append(request)
            spans = [(0, 5, False), (5, 10, True), (10, 14, True)]
            return SimpleNamespace(
                sentences=[SimpleNamespace(start=start, end=end, selected=selected) for start, end, selected in spans]
            )

    document = MarkedText("契約/1", "犬が走る。猫が寝る。鳥だ。", (7, 12))
    assert await ask_marks(cast(Service, Choosing()), "m", [document]) == [
        Choice(document, ((5, 10), (10, 14)), ((0, 5), (5, 10), (10, 14)))
    ]
    assert (asked[0].text, asked[0].max_sentences, asked[0].model) == (document.text, 2, "m")
    with pytest.raises(DataError, match="The document 空 would be refused"):
        await ask_marks(cast(Service, Choosing()), "m", [MarkedText("空", " ", (0,))])


def test_a_choice_as_a_scored_item() -> None:
    document = MarkedText("契約/1", "犬が走る。猫が寝る。鳥だ。", (7, 12))
    choice = Choice(document, ((0, 5), (5, 10)), ((0, 5), (5, 10), (10, 14)))
    assert choice.scored() == Scored(
        asked=document.text,
        wanted=("猫が寝る。", "鳥だ。"),
        given="犬が走る。\n猫が寝る。",
        measure=0.5,
        right=False,
        document="契約/1",
        characters=13,
    )
