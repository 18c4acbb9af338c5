"""Warnings of files: a sentence, its type, and the page's Japanese for every type."""

import io
import re
from pathlib import Path

import pytest

from app.files.document import Document
from app.files.warnings import WARNING_TYPES, FileWarning
from app.files.wire import document_message, document_of, read

PAGE = Path(__file__).parents[3] / "app" / "static" / "errors.js"


def test_the_page_has_a_japanese_sentence_for_every_type_and_no_other() -> None:
    table = re.search(r"const WARNINGS = \{\n(.*?)\n\};", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    assert tuple(re.findall(r"^  (\w+): \"", table[1], re.MULTILINE)) == WARNING_TYPES


def test_a_type_that_the_page_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="'odd' is no type of warning; there are no_text, pages_without_text"):
        FileWarning("odd", "Something is odd.")  # type: ignore[arg-type]


def test_a_warning_arrives_whole_from_the_process_that_reads_a_file() -> None:
    sent = Document("", (), warnings=(FileWarning("damaged_pages", "Page 2 is damaged.", [2]),))
    (arrived,) = document_of(*read(io.BytesIO(document_message(sent)))).warnings
    assert (arrived, arrived.warning_type, arrived.pages) == ("Page 2 is damaged.", "damaged_pages", (2,))
