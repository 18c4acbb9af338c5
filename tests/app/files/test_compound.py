"""Compound files: streams of every size, the root, and tables that lead nowhere or in circles."""

import struct

import pytest

from app.errors import BrokenFile
from app.files.compound import CompoundFile, root_names
from tests.app.files.compound_files import compound

STREAMS = {
    "Workbook": bytes(range(256)) * 40,
    "storage/一": b"x" * 100,
    "storage/empty": b"",
    "storage/inner/Workbook": b"y" * 4095,
    "large": b"z" * 8_000_000,  # the table of sectors needs more room than the header has
    **{f"s{number}": b"%d" % number * 70 for number in range(50)},
}
FILE = compound(STREAMS)


def test_streams_come_back_by_their_paths_with_any_case() -> None:
    file = CompoundFile(FILE)
    assert {path: file.read(path.upper()) for path in STREAMS} == STREAMS
    assert file.read("storage") is None
    assert file.read("nothing") is None


def test_storages_are_those_directly_inside() -> None:
    file = CompoundFile(compound({"a/x": b"1", "a/b/x": b"2", "ab/x": b"3", "c": b"4"}))
    assert file.storages("") == ["a", "ab"]
    assert file.storages("A/") == ["a/b"]
    assert file.storages("ab") == ["ab"]


def test_the_root_holds_what_stands_in_no_storage() -> None:
    assert root_names(FILE) == {"Workbook", "storage", "large", *(f"s{number}" for number in range(50))}


@pytest.mark.parametrize("at", [30, 32, 48, 68, 76])  # sizes of sectors, the directory, lists of tables
@pytest.mark.parametrize("number", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE])
def test_a_header_that_lies_gives_some_names_or_none(at: int, number: int) -> None:
    data = bytearray(FILE[:200_000])
    struct.pack_into("<I", data, at, number)
    assert root_names(bytes(data)) <= root_names(FILE) | {""}


def test_a_directory_that_leads_back_to_itself_ends() -> None:
    data = bytearray(compound({"a": b"1", "b": b"2", "c": b"3"}))
    at = 512 * (struct.unpack_from("<I", data, 48)[0] + 1)
    for entry in (1, 2, 3):
        struct.pack_into("<III", data, at + 128 * entry + 68, 1, 3, 2)
    assert root_names(bytes(data)) == {"a", "b", "c"}


@pytest.mark.parametrize("length", [0, 8, 511, 512, 513, 1024])
def test_a_file_that_is_cut_off_is_broken(length: int) -> None:
    assert root_names(FILE[:length]) == frozenset()
    with pytest.raises(BrokenFile, match="damaged or cut off"):
        CompoundFile(FILE[:length])
