"""Hostile packages: each is refused in words before it costs much."""

import io
import zipfile

import pytest

from app.errors import BrokenFile, EncryptedFile, FileError, FileTooLarge, UnsafeFile
from app.files import ooxml, safe_xml
from app.files.limits import FileLimits
from app.files.ooxml import Package, Relationship
from tests.app.files.packages import pack, relationships

LIMITS = FileLimits(max_unpacked_bytes=20_000_000)


def test_a_part_is_found_by_its_name_in_any_case_and_with_any_slashes() -> None:
    package = Package(pack({"/Word\\Document.xml": "<a/>"}), LIMITS)
    assert package.has("word/document.xml")
    assert package.xml("word/document.xml").tag == "a"


def test_relationships_stay_inside_the_package_and_may_run_in_a_circle() -> None:
    links = relationships(
        {
            "up": ("image", "../../../../etc/passwd"),
            "absolute": ("image", "/etc/passwd"),
            "escaped": ("styles", "%73tyles.xml"),
            "itself": ("officeDocument", "document.xml"),
        }
    ).replace("</Relationships>", '<Relationship Id="out" TargetMode="External" Target="http://x"/></Relationships>')
    package = Package(pack({"word/document.xml": "<a/>", "word/_rels/document.xml.rels": links}), LIMITS)
    assert package.relationships("word/document.xml") == {
        "up": Relationship("image", "etc/passwd"),
        "absolute": Relationship("image", "etc/passwd"),
        "escaped": Relationship("styles", "word/styles.xml"),
        "itself": Relationship("officeDocument", "word/document.xml"),
    }
    assert not package.has("etc/passwd")
    with pytest.raises(BrokenFile, match="has no part etc/passwd"):
        package.read("etc/passwd")


def test_a_part_that_unpacks_to_more_than_the_limit_is_refused_with_the_limit() -> None:
    package = Package(pack({"a": b"0123456789" * 100, "b": b"x" * 600}), FileLimits(max_unpacked_bytes=1_500))
    package.read("a")
    with pytest.raises(FileTooLarge, match="unpacks to more than 1,500 bytes"):
        package.read("b")  # the limit is for all parts together


def test_a_part_that_unpacks_to_a_thousand_times_its_size_is_refused() -> None:
    with pytest.raises(UnsafeFile, match="unpacks to more than 300 times its size"):
        Package(pack({"a": b"\0" * 19_000_000}), LIMITS).read("a")


def test_sizes_that_the_archive_states_are_not_believed() -> None:
    data = bytearray(pack({"a": b"\0" * 19_000_000}))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (10).to_bytes(4, "little")
    with pytest.raises(FileError):
        Package(bytes(data), LIMITS).read("a")


def test_an_archive_of_many_entries_is_refused_before_it_is_opened() -> None:
    with pytest.raises(UnsafeFile, match="more than 10,000 entries"):
        Package(b"PK\x03\x04" + b"PK\x01\x02" * (ooxml.MAX_ENTRIES + 1), LIMITS)


@pytest.mark.parametrize("length", [0, 3, 30, 60, 100])
def test_an_archive_that_is_cut_off_is_broken(length: int) -> None:
    data = pack({"word/document.xml": "<a/>"})
    with pytest.raises(BrokenFile, match="damaged or cut off"):
        Package(data[:length], LIMITS)


def test_a_part_with_a_wrong_checksum_is_broken() -> None:
    data = bytearray(pack({"a": b"text " * 100}))
    data[35] ^= 0xFF
    with pytest.raises(BrokenFile, match="a cannot be unpacked"):
        Package(bytes(data), LIMITS).read("a")


def test_a_part_with_a_password_is_said_to_have_one() -> None:
    data = bytearray(pack({"a": b"text"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(EncryptedFile, match="protected with a password"):
        Package(bytes(data), LIMITS).read("a")


def test_a_part_packed_in_another_way_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", "text")
    with pytest.raises(BrokenFile, match="packed with method 14"):
        Package(buffer.getvalue(), LIMITS).read("a")


LAUGHS = (
    '<!DOCTYPE a [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {n} "{f"&{p};" * 10}">' for p, n in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><a>&i;</a>"
)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (LAUGHS.encode(), UnsafeFile, "declares a document type or XML entities in part.xml"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', UnsafeFile, "declares a document type"),
        (LAUGHS.encode("utf-16"), UnsafeFile, "declares a document type"),
        (b"<a>" * 1_000 + b"</a>" * 1_000, UnsafeFile, "more than 150 elements deep"),
        (b"<a " + b"xmlns:b = '" + b"u" * 400 + b"'/>", UnsafeFile, "a namespace of more than 300 characters"),
        (b"<a>&unknown;</a>", BrokenFile, "part.xml is not well-formed XML"),
        (b"<a>", BrokenFile, "not well-formed"),
        (b"", BrokenFile, "not well-formed"),
        (b"<a>\xff</a>", BrokenFile, "is not valid utf-8-sig at byte 3"),
        (b"<a>\x00</a>", BrokenFile, "not well-formed"),
    ],
    ids=["laughs", "external", "laughs in UTF-16", "deep", "namespace", "entity", "open", "empty", "bytes", "NUL"],
)
def test_xml_that_no_program_writes_is_refused(data: bytes, error: type[FileError], message: str) -> None:
    with pytest.raises(error, match=message):
        safe_xml.parse_xml(data, "part.xml")


def test_xml_of_more_elements_than_any_document_has_is_refused_before_it_is_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe_xml, "MAX_ELEMENTS", 10)
    with pytest.raises(UnsafeFile, match="more than 10 elements"):
        safe_xml.parse_xml(b"<a>" + b"<b/>" * 30 + b"</a>", "part.xml")


def test_xml_in_utf_16_and_the_strict_namespaces_are_read() -> None:
    strict = '<x:body xmlns:x="http://purl.oclc.org/ooxml/wordprocessingml/main" x:val="あ" plain="1"/>'
    root = safe_xml.parse_xml(strict.encode("utf-16"), "part.xml")
    assert (root.tag, root.attrib) == ("w:body", {"w:val": "あ", "plain": "1"})
