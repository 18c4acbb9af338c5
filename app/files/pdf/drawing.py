"""Pages of a PDF as pictures. This code runs only in the child process. This module does not know text."""

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pypdfium2 as pdfium


def draw_page(page: pdfium.PdfPage, pixels_across: int, max_pixels: int) -> bytes:
    """A page as PNG, `pixels_across` pixels wide, or as wide as `max_pixels` in all allow."""
    width, height = page.get_size()  # in points
    scale = min(pixels_across / width, (max_pixels / (width * height)) ** 0.5)
    bitmap = page.render(scale=scale, rev_byteorder=True)
    pixels = np.asarray(bitmap.to_numpy())  # (height, width, 3 or 4), red first
    return _png(np.ascontiguousarray(pixels[:, :, :3]))


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The picture as PNG (RFC 2083): 8 bits, RGB, no filter. `pixels` is (height, width, 3)."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # the first byte of a line is its filter
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
