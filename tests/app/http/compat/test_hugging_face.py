"""Hugging Face's payload over HTTP. The clients themselves are in tests/e2e."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.compat.hugging_face import write_answers
from app.http.compat.hugging_face_schemas import QaParameters
from app.main import create_app
from app.schemas import Answer, QuestionResult
from app.settings import Settings
from tests.app.asgi import error_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = {"question": "何?", "context": "前。《答え》"}
ANSWER = {"answer": "《答え》", "start": 2, "end": 6, "score": pytest.approx(1, abs=1e-3)}


async def ok(client: httpx.AsyncClient, path: str, inputs: Any, **parameters: Any) -> Any:
    response = await client.post(path, json={"inputs": inputs, "parameters": parameters})
    assert response.status_code == 200, response.text
    assert int(response.headers["x-compute-tokens"]) > 0
    return response.json()


async def refused(client: httpx.AsyncClient, path: str, inputs: Any, **parameters: Any) -> str:
    response = await client.post(path, json={"inputs": inputs, "parameters": parameters})
    return error_of(response, 422, "invalid_input")


@pytest.mark.parametrize("path", ["/", "/qa"])
async def test_a_question(client: httpx.AsyncClient, path: str) -> None:
    assert await ok(client, path, ASKED) == ANSWER
    assert await ok(client, path, [ASKED]) == [ANSWER]
    answers = await ok(client, path, ASKED, top_k=3)
    assert (answers[0], len(answers)) == (ANSWER, 2)  # 前 is the other one; 。 is none
    assert await ok(client, path, ASKED, top_k=None, max_answer_len=None) == ANSWER


async def test_a_batch_is_answered_in_order(client: httpx.AsyncClient) -> None:
    other = {"question": "何?", "context": "《別》"}
    answers = await ok(client, "/", [ASKED, other, ASKED])
    assert [answer["answer"] for answer in answers] == ["《答え》", "《別》", "《答え》"]


async def test_no_answer_has_its_place_by_its_probability() -> None:
    result = QuestionResult(
        question="何?",
        answers=[Answer(text="甲", start=0, end=1, score=0.5), Answer(text="乙", start=1, end=2, score=0.1)],
        null_score=0.3,
        score_diff=-1.0,
    )
    first, nothing, second = (
        {"answer": "甲", "start": 0, "end": 1, "score": 0.5},
        {"answer": "", "start": 0, "end": 0, "score": 0.3},
        {"answer": "乙", "start": 1, "end": 2, "score": 0.1},
    )
    assert write_answers(result, QaParameters(top_k=2)) == [first, second]
    assert write_answers(result, QaParameters(top_k=3, handle_impossible_answer=True)) == [first, nothing, second]
    assert write_answers(result, QaParameters(top_k=2, handle_impossible_answer=True)) == [first, nothing]
    assert write_answers(result, QaParameters(handle_impossible_answer=True)) == first
    likely_none = result.model_copy(update={"null_score": 0.9})
    assert write_answers(likely_none, QaParameters(handle_impossible_answer=True)) == nothing | {"score": 0.9}
    assert write_answers(likely_none, QaParameters()) == first
    assert write_answers(likely_none.model_copy(update={"answers": []}), QaParameters()) == nothing | {"score": 0.9}


async def test_doc_stride_is_the_overlap_of_two_windows(client: httpx.AsyncClient) -> None:
    """Windows of 256 tokens: 251 of text next to a question of two tokens."""
    long = {"question": "何?", "context": "文" * 396 + "《答え》"}
    sent = {"inputs": long, "parameters": {"doc_stride": 50}}
    response = await client.post("/qa", json=sent)
    assert response.json()["answer"] == "《答え》"
    assert int(response.headers["x-compute-tokens"]) == 400 + 2 * 5 + 50, "the text, the question twice, the overlap"
    same = await client.post("/qa", json={**long, "window_overlap": 50})
    assert same.headers["x-compute-tokens"] == response.headers["x-compute-tokens"]
    assert "two windows may share at most 250" in await refused(client, "/qa", long, doc_stride=251)


async def test_options_without_effect_are_taken(client: httpx.AsyncClient) -> None:
    plain = {"align_to_words": True, "max_question_len": 1, "max_seq_len": 5}
    assert await ok(client, "/qa", ASKED, **plain) == ANSWER
    summary = await ok(client, "/summarize", "重い。", truncation="only_first", clean_up_tokenization_spaces=True)
    assert summary == [{"summary_text": "重い。"}]
    options = {"use_cache": False, "wait_for_model": True}
    response = await client.post("/classify", json={"inputs": "上", "options": options})
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "inputs", "parameters", "words"),
    [
        ("/qa", ASKED, {"topk": 1}, "`parameters`.topk is not a field that is known there; allowed are top_k, max_ans"),
        ("/qa", ASKED, {"top_k": 0}, "`parameters`.top_k must be greater than or equal to 1."),
        ("/qa", ASKED, {"top_k": 21}, "`parameters`.top_k must be less than or equal to 20."),
        ("/qa", ASKED, {"handle_impossible_answer": "yes"}, "`parameters`.handle_impossible_answer must be a valid bo"),
        ("/qa", "何?", {}, "`inputs` must be an object of names and values"),
        ("/qa", {"question": "何?"}, {}, "`inputs`.context is missing."),
        (
            "/qa",
            {**ASKED, "top_k": 1},
            {},
            "`inputs`.top_k is not a field that is known there; allowed are question, c",
        ),
        ("/qa", [ASKED, {**ASKED, "context": " "}], {}, "`inputs`[1].context must hold at least one character"),
        ("/qa", [ASKED, {**ASKED, "context": "\u200b"}], {}, "Member 1 of the batch, counted from 0: `context` holds"),
        ("/qa", [], {}, "The request holds 0 texts; from 1 to 4 are allowed at once."),
        ("/classify", [1] * 5, {}, "The request holds 5 texts; from 1 to 4 are allowed at once."),
        ("/qa", [ASKED] * 5, {}, "The request holds 5 texts; from 1 to 4 are allowed at once."),
        ("/classify", "上", {"function_to_apply": "sigmoid"}, "`parameters`.function_to_apply must be 'softmax'."),
        ("/classify", ["上", ""], {}, "`inputs`[1] must hold at least one character"),
        ("/classify", 3, {}, "`inputs` must be a valid string."),
        ("/summarize", {"text": "文"}, {}, "`inputs` must be a valid string."),
        ("/summarize", "文", {"max_length": 9}, "`parameters`.max_length is not a field that is known there;"),
        ("/summarize", "文", {"generate_parameters": {"max_length": 9}}, "allowed are max_sentences, ratio, max_chara"),
        ("/summarize", "文", {"generate_parameters": {"ratio": 1, "max_sentences": 1}}, "Only one of max_sentences, r"),
        ("/", {"context": "文"}, {}, "`inputs`.question is missing."),
        ("/", "文", {}, "Send it to /classify or /summarize, or name a model in the address: /?model=NAME."),
    ],
)
async def test_wrong_requests_are_refused(
    client: httpx.AsyncClient, path: str, inputs: Any, parameters: dict[str, Any], words: str
) -> None:
    assert words in await refused(client, path, inputs, **parameters)


async def test_our_own_format_is_taken_at_its_own_path(client: httpx.AsyncClient) -> None:
    response = await client.post("/", json=ASKED)
    assert "Send this server's own format to /qa, /summarize or /classify." in error_of(response, 422, "invalid_input")


async def test_a_batch_costs_what_its_members_cost(client: httpx.AsyncClient) -> None:
    texts = ["上" * 1_400] * 3
    assert len(await ok(client, "/classify", texts[:1])) == 1
    response = await client.post("/classify", json={"inputs": texts})
    assert "needs at least" in error_of(response, 413, "request_too_large")
    response = await client.post("/classify", json={"inputs": ["上" * 1_300] * 4})
    assert "have 5200 characters; 5000 are allowed" in error_of(response, 413, "request_too_large")


async def test_labels_and_summaries(client: httpx.AsyncClient) -> None:
    up = [
        {"label": "up", "score": pytest.approx(0.98, abs=0.01)},
        {"label": "down", "score": pytest.approx(0.02, abs=0.01)},
    ]
    assert await ok(client, "/classify", "上") == [up]
    assert await ok(client, "/classify", {"text": "上", "text_pair": "下"}, top_k=1) == [up[:1]]
    assert await ok(client, "/classify", ["上", {"text": "上"}], function_to_apply="softmax") == [up, up]
    text = "普通。重い。"
    assert await ok(client, "/summarize", text) == [{"summary_text": text}]
    one = await ok(client, "/summarize", [text, "重。"], generate_parameters={"max_sentences": 1})
    assert one == [{"summary_text": "重い。"}, {"summary_text": "重。"}]


async def test_a_model_is_named_in_the_address(client: httpx.AsyncClient) -> None:
    assert await ok(client, "/?model=hand-summarize", "重い。") == [{"summary_text": "重い。"}]
    assert (await ok(client, "/?model=hand-classify", "上"))[0][0]["label"] == "up"
    assert await ok(client, "/qa?model=hand-qa", ASKED) == ANSWER
    response = await client.post("/qa?model=other", json={"inputs": ASKED})
    assert "Models for qa: hand-qa." in error_of(response, 404, "model_not_found")
    response = await client.post("/qa?model=", json={"inputs": ASKED})
    assert "`model`" in error_of(response, 422, "invalid_input")


async def test_one_task_for_texts_needs_no_name(handmade_store: Path, settings: Settings) -> None:
    shutil.rmtree(handmade_store / "hand-classify")
    async with running(create_app(settings.model_copy(update={"model_store": handmade_store}))) as client:
        assert await ok(client, "/", "重い。") == [{"summary_text": "重い。"}]


async def test_below_the_address_of_a_task(client: httpx.AsyncClient) -> None:
    """Where a client asks whose model is that address."""
    for task in ("qa", "classify", "summarize"):
        assert (await client.get(f"/{task}/health")).status_code == 200
        assert (await client.get(f"/{task}/info")).json()["model_id"] == f"hand-{task}"
