"""The service on real sessions with handmade models: requests, reading, and answers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.errors import InvalidInput, ModelNotFound, RequestTooLarge
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(handmade_models: Path) -> AsyncIterator[Service]:
    """One service for all tests: starting its engines takes longer than the tests."""
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1)) as opened:
        yield opened


async def test_qa_finds_the_marked_answer(service: Service) -> None:
    context = "前の文。《答え》後の文。"
    response = await service.answer(QA, QaRequest(question="何?", context=context))
    (result,) = response.results
    (answer,) = result.answers
    assert (answer.text, answer.start, answer.end) == ("《答え》", 4, 8)
    assert context[answer.start : answer.end] == answer.text
    assert answer.score > 0.9
    assert result.null_score < 0.1
    assert result.score_diff == -20.0
    assert response.model == "hand-qa"
    assert response.usage.windows == 1
    assert response.usage.tokens == len("何?") + len(context) + 3


async def test_qa_answers_every_question_in_order_past_one_window(service: Service) -> None:
    context = "あ" * 700 + "《答》" + "い" * 700
    response = await service.answer(QA, QaRequest(question=["一?", "二つ目?"], context=context))
    assert [result.question for result in response.results] == ["一?", "二つ目?"]
    for result in response.results:
        assert [(answer.text, answer.start) for answer in result.answers] == [("《答》", 700)]
    assert response.usage.windows > 10
    assert response.usage.tokens > 2 * len(context)


async def test_qa_offsets_in_utf16(service: Service) -> None:
    context = "𠮷野家😀《答え》"
    response = await service.answer(QA, QaRequest(question="何?", context=context, offset_unit="utf16"))
    (answer,) = response.results[0].answers
    units = context.encode("utf-16-le")
    assert units[2 * answer.start : 2 * answer.end].decode("utf-16-le") == answer.text == "《答え》"


async def test_qa_without_an_answer(service: Service) -> None:
    context = "答えはない。" * 30
    asked = QaRequest(question="何?", context=context, null_score_diff_threshold=-0.5)
    (result,) = (await service.answer(QA, asked)).results
    assert result.score_diff == 0.0  # everything is equally unlikely
    assert result.answers == []
    (result,) = (await service.answer(QA, QaRequest(question="何?", context=context, top_k=20))).results
    # The first twenty characters that may be an answer, each a span; what stands there several times is one answer.
    assert [(answer.text, answer.start) for answer in result.answers] == [*zip("答えはない", range(5), strict=True)]
    assert [round(answer.score * 21) for answer in result.answers] == [4, 4, 4, 4, 4]
    assert result.null_score + sum(answer.score for answer in result.answers) == pytest.approx(1)


async def test_qa_limits(service: Service) -> None:
    with pytest.raises(InvalidInput, match="holds 200 questions; at most 64"):
        await service.answer(QA, QaRequest(question=["何?"] * 200, context="文。"))
    with pytest.raises(InvalidInput, match="question has 300 tokens; at most 252"):
        await service.answer(QA, QaRequest(question="何" * 300, context="文。"))
    with pytest.raises(InvalidInput, match="doc stride is 1000 tokens"):
        await service.answer(QA, QaRequest(question="何?", context="文。" * 500, doc_stride=1000))
    with pytest.raises(InvalidInput, match="`context` holds only invisible"):
        await service.answer(QA, QaRequest(question="何?", context="\u200b\u200b"))
    with pytest.raises(InvalidInput, match="`question` holds only invisible"):
        await service.answer(QA, QaRequest(question="\u200b", context="文"))
    with pytest.raises(RequestTooLarge, match="300001 characters; 300000 are allowed"):
        await service.answer(QA, QaRequest(question="何", context="あ" * 300_000))
    with pytest.raises(RequestTooLarge, match="393216 are allowed"):  # refused before 50,000 windows are made
        await service.answer(QA, QaRequest(question="何?", context="あ" * 50_000, doc_stride=1))


async def test_summarize_keeps_document_order_and_offsets(service: Service) -> None:
    text = "普通の文。重要な文。中くらいの文。重ねて言う。終わりの文。"
    response = await service.answer(SUMMARIZE, SummarizeRequest(text=text))
    assert response.summary == "重要な文。中くらいの文。重ねて言う。"
    assert [sentence.index for sentence in response.sentences] == list(range(5))
    assert [sentence.selected for sentence in response.sentences] == [False, True, True, True, False]
    for sentence in response.sentences:
        assert text[sentence.start : sentence.end] == sentence.text
        assert 0 <= sentence.score <= 1


async def test_summarize_lengths(service: Service) -> None:
    text = "普通の文。\n重い重し。\n中くらいの文。\n重ねて言う。\n終わりの文。"

    async def summary(**length: Any) -> str:
        return (await service.answer(SUMMARIZE, SummarizeRequest(text=text, **length))).summary

    assert await summary(max_sentences=1) == "重い重し。"
    assert await summary(ratio=0.4) == "重い重し。重ねて言う。"
    assert await summary(max_characters=8) == "重い重し。"
    assert await summary(max_sentences=100) == text.replace("\n", "")
    with pytest.raises(InvalidInput, match="shortest has 5 characters"):
        await summary(max_characters=4)
    with pytest.raises(InvalidInput, match="only invisible"):
        await service.answer(SUMMARIZE, SummarizeRequest(text="\u200b\n"))


async def test_summarize_reads_past_one_window(service: Service) -> None:
    text = "普通の文。" * 200 + "重要な文。" + "普通の文。" * 200
    response = await service.answer(SUMMARIZE, SummarizeRequest(text=text, max_sentences=1))
    assert response.summary == "重要な文。"
    assert [sentence.index for sentence in response.sentences if sentence.selected] == [200]
    assert response.usage.windows > 5


async def test_classify_averages_over_windows(service: Service) -> None:
    response = await service.answer(CLASSIFY, ClassifyRequest(text="上の文。"))
    assert [label.label for label in response.labels] == ["up", "down"]
    assert response.labels[0].score == pytest.approx(0.982, abs=1e-3)
    response = await service.answer(CLASSIFY, ClassifyRequest(text="下" + "あ" * 1000, top_k=1))
    assert [label.label for label in response.labels] == ["down"]
    assert 0.5 < response.labels[0].score < 0.7, "only the first of many windows says so"
    assert response.usage.windows > 3
    response = await service.answer(CLASSIFY, ClassifyRequest(text="下の文。", text_pair="上の文。"))
    assert response.labels[0].label == "down"


async def test_timings_add_up(service: Service) -> None:
    timings = (await service.answer(CLASSIFY, ClassifyRequest(text="上"))).timings
    stages = timings.tokenize_ms + timings.queue_ms + timings.infer_ms + timings.decode_ms
    assert 0 < stages <= timings.total_ms + 0.01


async def test_models_by_name(service: Service) -> None:
    assert (await service.answer(CLASSIFY, ClassifyRequest(text="上", model="hand-classify"))).model == "hand-classify"
    with pytest.raises(ModelNotFound, match=r"No model named 'x' serves classify\. Models for classify: hand-classify"):
        await service.answer(CLASSIFY, ClassifyRequest(text="上", model="x"))
    with pytest.raises(ModelNotFound, match="hand-classify"):
        await service.answer(CLASSIFY, ClassifyRequest(text="上", model="hand-qa"))


async def test_many_at_once_get_their_own_answers(service: Service) -> None:
    async def ask(number: int) -> None:
        context = "あ" * number + "《" + "い" * (number % 7) + "》"
        (result,) = (await service.answer(QA, QaRequest(question="何?", context=context))).results
        assert result.answers[0].start == number
        assert result.answers[0].text == context[number:]

    await asyncio.gather(*(ask(number) for number in range(100)))


async def test_normalised_text_is_bounded_too(service: Service) -> None:
    with pytest.raises(RequestTooLarge, match="have 360019 characters once normalised \\(20019 as sent\\); 300000"):
        await service.answer(QA, QaRequest(question="ﷺ" * 10_000, context="ﷺ" * 10_000 + "あ" * 19))
    assert (await service.answer(CLASSIFY, ClassifyRequest(text="上" + "ﷺ" * 1000))).labels[0].label == "up"
