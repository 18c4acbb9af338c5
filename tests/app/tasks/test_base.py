"""Several requests read as one: in order, in one submission, within the limits of one request."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, RequestTooLarge
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings
from app.tasks.base import utf16_offsets
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE


async def test_members_are_answered_in_order(handmade_models: Path) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1)) as service:
        long = "文" * 400 + "《遠い》"  # three windows
        asked = [QaRequest(question="何?", context=context) for context in ("《甲》", long, "前。《乙》")]
        reply = await service.answer_batch(QA, asked)
        assert [result.answers[0].text for (result,) in reply.result] == ["《甲》", "《遠い》", "《乙》"]
        assert (reply.model, reply.usage.windows) == ("hand-qa", 5)

        labels = await service.answer_batch(CLASSIFY, [ClassifyRequest(text=text, top_k=1) for text in "上下上"])
        assert [label.label for (label,) in labels.result] == ["up", "down", "up"]

        summaries = await service.answer_batch(
            SUMMARIZE, [SummarizeRequest(text=text) for text in ("重。", "中。普通。")]
        )
        assert [summary.text for summary in summaries.result] == ["重。", "中。普通。"]


async def test_limits_hold_for_the_sum(handmade_models: Path) -> None:
    settings = Settings(
        model_store=handmade_models, intra_op_threads=1, max_request_tokens=1_000, max_text_characters=1_500
    )
    async with Service.open(settings, tasks=["classify"]) as service:
        texts = [ClassifyRequest(text="上" * 240)] * 4
        assert len((await service.answer_batch(CLASSIFY, texts[:3])).result) == 3
        with pytest.raises(RequestTooLarge, match="takes at least 1024 tokens over all its windows; 1000 are allowed"):
            await service.answer_batch(CLASSIFY, texts)
        with pytest.raises(RequestTooLarge, match="have 1680 characters; 1500 are allowed together"):
            await service.answer_batch(CLASSIFY, [*texts, *texts[:3]])


async def test_a_bad_member_is_named(handmade_models: Path) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1), tasks=["classify"]) as service:
        good, bad = ClassifyRequest(text="上"), ClassifyRequest(text="\u200b")
        with pytest.raises(InvalidInput, match=r"^Member 1 of the batch, counted from 0: `text` holds only invisible"):
            await service.answer_batch(CLASSIFY, [good, bad])
        with pytest.raises(InvalidInput, match=r"^`text` holds only invisible"):
            await service.answer_batch(CLASSIFY, [bad])


async def test_an_overlap_is_another_way_to_give_the_doc_stride(handmade_models: Path) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1), tasks=["qa"]) as service:
        context = "文" * 600  # windows have room for 251 tokens next to a question of two
        by_overlap = await service.answer(QA, QaRequest(question="何?", context=context, window_overlap=51))
        by_stride = await service.answer(QA, QaRequest(question="何?", context=context, doc_stride=200))
        assert by_overlap.usage == by_stride.usage
        with pytest.raises(
            InvalidInput, match="a window has room for 251 tokens of the text, so two windows may share"
        ):
            await service.answer(QA, QaRequest(question="何?", context=context, window_overlap=251))


@given(st.text(max_size=30))
def test_utf16_offsets(text: str) -> None:
    offsets = utf16_offsets(text)
    assert [len(text[:end].encode("utf-16-le")) // 2 for end in range(len(text) + 1)] == offsets.tolist()
