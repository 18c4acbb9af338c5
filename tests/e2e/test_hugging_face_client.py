"""huggingface_hub.InferenceClient against the real server, as its documentation says to use it.

The models are tiny and random: nothing here asks whether an answer is right, only that the client gets what the
server's own format says.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from huggingface_hub import InferenceClient, constants
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import reset_sessions

from tests.e2e.conftest import Server

CONTEXT = "東京は日本の首都である。夏目漱石は「吾輩は猫である」を書いた。富士山の高さは3776メートルである。𠮷野家は😀。"
QUESTION = "富士山の高さは?"


@pytest.fixture
def connect(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], InferenceClient]]:
    """Clients whose model is an address of the server, which is not the hub that `make test` keeps the library from."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    reset_sessions()
    yield lambda path: InferenceClient(model=server.url + path, provider="hf-inference", token="hf_secret", timeout=60)
    reset_sessions()


Connect = Callable[[str], InferenceClient]


def own(client: httpx.Client, path: str, **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.json()


@pytest.mark.parametrize("path", ["", "/", "/qa", "/qa?model=tiny-qa"])
def test_one_answer(connect: Connect, client: httpx.Client, path: str) -> None:
    (expected,) = own(client, "/qa", question=QUESTION, context=CONTEXT)["results"][0]["answers"]
    answer = connect(path).question_answering(question=QUESTION, context=CONTEXT)
    assert not isinstance(answer, list)
    assert (answer.answer, answer.start, answer.end) == (expected["text"], expected["start"], expected["end"])
    assert answer.score == pytest.approx(expected["score"], abs=1e-3)
    assert answer.answer == CONTEXT[answer.start : answer.end] != CONTEXT, "offsets count characters, not words"


def test_several_answers_with_every_option(connect: Connect, client: httpx.Client) -> None:
    (result,) = own(client, "/qa", question=QUESTION, context=CONTEXT, top_k=5, max_answer_length=4)["results"]
    answers = connect("/qa").question_answering(
        question=QUESTION,
        context=CONTEXT,
        align_to_words=False,
        doc_stride=128,
        handle_impossible_answer=False,
        max_answer_len=4,
        max_question_len=64,
        max_seq_len=384,
        top_k=5,
    )
    assert isinstance(answers, list)
    assert [(one.answer, one.start) for one in answers] == [(one["text"], one["start"]) for one in result["answers"]]


def test_impossible_answers(connect: Connect, client: httpx.Client) -> None:
    (result,) = own(client, "/qa", question=QUESTION, context=CONTEXT, top_k=20)["results"]
    answers = connect("/").question_answering(
        question=QUESTION, context=CONTEXT, handle_impossible_answer=True, top_k=20
    )
    assert isinstance(answers, list)
    scores = [one.score for one in answers]
    assert scores == sorted(scores, reverse=True)
    expected = sorted([*(one["score"] for one in result["answers"]), result["null_score"]], reverse=True)[:20]
    assert scores == pytest.approx(expected, abs=1e-3)
    nothing = [one for one in answers if not one.answer]
    assert [(one.start, one.end) for one in nothing] in ([(0, 0)], [])


def test_text_classification(connect: Connect, client: httpx.Client) -> None:
    expected = own(client, "/classify", text=CONTEXT)["labels"]
    labels = connect("/classify").text_classification(CONTEXT)
    assert [label.label for label in labels] == [label["label"] for label in expected]
    assert [label.score for label in labels] == pytest.approx([label["score"] for label in expected], abs=1e-3)
    best = connect("/?model=tiny-classify").text_classification(CONTEXT, top_k=1, function_to_apply="softmax")
    assert [label.label for label in best] == [expected[0]["label"]]


def test_summarization(connect: Connect, client: httpx.Client) -> None:
    expected = own(client, "/summarize", text=CONTEXT, max_sentences=1)["summary"]
    summary = connect("/summarize").summarization(
        CONTEXT,
        generate_parameters={"max_sentences": 1},
        clean_up_tokenization_spaces=True,
        truncation="longest_first",
    )
    assert summary.summary_text == expected
    assert connect("/summarize").summarization(CONTEXT).summary_text


def test_health_and_information(connect: Connect) -> None:
    for path in ("", "/qa", "/classify"):
        assert connect(path).health_check() is True
    info = connect("").get_endpoint_info()
    assert info["model_id"] == "tiny-classify"
    assert info["model_type"]["classifier"]["id2label"] == {"0": "BLD", "1": "HST", "2": "PNM"}
    assert connect("/qa").get_endpoint_info()["model_id"] == "tiny-qa"


@pytest.mark.parametrize(
    ("ask", "status", "words"),
    [
        (lambda connect: connect("/qa").question_answering("何?", " "), 422, "must hold at least one character"),
        (lambda connect: connect("/qa").question_answering("何?", "文", top_k=99), 422, "less than or equal to 20"),
        (lambda connect: connect("/").text_classification("文"), 422, "Send it to /classify or /summarize"),
        (lambda connect: connect("/classify").text_classification("文", function_to_apply="none"), 422, "'softmax'"),
        (lambda connect: connect("/qa?model=x").question_answering("何?", "文"), 404, "Models for qa: tiny-qa."),
        (lambda connect: connect("/qa?model=half-exported").question_answering("何?", "文"), 503, "did not finish"),
        (lambda connect: connect("/classify").text_classification("文" * 300_001), 413, "300000 are allowed"),
    ],
)
def test_errors_reach_the_user_in_words(
    connect: Connect, ask: Callable[[Connect], Any], status: int, words: str
) -> None:
    with pytest.raises(HfHubHTTPError) as error:
        ask(connect)
    assert error.value.response.status_code == status
    assert words in str(error.value)
    assert error.value.response.headers["x-request-id"] in str(error.value)
