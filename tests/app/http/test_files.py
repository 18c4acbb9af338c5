"""POST /extract and /render: real files in, structure and pictures out, and wrong forms."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.files import extraction
from app.files.document import Document
from app.files.extraction import Extracted, Extractor, SentFile
from app.main import create_app
from app.schemas import ExtractResponse
from app.settings import Settings
from tests.app.asgi import error_of, running
from tests.app.files import pdf_bytes
from tests.app.files.packages import docx, paragraph

PDF = (Path(__file__).parents[1] / "files" / "data" / "libreoffice-horizontal.pdf").read_bytes()
TEXT = ("a.txt", "一行目。\n\n二行目。".encode(), "text/plain")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(
        model_store=tmp_path, max_upload_bytes=300_000, max_file_bytes=200_000, max_file_characters=9000
    )
    async with running(create_app(settings)) as opened:
        yield opened


async def test_a_text_file_is_extracted_as_its_text_and_blocks(client: httpx.AsyncClient) -> None:
    response = await client.post("/extract", files={"file": ("報告.txt", "見出し\n\n𠮷野家。".encode())})

    assert response.json() == {
        "document": "報告.txt",
        "kind": "text",
        "text": "見出し\n\n𠮷野家。",
        "blocks": [
            {"kind": "heading", "start": 0, "end": 3, "level": 1, "cells": [], "boxes": None},
            {"kind": "paragraph", "start": 5, "end": 9, "level": 0, "cells": [], "boxes": None},
        ],
        "pages": [],
        "warnings": [],
    }


async def test_offsets_of_an_extract_are_counted_in_utf_16_where_that_is_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.post("/extract", files={"file": ("a", "𠮷野家。".encode())}, data={"offset_unit": "utf16"})

    assert [(block["start"], block["end"]) for block in response.json()["blocks"]] == [(0, 5)]


async def test_the_answer_is_written_in_a_thread(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    wrote: list[int] = []
    write = ExtractResponse.model_dump_json

    def watched(self: ExtractResponse) -> str:
        wrote.append(threading.get_ident())
        return write(self)

    monkeypatch.setattr(ExtractResponse, "model_dump_json", watched)
    await client.post("/extract", files={"file": TEXT})

    assert len(wrote) == 1
    assert wrote != [threading.get_ident()]


async def test_draining_waits_for_a_file_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, read = asyncio.Event(), Extractor.read

    async def held(self: Extractor, sent: SentFile) -> Extracted:
        await go_on.wait()
        return await read(self, sent)

    monkeypatch.setattr(Extractor, "read", held)
    application = create_app(Settings(model_store=tmp_path))
    async with running(application) as client:
        asking = asyncio.create_task(client.post("/extract", files={"file": TEXT}))
        await asyncio.sleep(0.1)
        draining = asyncio.create_task(application.state.service.drain())
        await asyncio.sleep(0.1)
        assert not draining.done()
        go_on.set()
        assert (await asking).status_code == 200
        await draining


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Counts the files that are being read; none is ever done."""
    begun = asyncio.Semaphore(0)

    async def never(*arguments: object) -> Document:
        begun.release()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(extraction, "read_kind", never)
    monkeypatch.setattr(extraction, "draw_pdf", never)
    return begun


@pytest.mark.parametrize("path", ["/extract", "/render"])
async def test_a_file_is_read_within_the_time_of_the_request(
    client: httpx.AsyncClient, reading: asyncio.Semaphore, path: str
) -> None:
    response = await client.post(path, files={"file": ("a.pdf", PDF)}, headers={"X-Timeout-Ms": "50"})

    assert error_of(response, 504, "deadline_exceeded") == (
        "The file was not read within 0.05 seconds. Allow more time, or try again when the service is less busy."
    )


@pytest.mark.parametrize("path", ["/extract", "/render"])
async def test_a_time_that_is_none_is_refused(client: httpx.AsyncClient, path: str) -> None:
    response = await client.post(path, files={"file": ("a.pdf", PDF)}, headers={"X-Timeout-Ms": "nonsense"})

    assert "X-Timeout-Ms must be a whole number" in error_of(response, 422, "invalid_input")


@pytest.mark.parametrize("path", ["/extract", "/render"])
async def test_a_file_that_many_wait_before_is_refused(tmp_path: Path, reading: asyncio.Semaphore, path: str) -> None:
    settings = Settings(model_store=tmp_path, file_processes=1, max_waiting_files=1)
    file = {"file": ("a.pdf", PDF)}
    async with running(create_app(settings)) as client, asyncio.TaskGroup() as group:
        asking = [group.create_task(client.post(path, files=file)) for _ in range(3)]
        (over, *_), waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        refused = over.result()

    assert error_of(refused, 429, "overloaded") == (
        "Too many files wait to be read: 1, and this request would add 1; at most 1 may wait. Try again later."
    )
    assert refused.headers["retry-after"] == "2"


async def test_a_service_that_is_shutting_down_reads_no_new_file(tmp_path: Path) -> None:
    application = create_app(Settings(model_store=tmp_path))
    async with running(application) as client:
        await application.state.service.drain()
        for path in ("/extract", "/render"):
            response = await client.post(path, files={"file": ("a.pdf", PDF)})
            assert error_of(response, 503, "unavailable") == "The service is shutting down."


async def test_a_name_that_old_clients_send_in_percent_signs_is_decoded(client: httpx.AsyncClient) -> None:
    header = "Content-Disposition: form-data; name=\"file\"; filename*=utf-8''%E5%A0%B1%E5%91%8A.txt"
    body = f"--b\r\n{header}\r\n\r\n本文。\r\n--b--\r\n".encode()
    response = await client.post("/extract", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert (response.json()["document"], response.json()["text"]) == ("報告.txt", "本文。")


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"%E5%A0%B1%E5%91%8A.txt", "報告.txt"),  # aiohttp's FormData
        (b"100%25%2F.txt", "100%25%2F.txt"),  # ASCII has no reason to be encoded: the name has percent signs
        (b"%93%FA.txt", "%93%FA.txt"),  # not UTF-8
        ("50%E5%A0%B1報.txt".encode(), "50%E5%A0%B1報.txt"),
    ],
)
async def test_a_name_that_is_encoded_because_it_is_not_ascii_is_decoded(
    client: httpx.AsyncClient, sent: bytes, name: str
) -> None:
    header = b'Content-Disposition: form-data; name="file"; filename="' + sent + b'"'
    body = b"--b\r\n" + header + "\r\n\r\n本文。\r\n--b--\r\n".encode()
    response = await client.post("/extract", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})

    assert response.json()["document"] == name


@pytest.mark.parametrize(("sent", "boxes"), [("true", True), ("True", True), ("false", False), ("False", False)])
async def test_a_truth_value_of_a_form_may_be_written_as_in_python(
    client: httpx.AsyncClient, sent: str, boxes: bool
) -> None:
    response = await client.post("/extract", files={"file": ("a.pdf", PDF)}, data={"boxes": sent})

    assert (response.json()["blocks"][0]["boxes"] is not None) == boxes


async def test_a_docx_is_extracted(client: httpx.AsyncClient) -> None:
    response = await client.post("/extract", files={"file": ("a.docx", docx(paragraph("本文です。")))})

    assert (response.json()["kind"], response.json()["text"]) == ("docx", "本文です。")


async def test_a_pdf_is_extracted_with_pages_and_with_boxes_on_request(client: httpx.AsyncClient) -> None:
    plain = (await client.post("/extract", files={"file": ("契約.pdf", PDF)})).json()
    boxed = (await client.post("/extract", files={"file": ("契約.pdf", PDF)}, data={"boxes": "true"})).json()

    assert [page["number"] for page in plain["pages"]] == [1, 2, 3]
    assert {block["boxes"] for block in plain["blocks"]} == {None}
    first = boxed["blocks"][1]["boxes"][0]
    assert set(first) == {"page", "left", "top", "right", "bottom"}
    page = boxed["pages"][0]
    assert 0 <= first["left"] < first["right"] <= page["width"]
    assert 0 <= first["top"] < first["bottom"] <= page["height"]


async def test_a_file_without_text_is_extracted_with_a_warning(client: httpx.AsyncClient) -> None:
    response = await client.post("/extract", files={"file": ("a.txt", " \n　".encode())})

    assert (response.json()["blocks"], response.json()["warnings"]) == (
        [],
        [{"warning": "The file holds no text.", "warning_type": "no_text", "pages": []}],
    )


async def test_a_page_is_rendered_at_the_width_asked_for(client: httpx.AsyncClient) -> None:
    response = await client.post("/render", files={"file": ("a.pdf", PDF)}, data={"page": "2", "width": "300"})

    assert response.headers["content-type"] == "image/png"
    assert pdf_bytes.pixels(response.content).shape[1] in (300, 301)


@pytest.mark.parametrize(
    ("sent", "status", "error_type", "words"),
    [
        ({"files": {"file": ("a.txt", b"")}}, 422, "unreadable_file", "The file is empty: it has no bytes."),
        ({"files": {"file": ("a.txt", b"\x00\x01\x02\xff\xfe\x80" * 9)}}, 415, "not_text", "neither text nor"),
        ({"files": {"file": ("a.txt", b"a" * 200_001)}}, 413, "file_too_large", "200,001 bytes; 200,000 are allowed"),
        (
            {"files": {"file": ("a.txt", b"a" * 9001)}},
            413,
            "file_too_large",
            "9,001 characters of text; 9,000 are allowed",
        ),
        ({"files": {"file": ("a.txt", b"a" * 300_001)}}, 413, "body_too_large", "larger than 300000 bytes"),
        ({"files": [("file", TEXT)] * 2}, 422, "invalid_input", "one file is allowed in one request"),
        ({"files": [("file", TEXT)] * 1000}, 422, "invalid_input", "one file is allowed in one request"),
        ({"files": {"document": TEXT}}, 422, "invalid_input", "in a part named 'document'; files are sent as `file`"),
        ({"files": {"file": (None, b"text")}}, 422, "invalid_input", "has no file name"),
        ({"files": {"other": (None, b"text")}}, 422, "invalid_input", "The form holds no file"),
        (
            {"files": {"file": TEXT}, "data": {"boxes": "maybe"}},
            422,
            "invalid_input",
            "`boxes` must be a valid boolean",
        ),
        ({"files": {"file": TEXT}, "data": {"boxes": ["true"] * 2}}, 422, "invalid_input", "`boxes` stands 2 times"),
        ({"files": {"file": TEXT}, "data": {"x": "1"}}, 422, "invalid_input", "`x` is not a field of this endpoint"),
        ({"files": {"file": TEXT}, "data": {str(n): "" for n in range(101)}}, 422, "invalid_input", "more than 100"),
        ({"files": {"file": TEXT, "boxes": (None, b"\xff")}}, 422, "malformed_body", "The field 'boxes' is not UTF-8"),
        ({"json": {"file": "a"}}, 415, "unsupported_media_type", "The body is 'application/json'; send the file as"),
        (
            {"content": b"x"},
            415,
            "unsupported_media_type",
            "The body is sent without a media type; send the file as a part",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_form_that_cannot_be_read_gets_a_sentence(
    client: httpx.AsyncClient, sent: dict[str, Any], status: int, error_type: str, words: str
) -> None:
    assert words in error_of(await client.post("/extract", **sent), status, error_type)


@pytest.mark.parametrize(
    ("boundary", "body", "words"),
    [
        ("; boundary=b", b"", "unexpected end"),
        ("; boundary=b", b"--other\r\n\r\n", "boundary not found"),
        ("; boundary=b", b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\ntext', "end"),
        ("; boundary=b", b"--b\r\n\r\ntext\r\n--b--\r\n", "missing Content-Disposition"),
        ("; boundary=b", b'--b\r\nContent-Disposition: form-data; name="' + b"x" * 9000 + b'"\r\n\r\n', "length"),
        ("; boundary=b", b"--b--\r\n", "The form holds no file"),
        ("", b"--b--\r\n", "empty boundary"),
        ("; boundary=\xff\xfe", b"--b--\r\n", "not"),
    ],
)
async def test_a_body_that_is_not_the_form_it_says_it_is_gets_a_sentence(
    client: httpx.AsyncClient, boundary: str, body: bytes, words: str
) -> None:
    response = await client.post(
        "/extract", content=body, headers={b"content-type": b"multipart/form-data" + boundary.encode("latin-1")}
    )
    assert response.status_code == 422
    assert words in error_of(response, 422, response.json()["error_type"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\文書\\報告.pdf", "報告.pdf"),
        ("a\x00b\n.txt", "ab.txt"),
        ("", "file"),
        ("あ" * 400 + ".txt", "あ" * 251 + ".txt"),
    ],
)
async def test_the_name_of_a_file_is_its_last_part_without_controls(
    client: httpx.AsyncClient, name: str, shown: str
) -> None:
    header = f'form-data; name="file"; filename="{name}"'.replace("\n", "\x0b")
    body = b"--b\r\nContent-Disposition: " + header.encode() + b"\r\n\r\ntext\r\n--b--\r\n"
    response = await client.post("/extract", content=body, headers={"content-type": "multipart/form-data; boundary=b"})

    assert response.json()["document"] == shown


@pytest.mark.parametrize(
    ("file", "data", "status", "error_type", "words"),
    [
        (TEXT, {}, 422, "invalid_input", "Only pages of PDF files can be drawn."),
        (("a.pdf", PDF), {"page": "4"}, 422, "broken_file", "The PDF has no page 4; it has 3."),
        (("a.pdf", PDF), {"page": "0"}, 422, "invalid_input", "`page` must be greater than or equal to 1."),
        (("a.pdf", PDF), {"width": "1e9"}, 422, "invalid_input", "`width` must be"),
        (("a.pdf", PDF[:2000]), {}, 422, "broken_file", "damaged"),
    ],
)
async def test_a_page_that_cannot_be_rendered_gets_a_sentence(
    client: httpx.AsyncClient, file: Any, data: dict[str, str], status: int, error_type: str, words: str
) -> None:
    assert words in error_of(await client.post("/render", files={"file": file}, data=data), status, error_type)
