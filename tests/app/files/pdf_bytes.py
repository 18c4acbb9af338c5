"""PDF files written by hand, byte by byte, for what real programs do not write; and PNG files read back."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def pdf(
    contents: Sequence[str | bytes],
    page: str = "/MediaBox [0 0 300 400]",
    font: str = _FONT,
    more: Sequence[str] = (),
) -> bytes:
    """A PDF with a page for each content stream; bytes are Flate-compressed already. The font is /F1.

    Args:
        more: other objects; of one page, their numbers begin with 6.
    """
    objects: list[bytes] = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", font.encode()]
    kids = []
    for content in contents:
        stream, extra = (content, "/Filter /FlateDecode ") if isinstance(content, bytes) else (content.encode(), "")
        objects.append(f"<< {extra}/Length {len(stream)} >>\nstream\n".encode() + stream + b"\nendstream")
        kids.append(len(objects) + 1)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R {page} /Contents {len(objects)} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
    objects[1] = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] >>".encode()
    objects += [one.encode() for one in more]
    parts = [b"%PDF-1.7\n"]
    offsets = [len(parts[0])]
    for number, body in enumerate(objects, 1):
        parts.append(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
        offsets.append(offsets[-1] + len(parts[-1]))
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets[:-1])
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{offsets[-1]}\n%%EOF\n"
    return b"".join(parts) + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def recognised(words: Sequence[tuple[float, str]]) -> bytes:
    """A line of unseen words as Tesseract 5 writes them, each with its left side and with a space after it.

    Every character is half an em wide; the font has a size of 12 points.
    """
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def "
        "1 begincodespacerange <0000> <FFFF> endcodespacerange "
        "1 beginbfrange <0000> <FFFF> <0000> endbfrange endcmap end"
    )
    shown = [f"1 0 0 1 {left} 300 Tm [<{word.encode('utf-16-be').hex()}0020>] TJ" for left, word in words]
    return pdf(
        [f"BT 3 Tr /F1 12 Tf {' '.join(shown)} ET"],
        font="<< /Type /Font /Subtype /Type0 /BaseFont /GlyphLessFont /Encoding /Identity-H /DescendantFonts [6 0 R] "
        "/ToUnicode 7 0 R >>",
        more=[
            "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /GlyphLessFont /CIDToGIDMap /Identity /DW 500 "
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
            f"<< /Length {len(to_unicode)} >>\nstream\n{to_unicode}\nendstream",
        ],
    )


def inflating(size: int) -> bytes:
    """A compressed content stream that inflates to `size` bytes of white space."""
    compressor = zlib.compressobj(9)
    block = b" " * 1_000_000
    return b"".join(compressor.compress(block) for _ in range(size // len(block))) + compressor.flush()


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """The (height, width, 3) picture of a PNG with 8 bits, RGB, and no filters."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + length
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 2, 0, 0, 0]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, 1 + 3 * width)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3)
