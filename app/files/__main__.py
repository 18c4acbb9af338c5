"""The child process that reads one file of any kind except PDF, under limits, and ends. See app/files/child.py."""

from typing import Any

from app.files import wire
from app.files.child import answer_one
from app.files.formats import read_as
from app.files.limits import FileLimits


def _answer(header: dict[str, Any], data: bytes, limits: FileLimits) -> bytes:
    return wire.document_message(read_as(header["kind"], data, header["charset"], limits))


if __name__ == "__main__":
    answer_one(_answer)
