"""tritonclient over HTTP against the real server: binary data both ways, as it does by default, and JSON."""

import json
import struct
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from tests.e2e.conftest import Server

CONTEXTS = ["東京は日本の首都である。𠮷野家は😀。", "富士山の高さは3776メートルである。"]
QUESTIONS = ["日本の首都は?", "富士山の高さは?"]


@pytest.fixture
def client(server: Server) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(server.url.removeprefix("http://"), network_timeout=60.0) as opened:
        yield opened


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def tensor(name: str, texts: list[str], binary: bool = True, column: bool = False) -> triton.InferInput:
    array = np.array([text.encode() for text in texts], dtype=np.object_)
    array = array.reshape(-1, 1) if column else array
    made = triton.InferInput(name, list(array.shape), "BYTES")
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def texts_of(result: triton.InferResult, name: str) -> Any:
    return np.vectorize(bytes.decode, otypes=[object])(result.as_numpy(name)).tolist()


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("column", [True, False])
def test_questions(client: triton.InferenceServerClient, http: httpx.Client, binary: bool, column: bool) -> None:
    inputs = [tensor("question", QUESTIONS, binary, column), tensor("context", CONTEXTS, binary, column)]
    result = client.infer("tiny-qa", inputs, request_id="r1", parameters={"top_k": 2, "max_answer_length": 5})
    assert {name: result.get_response()[name] for name in ("id", "model_name", "model_version")} == {
        "id": "r1", "model_name": "tiny-qa", "model_version": "1",
    }  # fmt: skip
    for row, (question, context) in enumerate(zip(QUESTIONS, CONTEXTS, strict=True)):
        body = {"question": question, "context": context, "top_k": 2, "max_answer_length": 5}
        (expected,) = http.post("/qa", json=body).json()["results"]
        assert texts_of(result, "answer")[row] == [answer["text"] for answer in expected["answers"]]
        for name in ("start", "end"):
            assert result.as_numpy(name)[row].tolist() == [answer[name] for answer in expected["answers"]]
        assert result.as_numpy("score")[row] == pytest.approx([a["score"] for a in expected["answers"]], abs=1e-3)
        assert result.as_numpy("null_score")[row] == pytest.approx(expected["null_score"], abs=1e-3)


def test_outputs_that_are_asked_for(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput("score", binary_data=False), triton.InferRequestedOutput("label")]
    result = client.infer("tiny-classify", [tensor("text", CONTEXTS)], outputs=wanted, model_version="1")
    score, label = result.get_response()["outputs"]
    assert (score["name"], len(score["data"]), label["name"], "data" in label) == ("score", 6, "label", False)
    assert np.sum(result.as_numpy("score"), axis=1) == pytest.approx([1, 1])
    assert {name for row in texts_of(result, "label") for name in row} == {"BLD", "HST", "PNM"}


def test_pairs_and_summaries(client: triton.InferenceServerClient) -> None:
    pairs = [tensor("text", CONTEXTS), tensor("text_pair", QUESTIONS, binary=False)]
    assert client.infer("tiny-classify", pairs, parameters={"top_k": 1}).as_numpy("label").shape == (2, 1)
    result = client.infer("tiny-summarize", [tensor("text", CONTEXTS)], parameters={"max_sentences": 1})
    assert all(summary in text for summary, text in zip(texts_of(result, "summary"), CONTEXTS, strict=True))


def test_many_at_once(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()  # opens the connection: gevent once gave up while all eight waited for it
    pending = [client.async_infer("tiny-classify", [tensor("text", CONTEXTS[:1])]) for _ in range(8)]
    shapes = {request.get_result().as_numpy("label").shape for request in pending}
    assert shapes == {(1, 3)}


def test_health_and_metadata(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny-qa")
    assert client.is_model_ready("tiny-qa", "1")
    assert not client.is_model_ready("tiny-qa", "2")
    assert not client.is_model_ready("half-exported")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("tiny-qa")
    assert [one["name"] for one in metadata["inputs"]] == ["question", "context"]


def test_errors_reach_the_user_in_words(client: triton.InferenceServerClient) -> None:
    text = tensor("text", CONTEXTS)
    for name, inputs, extra, status, words in (
        ("x", [text], {}, "404", "There is no model 'x'"),
        ("tiny-qa", [text], {}, "422", "There is no input `text`; inputs are question, context."),
        ("tiny-classify", [text], {"parameters": {"temperature": 2}}, "422", "There is no parameter `temperature`"),
        ("tiny-classify", [text], {"timeout": 5}, "422", "There is no parameter `timeout`"),
        ("tiny-classify", [tensor("text", ["文"] * 65)], {}, "422", "a shape of 65 texts; at most 64 are allowed."),
        ("tiny-classify", [text], {"request_compression_algorithm": "gzip"}, "415", "send it without compression"),
    ):
        with pytest.raises(InferenceServerException) as error:
            client.infer(name, inputs, **extra)
        assert error.value.status() == status
        assert words in error.value.message()
    array = np.array([b"\x93\xfa\x96\x7b"], dtype=np.object_)
    shift_jis = triton.InferInput("text", [1], "BYTES").set_data_from_numpy(array)
    with pytest.raises(InferenceServerException, match="Element 0 of `text` is not UTF-8"):
        client.infer("tiny-classify", [shift_jis])


@pytest.mark.parametrize("tail", [b"", b"\x01", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7fabc", b"\0\0\0\0" * 100_000])
def test_hostile_binary_data(http: httpx.Client, tail: bytes) -> None:
    for claimed in (len(tail), 0, 2**62):
        for shape in ([1], [2**62], [1, 2**40]):
            head = json.dumps(
                {"inputs": [{"name": "text", "shape": shape, "datatype": "BYTES",
                             "parameters": {"binary_data_size": claimed}}]}
            ).encode()  # fmt: skip
            for length in (len(head), len(head) - 1, 0, 10**11):
                headers = {"Inference-Header-Content-Length": str(length)}
                response = http.post("/v2/models/tiny-classify/infer", content=head + tail, headers=headers)
                assert response.status_code == 422, response.text
                assert response.json()["error"].endswith(".")
    good = struct.pack("<I", 3) + "文".encode()
    head = json.dumps({"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES",
                                   "parameters": {"binary_data_size": len(good)}}]}).encode()  # fmt: skip
    headers = {"Inference-Header-Content-Length": str(len(head))}
    response = http.post("/v2/models/tiny-classify/infer", content=head + good, headers=headers)
    assert response.status_code == 200, "the server still answers"
