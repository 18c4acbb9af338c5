"""PDF files through the child process: files of real programs, and files that are no valid PDF."""

import asyncio
import os
import signal
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from app.errors import BrokenFile, EncryptedFile, FileError, FileTooLarge, InvalidInput
from app.files import process
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.pdf.process import draw_pdf, read_pdf
from tests.app.files import pdf_bytes, source
from tests.app.files.programs import CHROMIUM, DATA, FONT, LIBREOFFICE, print_html, print_text

LIMITS = FileLimits()
FIXTURES = ("chromium-horizontal", "chromium-vertical", "libreoffice-horizontal", "libreoffice-vertical")


def likeness(document: Document) -> float:
    """The share of the source's characters, white space aside, that stand in the document's body in the same order."""
    expected = "".join("".join(part.plain.split()) for part in source.LIBRARY)
    body = "".join(document.text[block.start : block.end] for block in document.blocks if block.kind != "furniture")
    blocks = SequenceMatcher(None, expected, "".join(body.split()), autojunk=False).get_matching_blocks()
    same = sum(block.size for block in blocks)
    return 2 * same / (len(expected) + len("".join(body.split())))


def texts_of(document: Document, kind: str) -> list[str]:
    return [document.text[block.start : block.end] for block in document.blocks if block.kind == kind]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    """The Documents of the fixtures, read once."""
    return {name: asyncio.run(read_pdf((DATA / f"{name}.pdf").read_bytes(), LIMITS)) for name in FIXTURES}


@pytest.mark.parametrize("name", FIXTURES)
def test_a_pdf_of_a_real_program_comes_back_with_text_and_structure(name: str, documents: dict[str, Document]) -> None:
    document = documents[name]

    assert likeness(document) >= 0.99
    assert [(block.level, document.text[block.start : block.end]) for block in document.blocks if block.level] == [
        (1, "みなと図書室のきまり"),
        (2, "第１章　本を借りる"),
        (2, "第２章　使う人が守ること"),
        (2, "第３章　図書室を助ける人"),
    ]
    assert texts_of(document, "table-head") + texts_of(document, "table-row") == [
        part.plain for part in source.LIBRARY if part.kind == "row"
    ]
    assert texts_of(document, "list-item") == [part.plain for part in source.LIBRARY if part.kind == "item"]
    assert [text[:3] for text in texts_of(document, "clause")] == [f"第{number}条" for number in "１２３４５６７８"]
    assert texts_of(document, "furniture") == [
        line for page in document.pages for line in (source.HEAD, f"- {page.number} -")
    ]
    assert document.warnings == ()


@pytest.mark.parametrize("name", FIXTURES)
def test_a_chapter_after_a_page_break_begins_the_last_page(name: str, documents: dict[str, Document]) -> None:
    document = documents[name]

    heading = document.text.index("第３章")
    assert document.page_of(heading) == document.pages[-1].number
    assert document.page_of(heading - 3) == document.pages[-1].number - 1 or document.text[heading - 3] == "-"
    assert document.heading_path(document.text.index("会長は")) == ("みなと図書室のきまり", "第３章　図書室を助ける人")


@pytest.mark.parametrize("name", FIXTURES)
def test_every_visible_character_has_a_box_on_its_page(name: str, documents: dict[str, Document]) -> None:
    document = documents[name]

    for offset, character in enumerate(document.text):
        boxes = document.boxes_of(offset, offset + 1)
        if character.isspace():
            assert boxes == []
            continue
        (box,) = boxes
        page = document.pages[box.page - 1]
        assert page.start <= offset < page.end
        assert 0 <= box.left < box.right <= page.width
        assert 0 <= box.top < box.bottom <= page.height


def test_a_paragraph_has_a_box_for_each_line_horizontal_ones_below_each_other(documents: dict[str, Document]) -> None:
    document = documents["chromium-horizontal"]
    start = document.text.index("第１条")

    boxes = document.boxes_of(start, document.text.index("第２条"))
    assert len(boxes) == 3
    assert all(second.top > first.bottom for first, second in pairwise(boxes))
    assert boxes[0].right > boxes[2].right


def test_a_paragraph_has_a_box_for_each_line_vertical_ones_from_right_to_left(documents: dict[str, Document]) -> None:
    document = documents["chromium-vertical"]
    start = document.text.index("第１条")

    boxes = document.boxes_of(start, document.text.index("第２条"))
    assert len(boxes) == 2
    assert boxes[1].right < boxes[0].left
    assert boxes[1].bottom < boxes[0].bottom


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium and the font IPAGothic")
@pytest.mark.parametrize("vertical", [False, True], ids=["horizontal", "vertical"])
async def test_what_chromium_prints_now_comes_back(vertical: bool, tmp_path: Path) -> None:
    data = print_html(source.html(vertical, FONT), tmp_path)

    assert likeness(await read_pdf(data, LIMITS)) >= 0.99


@pytest.mark.skipif(LIBREOFFICE is None, reason="needs libreoffice-writer and the font IPAGothic")
@pytest.mark.parametrize("vertical", [False, True], ids=["horizontal", "vertical"])
async def test_what_libreoffice_prints_now_comes_back(vertical: bool, tmp_path: Path) -> None:
    data = print_text(source.fodt(vertical, FONT), tmp_path)

    assert likeness(await read_pdf(data, LIMITS)) >= 0.99


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is not a PDF"),
        ("第１条　甲は乙に".encode(), "The file is not a PDF"),
        (b"PK\x03\x04" + bytes(100), "The file is not a PDF"),
    ],
    ids=["empty", "text", "zip"],
)
async def test_a_file_that_is_no_readable_pdf_is_refused_with_a_sentence(data: bytes, message: str) -> None:
    with pytest.raises(BrokenFile, match=message):
        await read_pdf(data, LIMITS)


async def test_a_pdf_that_needs_a_password_is_refused_with_a_sentence() -> None:
    with pytest.raises(EncryptedFile, match="The PDF is encrypted and needs a password"):
        await read_pdf((DATA / "libreoffice-encrypted.pdf").read_bytes(), LIMITS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_a_pdf_that_is_cut_off_is_refused_with_a_sentence(share: float) -> None:
    data = (DATA / "chromium-horizontal.pdf").read_bytes()

    with pytest.raises(BrokenFile, match=r"a PDF that is cut off or damaged\."):
        await read_pdf(data[: int(share * len(data))], LIMITS)


async def test_a_damaged_page_is_named_and_the_others_are_read() -> None:
    data = pdf_bytes.pdf(["BT /F1 12 Tf 20 200 Td (First.) Tj ET", "", "BT /F1 12 Tf 20 200 Td (Third.) Tj ET"])

    document = await read_pdf(data.replace(b"5 0 R 7 0 R", b"5 0 R 0 0 R"), LIMITS)
    assert document.text == "First.\n\nThird."
    assert document.warnings == ("Page 2 of the PDF is damaged; it was not read.",)
    assert [(page.start, page.end, page.scanned) for page in document.pages] == [
        (0, 6, False),
        (6, 6, False),
        (8, 14, False),
    ]


@pytest.mark.parametrize("text", ["株式会社", "office", "Staff", "いいえ、いいえ", "各各"])
async def test_a_replacement_text_is_read_in_its_order(text: str) -> None:
    span = f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex()}>>> BDC (ABCD) Tj EMC"
    document = await read_pdf(pdf_bytes.pdf([f"BT /F1 10 Tf 50 300 Td {span} ET"]), LIMITS)
    assert document.text == text
    lefts = [document.boxes_of(at, at + 1)[0].left for at in range(len(text))]
    assert lefts == sorted(lefts)


async def test_radicals_are_read_as_the_ideographs_that_they_stand_for() -> None:
    text = "神⼾の⻑期、⺠間と⻄暦、⻘と⿊"
    span = f"/Span <</ActualText <FEFF{text.encode('utf-16-be').hex()}>>> BDC (ABCDEFGHIJKLMNOP) Tj EMC"
    document = await read_pdf(pdf_bytes.pdf([f"BT /F1 10 Tf 50 300 Td {span} ET"]), LIMITS)
    assert document.text == "神戸の長期、民間と西暦、青と黒"


async def test_text_that_tesseract_laid_over_a_scan_is_read_without_its_spaces() -> None:
    words = [(20, "会館"), (34, "は"), (46, "𠮷田"), (64, "Open"), (100, "Day"), (130, "に")]
    document = await read_pdf(pdf_bytes.recognised(words), LIMITS)
    assert document.text == "会館は𠮷田Open Dayに"
    assert document.warnings == (
        "Page 1 holds text that a program recognised on a picture; some characters may be wrong.",
    )
    assert [warning.warning_type for warning in document.warnings] == ["recognised_text"]


async def test_what_was_written_on_a_page_is_read_with_it() -> None:
    shown = "BT /F1 10 Tf 2 5 Td (written) Tj ET"
    appearance = (
        "<< /Type /XObject /Subtype /Form /BBox [0 0 100 20] /Resources << /Font << /F1 3 0 R >> >> "
        f"/Length {len(shown)} >>\nstream\n{shown}\nendstream"
    )
    note = "<< /Type /Annot /Subtype /FreeText /Rect [150 296 250 316] /F 4 /AP << /N 6 0 R >> >>"
    data = pdf_bytes.pdf(
        ["BT /F1 10 Tf 50 300 Td (Name:) Tj ET"],
        page=f"/MediaBox [0 0 300 400] /Annots [{note}]",
        more=[appearance],
    )
    assert (await read_pdf(data, LIMITS)).text.split() == ["Name:", "written"]


async def test_limits_of_pages_and_characters_are_named() -> None:
    data = (DATA / "chromium-horizontal.pdf").read_bytes()

    with pytest.raises(FileTooLarge, match=r"The PDF has 3 pages; at most 2 are allowed\."):
        await read_pdf(data, FileLimits(max_pages=2))
    with pytest.raises(FileTooLarge, match="The PDF has more than 500 characters"):
        await read_pdf(data, FileLimits(max_characters=500))


async def test_ten_thousand_pages_are_refused_before_one_is_read() -> None:
    with pytest.raises(FileTooLarge, match=r"The PDF has 10000 pages; at most 2000 are allowed\."):
        await read_pdf(pdf_bytes.pdf([""] * 10_000), LIMITS)


async def test_a_pdf_that_needs_more_memory_than_allowed_is_refused() -> None:
    bomb = pdf_bytes.pdf([pdf_bytes.inflating(200_000_000)])

    with pytest.raises(FileError, match="memory"):
        await read_pdf(bomb, FileLimits(max_memory_bytes=300_000_000))


async def test_a_file_that_takes_too_long_is_given_up_and_its_child_is_gone() -> None:
    with pytest.raises(FileTooLarge, match=r"was not read within 0\.01 seconds"):
        await read_pdf((DATA / "chromium-horizontal.pdf").read_bytes(), FileLimits(max_seconds=0.01))

    assert pdf_children() == []


async def test_cancelling_ends_the_child() -> None:
    reading = asyncio.create_task(read_pdf((DATA / "chromium-horizontal.pdf").read_bytes(), LIMITS))
    while not pdf_children():
        await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert pdf_children() == []


async def test_a_child_that_crashes_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_COMMAND", ("/bin/sh", "-c", f"kill -{signal.SIGSEGV} $$"))

    with pytest.raises(BrokenFile, match=f"was ended by signal {int(signal.SIGSEGV)}"):
        await read_pdf(b"%PDF-1.7", LIMITS)


@pytest.mark.parametrize(
    "answer",
    [r"\377\377\377\377\377\377\377\377", r"\0\0\0\0\0\0\0\2{}", r"\0\0\0\0\0\0\0\024{\"blobs\":[9999999999]}"],
)
async def test_an_answer_that_no_child_of_ours_gives_is_refused(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_COMMAND", ("/bin/sh", "-c", f"printf '{answer}'; sleep 100"))

    with pytest.raises(BrokenFile, match="sent an impossible answer"):
        await read_pdf(b"%PDF-1.7", LIMITS)


async def test_the_child_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_API_KEYS", "secret")

    assert not any("NAGAYOMI" in name for name in process._environment())


def test_the_parent_imports_no_pdfium() -> None:
    assert os.system("python -c 'import app.files.pdf.process, sys; sys.exit(\"pypdfium2\" in sys.modules)'") == 0


async def test_drawing_gives_pictures_of_the_asked_size() -> None:
    data = (DATA / "libreoffice-horizontal.pdf").read_bytes()
    pages = (await read_pdf(data, LIMITS)).pages

    first, last = await draw_pdf(data, [1, 3], 600, LIMITS)
    for picture, page in ((first, pages[0]), (last, pages[2])):
        height, width, _ = pdf_bytes.pixels(picture).shape
        assert width in (600, 601)
        assert height == pytest.approx(600 * page.height / page.width, abs=1)


async def test_a_page_with_too_many_pixels_is_drawn_smaller() -> None:
    data = (DATA / "libreoffice-horizontal.pdf").read_bytes()

    (picture,) = await draw_pdf(data, [1], 30_000, FileLimits(max_pixels=10_000))
    height, width, _ = pdf_bytes.pixels(picture).shape
    assert 9_000 < height * width < 11_000


async def test_drawing_a_page_that_is_not_there_or_at_no_width_is_refused() -> None:
    data = (DATA / "libreoffice-horizontal.pdf").read_bytes()

    with pytest.raises(BrokenFile, match=r"The PDF has no page 4; it has 3\."):
        await draw_pdf(data, [4], 600, LIMITS)
    with pytest.raises(InvalidInput, match="The width is 0 pixels; it must be at least 1"):
        await draw_pdf(data, [1], 0, LIMITS)


@pytest.mark.parametrize("name", FIXTURES)
async def test_boxes_hold_the_ink_of_their_characters_in_the_picture(name: str) -> None:
    data = (DATA / f"{name}.pdf").read_bytes()
    document = await read_pdf(data, LIMITS)
    (picture,) = await draw_pdf(data, [1], round(4 * document.pages[0].width), LIMITS)
    ink = pdf_bytes.pixels(picture).min(axis=2) < 128  # (height, width)

    start = document.text.index("みなと図書室（以下")
    for box in document.boxes_of(start, start + 60):
        rows = slice(round(4 * box.top), round(4 * box.bottom))
        columns = slice(round(4 * box.left), round(4 * box.right))
        assert ink[rows, columns].mean() > 0.1
        inside = ink[rows, columns].sum()
        wider = ink[max(0, rows.start - 2) : rows.stop + 2, max(0, columns.start - 2) : columns.stop + 2].sum()
        assert wider - inside < 0.02 * inside


def pdf_children() -> list[int]:
    """Process ids of children of this process that read PDF files."""
    children = psutil.Process().children(recursive=True)
    return [child.pid for child in children if "app.files.pdf" in " ".join(child.cmdline())]
