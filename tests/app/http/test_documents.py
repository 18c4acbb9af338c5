"""The three tasks over several documents and over files: answers, their places, and refused requests."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.main import create_app
from app.settings import Settings
from tests.app.asgi import error_of, running
from tests.app.files.packages import docx, paragraph

pytestmark = pytest.mark.asyncio(loop_scope="module")

PDF = (Path(__file__).parents[1] / "files" / "data" / "libreoffice-horizontal.pdf").read_bytes()
NOTHING = {"document": None, "page": None, "heading": None, "boxes": None}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(handmade_models: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        model_store=handmade_models, intra_op_threads=1, max_client_batch_size=4, max_text_characters=20_000
    )
    async with running(create_app(settings)) as opened:
        yield opened


def of_text(name: str, text: str) -> dict[str, Any]:
    return {"document": name, "kind": "text", "characters": len(text), "pages": None, "warnings": []}


async def test_a_question_is_answered_from_all_documents_in_one_batch(client: httpx.AsyncClient) -> None:
    texts = ["《甲》の話。次の話。", "何もない。", "見出し\n\n前の話。𠮷の《乙》。"]
    documents = [{"text": texts[0]}, {"id": "空", "text": texts[1]}, {"id": "二", "text": texts[2]}]
    response = await client.post("/qa", json={"question": ["何?", "誰?"], "documents": documents, "top_k": 3})

    body = response.json()
    assert list(body) == ["usage", "model", "timings", "documents", "results"]
    assert body["documents"] == [of_text("0", texts[0]), of_text("空", texts[1]), of_text("二", texts[2])]
    assert body["usage"]["windows"] == 6
    assert [result["question"] for result in body["results"]] == ["何?", "誰?"]
    for result in body["results"]:
        score = pytest.approx(0.5, abs=1e-3)
        assert result["answers"][:2] == [
            NOTHING
            | {"text": "《甲》", "start": 0, "end": 3, "score": score, "document": "0"}
            | {"sentence": {"text": "《甲》の話。", "start": 0, "end": 6}},
            NOTHING
            | {"text": "《乙》", "start": 11, "end": 14, "score": score, "document": "二", "heading": ["見出し"]}
            | {"sentence": {"text": "𠮷の《乙》。", "start": 9, "end": 15}},
        ]
        assert result["null_score"] + sum(answer["score"] for answer in result["answers"]) <= 1


async def test_an_answer_that_stands_in_two_documents_is_given_for_each(client: httpx.AsyncClient) -> None:
    documents = [{"text": "《甲》"}, {"text": "また《甲》。次も《甲》。"}]
    response = await client.post("/qa", json={"question": "何?", "documents": documents, "top_k": 3})

    answers = response.json()["results"][0]["answers"]
    assert [(one["text"], one["document"]) for one in answers[:2]] == [("《甲》", "1"), ("《甲》", "0")]


async def test_offsets_of_sentences_are_counted_in_utf_16_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    asked = {"question": "何?", "documents": [{"text": "𠮷。𠮷の《乙》。"}], "offset_unit": "utf16"}
    answer = (await client.post("/qa", json=asked)).json()["results"][0]["answers"][0]

    assert (answer["start"], answer["end"]) == (6, 9)
    assert answer["sentence"] == {"text": "𠮷の《乙》。", "start": 3, "end": 10}


async def test_each_document_is_summarised_by_itself(client: httpx.AsyncClient) -> None:
    documents = [{"text": "普通。重い。"}, {"id": "b", "text": "章\n\n中くらい。普通。"}]
    response = await client.post("/summarize", json={"documents": documents, "max_sentences": 1})

    results = response.json()["results"]
    assert [(result["document"], result["summary"]) for result in results] == [("0", "重い。"), ("b", "中くらい。")]
    assert [(one["selected"], one["heading"]) for one in results[1]["sentences"]] == [(True, ["章"]), (False, None)]


async def test_each_document_is_labelled_by_itself(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", json={"documents": [{"text": "上"}, {"text": "下"}], "top_k": 1})

    results = response.json()["results"]
    assert [(one["document"], one["labels"][0]["label"]) for one in results] == [("0", "up"), ("1", "down")]


async def test_an_answer_in_a_pdf_has_its_page_headings_and_boxes(client: httpx.AsyncClient) -> None:
    extracted = (await client.post("/extract", files={"file": ("契約.pdf", PDF)})).json()
    response = await client.post("/qa", files={"file": ("契約.pdf", PDF)}, data={"question": "何?", "top_k": "20"})

    body = response.json()
    text = extracted["text"]
    assert body["documents"] == [
        {"document": "契約.pdf", "kind": "pdf", "characters": len(text), "pages": 3, "warnings": extracted["warnings"]}
    ]
    for answer in body["results"][0]["answers"]:
        assert text[answer["start"] : answer["end"]] == answer["text"]
        sentence = answer["sentence"]
        assert text[sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["start"] <= answer["start"] < answer["end"] <= sentence["end"]
        assert answer["document"] == "契約.pdf"
        assert answer["boxes"][0]["page"] == answer["page"]


async def test_several_files_of_several_kinds_are_read_as_one_request(client: httpx.AsyncClient) -> None:
    files = [
        ("file", ("報告.docx", docx(paragraph("第一章", '<w:outlineLvl w:val="0"/>') + paragraph("前。《甲》です。")))),
        ("file", ("古い.txt", "下。《乙》です。".encode("cp932"))),
        ("file", ("古い.txt", "三つ目。".encode())),
    ]
    response = await client.post("/qa", files=files, data={"question": ["何?", "誰?"], "top_k": "2"})

    body = response.json()
    names = [(one["document"], one["kind"]) for one in body["documents"]]
    assert names == [("報告.docx", "docx"), ("古い.txt", "text"), ("古い.txt (2)", "text")]
    for result in body["results"]:
        found = [(one["text"], one["document"], one["heading"]) for one in result["answers"]]
        assert found == [("《甲》", "報告.docx", ["第一章"]), ("《乙》", "古い.txt", None)]


async def test_a_file_without_text_has_a_warning_and_no_result(client: httpx.AsyncClient) -> None:
    files = [("file", ("空.txt", b" \n")), ("file", ("a.txt", "重い。".encode()))]
    summaries = (await client.post("/summarize", files=files)).json()
    labels = (await client.post("/classify", files=files)).json()

    assert [one["warnings"] for one in summaries["documents"]] == [
        [{"warning": "The file holds no text.", "warning_type": "no_text", "pages": []}],
        [],
    ]
    assert [(one["summary"], len(one["sentences"])) for one in summaries["results"]] == [("", 0), ("重い。", 1)]
    assert [len(one["labels"]) for one in labels["results"]] == [0, 2]


@pytest.mark.parametrize(
    ("sent", "status", "error_type", "words"),
    [
        (
            {"json": {"question": "何", "context": "文", "documents": [{"text": "文"}]}},
            422,
            "invalid_input",
            "Only one of `context` and `documents` is allowed.",
        ),
        ({"json": {"question": "何", "documents": []}}, 422, "invalid_input", "`documents` must have at least 1 item"),
        (
            {"json": {"question": "何", "documents": [{"text": "文"}] * 5}},
            422,
            "invalid_input",
            "The request holds 5 texts; from 1 to 4 are allowed at once.",
        ),
        (
            {"json": {"question": "何", "documents": [{"text": "文"}, {"id": "0", "text": "文"}]}},
            422,
            "invalid_input",
            "names document 1 like document 0",
        ),
        (
            {"json": {"question": "何", "documents": [{"text": "文"}, {"text": "\u200b"}]}},
            422,
            "invalid_input",
            "`documents[1].text` holds only invisible characters",
        ),
        ({"json": {"question": "何", "documents": [{"text": " "}]}}, 422, "invalid_input", "must hold at least one"),
        ({"json": {"question": "何", "documents": [{"file": "/etc/passwd"}]}}, 422, "invalid_input", "is missing"),
        (
            {"json": {"question": "何", "documents": [{"text": "あ" * 10_000}] * 3}},
            413,
            "request_too_large",
            "The texts have 30001 characters; 20000 are allowed",
        ),
        ({"json": {"question": "何", "file": "a.pdf"}}, 422, "invalid_input", "`file` is not a field"),
        ({"files": {"file": ("a.txt", b"a")}}, 422, "invalid_input", "`question` is missing."),
        (
            {"files": {"file": ("a.txt", b"a")}, "data": {"question": "何", "documents": "[]"}},
            422,
            "invalid_input",
            "Only one of `documents` and `file` is allowed.",
        ),
        ({"files": {"question": (None, "何".encode())}}, 422, "invalid_input", "The form holds no file"),
        (
            {"files": [("file", ("a.txt", b"a"))] * 5, "data": {"question": "何"}},
            422,
            "invalid_input",
            "4 files are allowed in one request",
        ),
        (
            {"files": {"file": ("b.pdf", PDF[:900])}, "data": {"question": "何"}},
            422,
            "broken_file",
            "b.pdf: ",
        ),
        (
            {"files": {"file": ("a.png", b"\x89PNG\r\n\x1a\n\0\0")}, "data": {"question": "何"}},
            415,
            "unsupported_file",
            "a.png: The file is a PNG picture",
        ),
        (
            {"files": {"file": ("空.txt", b" ")}, "data": {"question": "何"}},
            422,
            "invalid_input",
            "There is no text to read. 空.txt: The file holds no text.",
        ),
        (
            {"content": PDF, "headers": {"Content-Type": "application/pdf"}},
            415,
            "unsupported_media_type",
            "The body is 'application/pdf'; send application/json, or files as parts named `file` of",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_answered_gets_a_sentence(
    client: httpx.AsyncClient, sent: dict[str, Any], status: int, error_type: str, words: str
) -> None:
    assert words in error_of(await client.post("/qa", **sent), status, error_type)


async def test_time_for_files_is_bounded_as_for_texts(client: httpx.AsyncClient) -> None:
    files = {"file": ("a.pdf", PDF)}
    response = await client.post("/qa", files=files, data={"question": "何"}, headers={"X-Timeout-Ms": "1"})

    assert "within" in error_of(response, 504, "deadline_exceeded")
