"""Several requests read as one: in order, in one submission, within the limits of one request."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, RequestTooLarge
from app.manifest import Manifest
from app.packing import packed_length
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings
from app.tasks.base import Budget, Stretch, usual_stride, utf16_offsets
from app.tasks.classify import CLASSIFY
from app.tasks.evidence import EVIDENCE
from app.tasks.qa import QA
from app.tasks.rerank import RERANK
from app.tasks.sources import Source, sources_of_texts
from app.tasks.summarize import SUMMARIZE
from app.text.tokenizer import Tokenizer


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
        with pytest.raises(RequestTooLarge, match="needs at least 1024 tokens over all its windows; 1000 are allowed"):
            await service.answer_batch(CLASSIFY, texts)
        with pytest.raises(RequestTooLarge, match="have 1680 characters; 1500 are allowed together"):
            await service.answer_batch(CLASSIFY, [*texts, *texts[:3]])


@given(
    lengths=st.lists(st.integers(0, 3_000), min_size=1, max_size=4),
    room=st.integers(1, 255),
    allowed=st.integers(256, 20_000),
)
def test_the_stride_of_a_request_that_names_none_fits_what_is_allowed_where_any_does(
    handmade_models: Path, lengths: list[int], room: int, allowed: int
) -> None:
    manifest = Manifest.model_validate_json((handmade_models / "hand-qa" / "manifest.json").read_text("utf-8"))
    manifest = manifest.model_copy(update={"max_tokens": 256, "doc_stride": 64})

    def cost(stride: int) -> int:
        return sum(
            packed_length(min(room, length - start) + 256 - room, manifest.block_size)
            for length in lengths
            for start in [0, *range(stride, length - room + stride, stride)]
        )

    stretches = [Stretch(room, length) for length in lengths]
    stride = stretches[0].stride(usual_stride(manifest, stretches, allowed))
    assert stride == next((one for one in range(min(64, room), room) if cost(one) <= allowed), room)


@pytest.mark.parametrize(("task", "asked"), [(QA, {"question": "何"}), (CLASSIFY, {})])
async def test_documents_that_fit_together_without_overlap_are_taken_whatever_the_task(
    handmade_models: Path, task: Any, asked: dict[str, str]
) -> None:
    # Of each text, three windows without overlap, and more with the usual stride: these are too many only together.
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_request_tokens=2_304)
    text = "上" * 600
    one = task.request(**{task.text_field: text}, **asked)
    several = task.documents_request(documents=[{"text": text}] * 3, **asked)
    async with Service.open(settings, tasks=[task.name]) as service:
        alone = await service.answer(task, one)
        together = await service.answer_documents(task, several, sources_of_texts(several.documents))
        batch = await service.answer_batch(task, [one] * 3)
        assert alone.usage.windows > 3
        assert (together.usage.windows, batch.usage.windows) == (9, 9)
        more = task.documents_request(documents=[{"text": text}] * 4, **asked)
        with pytest.raises(RequestTooLarge, match=r"2304 are allowed\. Send less text"):
            await service.answer_documents(task, more, sources_of_texts(more.documents))


async def test_a_text_that_fits_without_overlap_is_taken(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_request_tokens=1_280)
    text = "上" * 1_200
    async with Service.open(settings, tasks=["qa", "classify"]) as service:
        labels = await service.answer(CLASSIFY, ClassifyRequest(text=text))
        answers = await service.answer(QA, QaRequest(question="何", context=text))
        assert (labels.usage.windows, answers.usage.windows) == (5, 5)


@pytest.mark.parametrize(
    ("task", "request_"),
    [
        (QA, QaRequest(question=["何"] * 3, context="上" * 1_200)),
        (QA, QaRequest(question="何", context="上" * 1_200, doc_stride=5)),
        (QA, QaRequest(question="何", context="上" * 1_200, window_overlap=200)),
        (CLASSIFY, ClassifyRequest(text="上" * 1_400)),
        (SUMMARIZE, SummarizeRequest(text="上。" * 800)),
    ],
)
async def test_what_is_advised_names_no_field(handmade_models: Path, task: Any, request_: Any) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_request_tokens=1_280)
    async with Service.open(settings, tasks=[task.name]) as service:
        with pytest.raises(
            RequestTooLarge, match=r"at least \d+ tokens .*; 1280 are allowed\. Send less text"
        ) as refused:
            await service.answer(task, request_)
        assert "_" not in str(refused.value)


@pytest.mark.parametrize(
    ("task", "model", "asked"),
    [
        (QA, "hand-qa", {"question": "上" * 252}),
        (QA, "hand-qa", {"question": "何", "doc_stride": 1}),
        (QA, "hand-qa", {"question": "何", "window_overlap": 251}),
        (CLASSIFY, "hand-classify", {"text_pair": "上" * 252}),
        (RERANK, "hand-classify", {"query": "上" * 252}),
        (EVIDENCE, "hand-classify", {"query": "上" * 252}),
    ],
)
def test_windows_that_cost_too_much_are_refused_before_one_is_cut(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch, task: Any, model: str, asked: dict[str, Any]
) -> None:
    # A window of 256 tokens for each of the 2,000 tokens of the text, which is shorter than what is allowed.
    def cut(*_: object, **__: object) -> None:
        raise AssertionError("a window was cut")

    monkeypatch.setattr("app.text.windows.Window", cut)
    manifest = Manifest.read(handmade_models / model)
    tokenizer = Tokenizer.load(handmade_models / model / "tokenizer.json", normaliser="nfkc", segmenter="none")
    settings = Settings(max_request_tokens=100_000)
    with pytest.raises(RequestTooLarge, match=r"at least \d{6} tokens .*; 100000 are allowed\. Send less text"):
        task.prepare(tokenizer, manifest, task.fields(**asked), Source("上" * 2_000, "`text`"), settings)


@pytest.mark.parametrize(
    ("task", "model", "asked", "reason"),
    [
        (QA, "hand-qa", {"question": "上" * 400}, "The question has 400 tokens; at most 252 are allowed"),
        (CLASSIFY, "hand-classify", {"text_pair": "上" * 400}, "The second text has 400 tokens; at most 252"),
        (RERANK, "hand-classify", {"query": "上" * 400}, "The question has 400 tokens; at most 252 are allowed"),
    ],
)
def test_a_question_longer_than_a_window_is_no_matter_of_the_texts_length(
    handmade_models: Path, task: Any, model: str, asked: dict[str, str], reason: str
) -> None:
    manifest = Manifest.read(handmade_models / model)
    tokenizer = Tokenizer.load(handmade_models / model / "tokenizer.json", normaliser="nfkc", segmenter="none")
    settings = Settings(max_request_tokens=100_000)
    with pytest.raises(InvalidInput, match=reason):
        task.prepare(tokenizer, manifest, task.fields(**asked), Source("上" * 2_000, "`text`"), settings)


@given(
    length=st.integers(1, 3_000), room=st.integers(1, 252), stride=st.integers(1, 252), allowed=st.integers(1, 9_999)
)
def test_no_more_is_expected_than_is_spent(
    handmade_models: Path, length: int, room: int, stride: int, allowed: int
) -> None:
    manifest = Manifest.read(handmade_models / "hand-classify")
    stretch, own = Stretch(room, length), min(stride, room)
    starts = [0, *range(own, length - room + own, own)]
    costs = [
        packed_length(min(room, length - start) + manifest.max_tokens - room, manifest.block_size) for start in starts
    ]
    budget = Budget(manifest, Settings(max_request_tokens=allowed, max_queue_tokens=10_000))
    if sum(costs[:-1]) > allowed:
        with pytest.raises(RequestTooLarge, match=f"at least {sum(costs[:-1])} tokens"):
            budget.expect(stretch, own)
    else:
        budget.expect(stretch, own)


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
