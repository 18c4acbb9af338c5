"""Makes messages of Outlook (MSG) for tests: properties by their numbers, as streams and tables of a compound file."""

import struct
from collections.abc import Mapping, Sequence

from tests.app.files.compound_files import compound

# A text is written as Unicode; bytes as binary; (encoding, text) as a text of eight bits; a number as a whole number.
Value = str | bytes | int | tuple[str, str] | dict[int, object]
_TABLE = "__properties_version1.0"


def msg(
    mail: Mapping[int, Value],
    *,
    recipients: Sequence[Mapping[int, Value]] = (),
    attached: Sequence[Mapping[int, Value]] = (),
    times: Mapping[int, int] | None = None,
) -> bytes:
    """A message; a property 0x3701 of an attached one that is a mapping is a message inside it."""
    return compound(_streams(mail, "", 32, recipients, attached, times or {}))


def _streams(
    mail: Mapping[int, Value],
    path: str,
    header: int,
    recipients: Sequence[Mapping[int, Value]] = (),
    attached: Sequence[Mapping[int, Value]] = (),
    times: Mapping[int, int] | None = None,
) -> dict[str, bytes]:
    table = b"\0" * header
    streams: dict[str, bytes] = {}
    for number, value in mail.items():
        if isinstance(value, int):
            table += struct.pack("<HHIQ", 0x0003, number, 6, value)
            continue
        if isinstance(value, dict):
            inner = f"{path}__substg1.0_{number:04X}000D/"
            streams |= _streams(value, inner, 24)  # type: ignore[arg-type]  # nested types cannot be named
            continue
        type_, data = (
            (0x001F, value.encode("utf-16-le", "surrogatepass")) if isinstance(value, str)
            else (0x0102, value) if isinstance(value, bytes)
            else (0x001E, value[1].encode(value[0]))
        )  # fmt: skip
        streams[f"{path}__substg1.0_{number:04X}{type_:04X}"] = data
        table += struct.pack("<HHIQ", type_, number, 6, len(data))
    for number, time in (times or {}).items():
        table += struct.pack("<HHIQ", 0x0040, number, 6, time)
    for place, one in enumerate(recipients):
        streams |= _streams(one, f"{path}__recip_version1.0_#{place:08X}/", 8)
    for place, one in enumerate(attached):
        streams |= _streams(one, f"{path}__attach_version1.0_#{place:08X}/", 8)
    return {f"{path}{_TABLE}": table} | streams
