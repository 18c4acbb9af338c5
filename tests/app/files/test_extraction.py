"""The order in which the files of several requests are read."""

import asyncio

import pytest

from app.files import extraction
from app.files.document import Document
from app.files.extraction import Extractor, SentFile
from app.files.limits import FileLimits


async def test_a_request_of_many_files_does_not_hold_up_the_file_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bytes] = []
    first_is_read = asyncio.Event()
    go_on = asyncio.Event()

    async def read(kind: str, data: bytes, charset: str | None, limits: FileLimits) -> Document:
        begun.append(data)
        first_is_read.set()
        await go_on.wait()
        return Document("", ())

    monkeypatch.setattr(extraction, "read_kind", read)
    extractor = Extractor(FileLimits(), at_once=2)
    async with asyncio.TaskGroup() as requests:
        requests.create_task(extractor.read_all([SentFile("many.txt", b"many") for _ in range(64)]))
        await first_is_read.wait()
        assert extractor.waiting == 62
        requests.create_task(extractor.read(SentFile("single.txt", b"single")))
        go_on.set()
    assert begun.index(b"single") <= 4, "two are read, and two may have come into the line before it"
    assert (len(begun), extractor.waiting) == (65, 0)
