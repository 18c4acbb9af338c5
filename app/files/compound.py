"""The compound file of DOC, XLS, PPT and MSG ([MS-CFB]): streams in storages, as files in folders.

`root_names` lists the root in time that grows with the file alone, so that the service may call it for any bytes;
`CompoundFile` reads streams with olefile, which a hostile file can keep busy, and belongs into a process with limits.
This module does not know the meaning of the streams.
"""

import io
import struct
from collections.abc import Iterator

from app.errors import BrokenFile

SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SECTOR_SHIFTS = (9, 12)  # sectors of 512 bytes, or of 4,096
_LAST_SECTOR = 0xFFFFFFFA  # the numbers above it are marks: end of a chain, free
_HEADER_BYTES = 512
_ENTRY = struct.Struct("<64sHxxIII")  # name, its bytes, left, right and child entry
_ENTRY_BYTES = 128
# What olefile raises for damaged files besides its own OleFileError, which is an OSError.
_ERRORS = (OSError, IndexError, OverflowError, RecursionError, TypeError, ValueError, struct.error)


def root_names(data: bytes) -> frozenset[str]:
    """The names of the streams and storages of the root; without those that damage hides."""
    directory = _directory(data)
    names: set[str] = set()
    places = [_entry(directory, 0)[4]] if directory else []
    seen: set[int] = set()
    while places:
        place = places.pop()
        if place in seen or (place + 1) * _ENTRY_BYTES > len(directory):
            continue
        seen.add(place)
        name, size, left, right, _ = _entry(directory, place)
        names.add(name[: max(min(size, 64) - 2, 0)].decode("utf-16-le", "replace"))
        places += (left, right)
    return frozenset(names)


class CompoundFile:
    """Reads the streams of a compound file. Raises BrokenFile, here and in `read`, for one that is damaged."""

    def __init__(self, data: bytes) -> None:
        from olefile import OleFileIO  # not needed to list the root, which is also done without the extra `files`

        if not _has_usual_header(data):  # olefile takes sectors of any size
            raise _broken()
        try:
            self._file = OleFileIO(io.BytesIO(data))
            self._streams = {"/".join(path).lower(): path for path in self._file.listdir()}
        except _ERRORS as error:
            raise _broken() from error

    def storages(self, prefix: str) -> list[str]:
        """The paths of the storages that hold a stream and whose path, up to a last name, is `prefix`, in order."""
        prefix = prefix.lower()
        inside = (path[len(prefix) :].partition("/") for path in self._streams if path.startswith(prefix))
        return sorted({prefix + name for name, slash, _ in inside if slash})

    def read(self, path: str) -> bytes | None:
        """The bytes of a stream, by its path with any case; None where the file has no such stream."""
        names = self._streams.get(path.lower())
        if names is None:
            return None
        try:
            return bytes(self._file.openstream(names).read())
        except _ERRORS as error:
            raise _broken() from error


def _has_usual_header(data: bytes) -> bool:
    if len(data) <= _HEADER_BYTES or not data.startswith(SIGNATURE):
        return False
    shift, mini_shift = struct.unpack_from("<HH", data, 30)
    return shift in _SECTOR_SHIFTS and mini_shift == 6


def _directory(data: bytes) -> bytes:
    """The entries of all streams and storages; the first is the root."""
    if not _has_usual_header(data):
        return b""
    size = 1 << struct.unpack_from("<H", data, 30)[0]
    table = b"".join(data[(number + 1) * size : (number + 2) * size] for number in _table_sectors(data, size))
    next_of = struct.unpack(f"<{len(table) // 4}I", table[: len(table) // 4 * 4])
    sectors: dict[int, bytes] = {}
    number = struct.unpack_from("<I", data, 48)[0]
    while number not in sectors and number < len(next_of) and number <= _LAST_SECTOR:
        sectors[number] = data[(number + 1) * size : (number + 2) * size]
        number = next_of[number]
    directory = b"".join(sectors.values())
    return directory if len(directory) >= _ENTRY_BYTES else b""


def _table_sectors(data: bytes, size: int) -> Iterator[int]:
    """The numbers of the sectors that hold the table of chains, as many as the length of the file needs."""
    needed = -(-len(data) // size * 4 // size) + 1
    numbers = struct.unpack_from("<109I", data, 76)
    next_list = struct.unpack_from("<I", data, 68)[0]
    found = 0
    while True:
        for number in numbers:
            if number > _LAST_SECTOR or found >= needed:
                return
            yield number
            found += 1
        block = data[(next_list + 1) * size : (next_list + 2) * size]
        if next_list > _LAST_SECTOR or len(block) < size:
            return
        *numbers_, next_list = struct.unpack(f"<{size // 4}I", block)
        numbers = tuple(numbers_)


def _entry(directory: bytes, place: int) -> tuple[bytes, int, int, int, int]:
    name, size, left, right, child = _ENTRY.unpack_from(directory, place * _ENTRY_BYTES)
    return name, size, left, right, child


def _broken() -> BrokenFile:
    return BrokenFile("The file is damaged or cut off: its streams cannot be read.")
