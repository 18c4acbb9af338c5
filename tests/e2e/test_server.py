"""The real server over real sockets: hostile texts, bad input, long texts, many clients at once.

The models are tiny and random, so nothing here asks whether an answer is right, only that it is the text's own.
"""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from app.text.structure import structure_of
from tests.e2e.conftest import Server
from tests.hostile import HOSTILE_TEXTS, LONE_SURROGATES

PASSAGE = "東京は日本の首都である。夏目漱石は「吾輩は猫である」を書いた。富士山の高さは3776メートルである。𠮷野家は😀。"
ERROR_STATUS = {404, 405, 413, 422, 429, 503, 504}


def long_text(characters: int) -> str:
    """Sentences that all differ, so that a shifted offset cannot go unseen."""
    return "".join(f"{number}番目の段落。{PASSAGE}\n" for number in range(characters // len(PASSAGE) + 1))[:characters]


def cut(text: str, start: int, end: int, unit: str) -> str:
    if unit == "codepoint":
        return text[start:end]
    return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")


def check_error(response: httpx.Response) -> None:
    assert response.status_code in ERROR_STATUS, response.text
    body = response.json()
    assert set(body) == {"error", "error_type", "request_id"}
    assert body["error"].endswith(".")
    assert body["request_id"] == response.headers["x-request-id"]


def check_answers(response: httpx.Response, text: str, unit: str) -> None:
    for result in response.json()["results"]:
        assert 0 <= result["null_score"] <= 1
        for answer in result["answers"]:
            assert answer["text"]
            assert answer["text"] == cut(text, answer["start"], answer["end"], unit)
            assert 0 <= answer["score"] <= 1


def check_sentences(response: httpx.Response, text: str, unit: str) -> None:
    body = response.json()
    last = 0
    for index, sentence in enumerate(body["sentences"]):
        assert sentence["index"] == index
        assert sentence["text"] == cut(text, sentence["start"], sentence["end"], unit)
        assert last <= sentence["start"] < sentence["end"]
        assert 0 <= sentence["score"] <= 1
        last = sentence["end"]
    selected = [sentence["text"] for sentence in body["sentences"] if sentence["selected"]]
    summary, joined = (part.replace("\n", "") for part in (body["summary"], "".join(selected)))
    if structure_of(text).reading.offsets is None:
        assert summary == joined
    else:  # the summary leaves out what is not read: ruby, markup, page furniture inside a sentence
        rest = iter(joined)
        assert summary
        assert all(char in rest for char in summary)
    assert selected


@pytest.mark.parametrize("unit", ["codepoint", "utf16"])
@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_hostile_texts(client: httpx.Client, name: str, unit: str) -> None:
    text = HOSTILE_TEXTS[name]
    asked = {"question": ["首都はどこ?"], "context": text, "top_k": 20, "offset_unit": unit}
    for body, check in ((asked, check_answers), ({**asked, "context": PASSAGE, "question": text}, check_answers)):
        response = client.post("/qa", json=body)
        if response.status_code == 200:
            check(response, str(body["context"]), unit)
        else:
            check_error(response)
    response = client.post("/summarize", json={"text": text, "diversity": 0.5, "offset_unit": unit})
    if response.status_code == 200:
        check_sentences(response, text, unit)
    else:
        check_error(response)
    response = client.post("/classify", json={"text": text, "text_pair": PASSAGE})
    if response.status_code == 200:
        assert sum(label["score"] for label in response.json()["labels"]) == pytest.approx(1)
    else:
        check_error(response)
    visible = "".join(char for char in text if char not in "\u200b\ufeff\u200d\u2060").strip()
    assert (response.status_code == 200) == bool(visible and "\0" not in text), "only these two kinds are refused"


@pytest.mark.parametrize("path", ["/qa", "/summarize", "/classify"])
def test_a_bad_body_is_refused_with_its_own_status(client: httpx.Client, path: str) -> None:
    field = "context" if path == "/qa" else "text"
    valid: dict[str, Any] = {"question": "何?", field: "文"} if path == "/qa" else {field: "文"}
    bodies: list[bytes | dict[str, Any]] = [
        b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000,
        b'{"text": NaN}', b'{"text": ' + b"9" * 10_000 + b"}", b'{"text": "a", "text": "b"}', b"{'text': 'a'}",
        '{"text": "東京"}'.encode("cp932"), '{"text": "東京"}'.encode("utf-16"),
        {}, *({**valid, field: wrong} for wrong in ("", " \u3000\n", 3, None, ["文"], {"a": "文"}, True, "文\0")),
        *({**valid, field: wrong} for wrong in LONE_SURROGATES), {**valid, "unknown": 1}, {**valid, "top_k": "many"},
        {**valid, "model": ["x"]}, {**valid, "model": "\0"},
    ]  # fmt: skip
    unknown = {**valid, "model": "no-such-model"}
    too_long = [{**valid, field: "a" * 1_000_000}, {**valid, field: "あ" * 333_333}]
    statuses = [*((body, 422) for body in bodies), (unknown, 404), *((body, 413) for body in too_long)]
    for body, status in statuses:
        response = client.post(path, content=body if isinstance(body, bytes) else json.dumps(body).encode())
        check_error(response)
        assert response.status_code == status


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"question": ["何?"] * 200}, 422, "200 questions; at most 64 are allowed"),
        ({"question": []}, 422, "at least 1 item"),
        ({"question": "長" * 5000}, 422, "at most 4092 are allowed"),
        ({"question": "何?", "top_k": 0}, 422, "greater than or equal to 1"),
        ({"question": "何?", "top_k": 21}, 422, "less than or equal to 20"),
        ({"question": "何?", "doc_stride": 5000}, 422, "doc stride"),
        ({"question": "何?", "offset_unit": "bytes"}, 422, "'codepoint' or 'utf16'"),
        ({"question": "何?", "null_score_diff_threshold": "high"}, 422, "number"),
        ({"question": "何?", "model": "tiny-classify"}, 404, "Models for qa: tiny-qa"),
        ({"question": "何?", "model": "half-exported"}, 503, "did not finish"),
    ],
)
def test_bad_questions(client: httpx.Client, body: dict[str, Any], status: int, words: str) -> None:
    response = client.post("/qa", json={"context": PASSAGE, **body})
    check_error(response)
    assert response.status_code == status
    assert words in response.json()["error"]


def test_too_much_is_refused_while_it_is_sent(client: httpx.Client) -> None:
    body = json.dumps({"text": "x" * 10_500_000}).encode()

    def in_pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    for content in (body, in_pieces()):
        response = client.post("/classify", content=content)
        check_error(response)
        assert response.status_code == 413
        assert "10000000 bytes" in response.json()["error"]


def test_other_paths(client: httpx.Client) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/qa", 405), ("DELETE", "/", 405)):
        response = client.request(method, path)
        check_error(response)
        assert response.status_code == status
    for path in ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/health", "/info", "/metrics"):
        assert client.get(path).status_code == 200, path
    assert [broken["name"] for broken in client.get("/readyz").json()["broken"]] == ["half-exported"]
    assert [model["name"] for model in client.get("/info").json()["models"]] == [
        "tiny-classify", "tiny-qa", "tiny-summarize",
    ]  # fmt: skip


def test_sixty_thousand_characters(client: httpx.Client) -> None:
    text = long_text(60_000)
    assert len(text) == 60_000
    response = client.post("/qa", json={"question": "富士山の高さは?", "context": text, "top_k": 20})
    assert response.status_code == 200, response.text
    check_answers(response, text, "codepoint")
    (result,) = response.json()["results"]
    answers = [answer["text"] for answer in result["answers"]]
    assert len(set(answers)) == len(answers) > 1, "the text repeats itself, the answers do not"
    assert result["null_score"] + sum(answer["score"] for answer in result["answers"]) == pytest.approx(1)
    usage = response.json()["usage"]
    assert usage["windows"] > 1
    assert usage["tokens"] == int(response.headers["x-compute-tokens"]) > 4096

    response = client.post("/summarize", json={"text": text, "max_characters": 500, "offset_unit": "utf16"})
    assert response.status_code == 200, response.text
    check_sentences(response, text, "utf16")
    assert len(response.json()["summary"]) <= 500
    covered = "".join(sentence["text"] for sentence in response.json()["sentences"])
    assert covered == text.replace("\n", ""), "every sentence of the text is there"

    response = client.post("/classify", json={"text": text})
    assert response.status_code == 200, response.text
    labels = response.json()["labels"]
    assert {label["label"]: label["name"] for label in labels} == {"BLD": None, "HST": "歴史", "PNM": None}
    assert sum(label["score"] for label in labels) == pytest.approx(1)


def test_clients_at_once_get_what_they_would_get_alone(server: Server) -> None:
    """The same requests one by one and all together: batches may differ, results may not."""
    text = long_text(9_000)
    requests: list[tuple[str, dict[str, Any]]] = []
    for number in (*range(6), 8, 11):
        part = text[number * 37 : number * 37 + 50 * (number + 1) ** 2]
        requests += [
            ("/qa", {"question": ["どこ?", f"{number}番は?"], "context": part, "top_k": 3}),
            ("/summarize", {"text": part, "ratio": 0.3}),
            ("/classify", {"text": part}),
        ]

    def send(request: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        with server.client() as client:
            response = client.post(request[0], json=request[1])
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        del body["timings"]
        return body

    alone = [send(request) for request in requests]
    with ThreadPoolExecutor(len(requests)) as pool:
        together = list(pool.map(send, requests))
    for one, other in zip(alone, together, strict=True):
        assert _rounded(one) == _rounded(other)


def _rounded(value: Any) -> Any:
    """Scores to three digits: a packed batch may move the last bits of a float."""
    if isinstance(value, float):
        return pytest.approx(value, abs=1e-3)
    if isinstance(value, dict):
        return {name: _rounded(inner) for name, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def _requests(client: httpx.Client, endpoint: str, status: int) -> float:
    """Requests that are over, as the metrics have them."""
    series = f'nagayomi_requests_total{{endpoint="{endpoint}",key="",status="{status}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(series)) for line in lines if line.startswith(series))


def test_a_client_that_leaves_is_forgotten(server: Server, client: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    before = _requests(client, "/qa", 499)
    body = json.dumps({"question": "何?", "context": long_text(60_000)}).encode()
    head = f"POST /qa HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for sent in (head + body, head + body[:1000]):  # once the request is whole, once in the middle of it
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(sent)
            time.sleep(0.05)
    until = time.monotonic() + 20
    while _requests(client, "/qa", 499) < before + 2:
        assert time.monotonic() < until, client.get("/metrics").text
        time.sleep(0.05)
    assert client.post("/classify", json={"text": "東京"}).status_code == 200


def test_what_the_client_counts_is_what_the_metrics_count(client: httpx.Client) -> None:
    def counted(status: int) -> float:
        wanted = f'nagayomi_requests_total{{endpoint="/classify",key="",status="{status}"}} '
        lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(wanted)]
        return float(lines[0].removeprefix(wanted)) if lines else 0.0

    before = {status: counted(status) for status in (200, 422)}
    for body in [{"text": "東京"}] * 5 + [{}] * 3:
        client.post("/classify", json=body)
    assert {status: counted(status) - before[status] for status in before} == {200: 5, 422: 3}
