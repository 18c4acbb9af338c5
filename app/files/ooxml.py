"""The package of DOCX, PPTX, XLSX, OpenDocument and EPUB: a zip of XML parts. Those of Microsoft name each other by
relationships.

All bounds on hostile archives are here: entries, unpacked bytes, the ratio of unpacked to packed bytes. Nothing is ever
written to disk, and a part is found by its name in the archive alone, so that an absolute path or `..` finds nothing.
This module does not know the meaning of the parts.
"""

import io
import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from app.errors import BrokenFile, EncryptedFile, FileTooLarge, UnsafeFile
from app.files.limits import FileLimits
from app.files.safe_xml import parse_xml

MAX_ENTRIES = 10_000
# XML packs to a tenth, a table of zeros to a hundredth; deflate reaches 1,032.
MAX_RATIO = 300
# Smaller parts may have any ratio.
RATIO_MATTERS_FROM_BYTES = 5_000_000
_CHUNK_BYTES = 1 << 20

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# All errors that zipfile raises for damaged archives; ValueError is for offsets before the beginning of the file.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, OSError, OverflowError, RuntimeError, NotImplementedError, ValueError
)  # fmt: skip
_ENTRY_SIGNATURE = b"PK\x01\x02"
_ENCRYPTED_FLAG = 0x1


@dataclass(frozen=True, slots=True)
class Relationship:
    """A relationship of a part to another one: the last word of its type (`styles`), and the name of the other part."""

    type: str
    target: str


class Package:
    """The parts of one file.

    Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge, here and in every method that reads a part.
    """

    def __init__(self, data: bytes, limits: FileLimits) -> None:
        if data.count(_ENTRY_SIGNATURE) > MAX_ENTRIES:  # before zipfile makes an object of each
            raise UnsafeFile(f"The zip archive has more than {MAX_ENTRIES:,} entries, which is the limit.")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except _ZIP_ERRORS as error:
            raise BrokenFile(f"The file is damaged or cut off: its zip archive cannot be read ({error}).") from None
        self._entries = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in self._zip.infolist()}
        self._bytes_left = limits.max_unpacked_bytes
        self._limits = limits

    def has(self, part: str) -> bool:
        return part.lower() in self._entries

    def read(self, part: str) -> bytes:
        """The bytes of a part. The unpacked bytes are counted, because the sizes in the archive may be false."""
        entry = self._entries.get(part.lower())
        if entry is None:
            raise BrokenFile(f"The file is incomplete: it has no part {part}.")
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise EncryptedFile("The file is protected with a password; save it without one.")
        if entry.compress_type not in _METHODS:
            raise BrokenFile(f"The part {part} is packed with method {entry.compress_type}; documents use deflate.")
        chunks, size = [], 0
        try:
            with self._zip.open(entry) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    chunks.append(chunk)
                    size += len(chunk)
                    self._check(part, size, entry.compress_size)
        except _ZIP_ERRORS as error:
            raise BrokenFile(f"The file is damaged or cut off: {part} cannot be unpacked ({error}).") from None
        self._bytes_left -= size
        return b"".join(chunks)

    def xml(self, part: str) -> Element:
        return parse_xml(self.read(part), part)

    def optional_xml(self, part: str | None) -> Element | None:
        """The XML of an optional part."""
        return self.xml(part) if part is not None and self.has(part) else None

    def relationships(self, part: str) -> dict[str, Relationship]:
        """Id -> relationship of a part to others inside the package. "" is the package itself."""
        folder, name = posixpath.split(part)
        root = self.optional_xml(posixpath.join(folder, "_rels", f"{name}.rels"))
        found: dict[str, Relationship] = {}
        for element in root if root is not None else ():
            if element.get("TargetMode") != "External" and (target := element.get("Target")):
                # A target that begins with / counts from the root of the package, and posixpath.join sees to that.
                path = posixpath.normpath(posixpath.join("/", folder, unquote(target))).lstrip("/")
                found[element.get("Id", "")] = Relationship(element.get("Type", "").rpartition("/")[2], path)
        return found

    def linked_part(self, relationships: dict[str, Relationship], id_: str) -> str | None:
        """The name of the part behind the id of a relationship; None where the file has no such part."""
        link = relationships.get(id_)
        return link.target if link is not None and self.has(link.target) else None

    def main_part(self) -> str | None:
        """The name of the main part of the document."""
        documents = [link.target for link in self.relationships("").values() if link.type == "officeDocument"]
        return documents[0] if documents else None

    def _check(self, part: str, size: int, packed: int) -> None:
        if size > self._bytes_left:
            raise FileTooLarge(
                f"The file unpacks to more than {self._limits.max_unpacked_bytes:,} bytes, which is the limit."
            )
        if size > RATIO_MATTERS_FROM_BYTES and size > MAX_RATIO * max(packed, 1):
            raise UnsafeFile(f"The part {part} unpacks to more than {MAX_RATIO} times its size, which is the limit.")


def link_of(relationships: dict[str, Relationship], type_: str) -> str | None:
    """The target of the first relationship of a type."""
    return next((link.target for link in relationships.values() if link.type == type_), None)
