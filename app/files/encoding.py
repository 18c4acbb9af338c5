"""Bytes of a text file -> its characters, in the encodings of Japanese files: UTF-8, CP932, EUC-JP, ISO-2022-JP,
UTF-16 and UTF-7.

The order: a byte order mark; a stated charset that decodes the bytes; the escapes of ISO-2022-JP; UTF-7, where it gives
Japanese; strict UTF-8; then CP932, EUC-JP and UTF-16 without a mark, each decoded strictly, the most plausible Japanese
first. A stated charset that is wrong becomes a warning. Bytes that are no text are refused, and so is text in no
encoding known here.

app/files/decoders.py decodes the bytes. This module does not know file formats: the readers of HTML and mail find the
stated charset and pass it on.
"""

import codecs
import re
from dataclasses import dataclass

from app.errors import NotText, UnknownEncoding
from app.files.decoders import decode_replacing, decode_strictly, is_iso_2022_jp
from app.files.plausibility import japanese_plausibility, share_of_controls
from app.files.sniff import ACCEPTED
from app.files.warnings import FileWarning

# One undecodable place in so many characters is damage (U+FFFD and a warning). More means another encoding.
CHARACTERS_PER_DAMAGE = 1000
# The one place that a short text may lose is no larger a share of it.
MAX_LOST_SHARE = 0.25
# Bytes with a greater share of control characters are no text.
MAX_CONTROL_SHARE = 0.02
# A guess must be at least this plausible; a stated charset stands unless a guess is better by this.
MIN_PLAUSIBILITY = 0.15
# Of a text without any kana: names and addresses have common kanji. Chinese and Korean read as EUC-JP have rare ones.
MIN_PLAUSIBILITY_OF_KANJI = 0.4
MARGIN = 0.4
# UTF-16 whose bytes are also ASCII (あ is 42 30, "B0") counts as UTF-16 from so many characters on.
MIN_KANA_ONLY = 16
# The same for UTF-7: a + and letters of ASCII give a rare kanji or two.
MIN_UTF_7 = 3
MIN_UTF_7_PLAUSIBILITY = 0.4

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The charsets that may be stated, by Python's names. Python has more codecs, some of them with quadratic time.
_OURS = {
    "ascii": "ascii", "utf-8": "utf-8", "utf-16": "utf-16", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be",
    "utf-32": "utf-32", "utf-7": "utf-7", "cp932": "cp932", "shift_jis": "cp932", "shift_jis_2004": "shift_jis_2004",
    "shift_jisx0213": "shift_jis_2004", "euc_jp": "euc-jp", "euc_jis_2004": "euc-jp", "euc_jisx0213": "euc-jp",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5hkscs", "big5hkscs": "big5hkscs",
    "euc_kr": "cp949", "cp949": "cp949", "koi8-r": "koi8-r",
}  # fmt: skip
_OTHER_NAMES = {
    "windows-31j": "cp932", "cswindows31j": "cp932", "x-sjis": "cp932", "x-ms-cp932": "cp932", "ms932": "cp932",
    "x-shift-jis": "cp932", "sjis-win": "cp932", "cp943": "cp932", "x-mac-japanese": "cp932",
    "x-euc-jp": "euc-jp", "eucjp-ms": "euc-jp", "eucjp-win": "euc-jp", "cp51932": "euc-jp", "x-euc": "euc-jp",
    "cp50220": "iso-2022-jp", "cp50221": "iso-2022-jp", "cp50222": "iso-2022-jp", "jis": "iso-2022-jp",
    "unicode-1-1-utf-7": "utf-7", "utf8mb4": "utf-8", "unicode": "utf-16",
}  # fmt: skip
# Decoding with one of these proves little: bytes of one Japanese encoding are often valid in another, and the other
# encodings decode any bytes.
_CONTESTED = re.compile(r"cp932|euc-jp|iso8859-\d+|cp125\d|koi8-r|utf-16.*")
_BASE64_RUN = re.compile(rb"\+[A-Za-z0-9+/]{6,}")
_ASCII = re.compile("[\x00-\x7f]+")
_KANA = re.compile("[ぁ-ゖァ-ヺｦ-ﾝ]")
_LOST = re.compile("\ufffd+")
_JAPANESE = ("cp932", "euc-jp", "utf-16-le", "utf-16-be")


@dataclass(frozen=True)
class Decoded:
    """The characters of a text file, its encoding, and warnings for the user."""

    text: str
    encoding: str
    warnings: tuple[FileWarning, ...] = ()


def decode(data: bytes, stated: str | None = None) -> Decoded:
    """Decode the bytes of a text file. `stated` is a charset from a Content-Type, an HTML meta or a mail's header.

    Raises NotText for bytes that are no text, UnknownEncoding for text in an encoding that is not known here.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            decoded = _decode_marked(data[len(mark) :], encoding)
            return _with_stated(decoded, stated) if stated else decoded
    name = known_charset(stated) if stated else None
    if name and (text := decode_strictly(data, name)) is not None and _stands(data, name, text):
        return Decoded(_checked(text), name)
    guess = _detect(data)
    if guess is None:
        guess = _damaged(data)
    return _with_stated(guess, stated) if stated else guess


def known_charset(label: str) -> str | None:
    """The name that this module has for a charset, or None when it has none."""
    label = label.strip().strip("'\"").lower()
    if label in _OTHER_NAMES:
        return _OTHER_NAMES[label]
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError, UnicodeError):  # an unknown name, a NUL in it, a lone surrogate in it
        return None
    if name.startswith("iso2022_jp"):
        return "iso-2022-jp"
    if re.fullmatch(r"iso8859-\d+|cp125\d", name):
        return name
    return _OURS.get(name)


def _decode_marked(data: bytes, encoding: str) -> Decoded:
    text = decode_strictly(data, encoding)
    return Decoded(_checked(text), encoding) if text is not None else _damaged(data, encoding)


def _stands(data: bytes, name: str, text: str) -> bool:
    """Whether a stated charset that decodes the bytes to `text` is believed."""
    if is_iso_2022_jp(data):
        return name == "iso-2022-jp"
    if name == "utf-8" or text.isascii():
        return True
    if _CONTESTED.fullmatch(name) is None:
        return True
    if decode_strictly(data, "utf-8") is not None:  # valid UTF-8 is no other encoding, unless it is short
        return False
    guess = _most_plausible(data)
    if guess is None or guess.encoding == name:
        return True
    margin = MARGIN if name in _JAPANESE else 0.0
    return japanese_plausibility(guess.text) < max(japanese_plausibility(text), 0.0) + margin


def _with_stated(decoded: Decoded, stated: str) -> Decoded:
    name = known_charset(stated)
    if name is None:
        sentence = f"The stated charset {stated!r} is not known; the bytes are {decoded.encoding}."
        warning = FileWarning("unknown_charset", sentence)
    elif decoded.encoding.startswith(name) or (decoded.text.isascii() and decoded.encoding == "utf-8"):
        return decoded  # utf-16 holds for utf-16-le, and ASCII is right in every encoding that is stated
    else:
        sentence = f"The stated charset {stated!r} is wrong: the bytes are {decoded.encoding} and were read as such."
        warning = FileWarning("wrong_charset", sentence)
    return Decoded(decoded.text, decoded.encoding, (warning, *decoded.warnings))


# --- the encoding of the bytes ---------------------------------------------------------------------------------------


def _detect(data: bytes) -> Decoded | None:
    """The encoding by the bytes alone, decoded strictly; None when none fits."""
    if is_iso_2022_jp(data):
        text = decode_strictly(data, "iso-2022-jp")
        return Decoded(_checked(text), "iso-2022-jp") if text is not None else None
    if (text := _utf_7(data)) is not None:
        return Decoded(text, "utf-7")
    text = decode_strictly(data, "utf-8")
    if text is not None and share_of_controls(text) <= MAX_CONTROL_SHARE and not _is_kana_of_utf_16(data):
        return Decoded(text, "utf-8")
    if guess := _most_plausible(data):
        return guess
    return Decoded(_checked(text), "utf-8") if text is not None else None


def _utf_7(data: bytes) -> str | None:
    """The text of ASCII bytes that are Japanese in UTF-7 (+ZeVnLIqe-), which a + in ASCII hardly ever is."""
    if b"+" not in data or not data.isascii() or _BASE64_RUN.search(data) is None:
        return None
    text = decode_strictly(data, "utf-7")
    if text is None or len(_ASCII.sub("", text)) < MIN_UTF_7:
        return None
    return text if japanese_plausibility(text) >= MIN_UTF_7_PLAUSIBILITY else None


def _most_plausible(data: bytes) -> Decoded | None:
    best, best_score = None, -1.0
    for encoding in _JAPANESE:
        if (text := decode_strictly(data, encoding)) is not None:
            score = japanese_plausibility(text, with_ascii=encoding.startswith("utf-16"))
            if score > max(best_score, _least(text)) and share_of_controls(text) <= MAX_CONTROL_SHARE:
                best, best_score = Decoded(text, encoding), score
    return best


def _least(text: str) -> float:
    """How plausible a text has to be, for an encoding to be guessed by it."""
    return MIN_PLAUSIBILITY if _KANA.search(text) else MIN_PLAUSIBILITY_OF_KANJI


def _is_kana_of_utf_16(data: bytes) -> bool:
    """Whether ASCII bytes are hiragana in UTF-16: 42 30 is あ, and also "B0"."""
    if len(data) < 2 * MIN_KANA_ONLY or len(data) % 2 or not data.isascii():
        return False
    return 0x30 in data[:2] and (set(data[1::2]) == {0x30} or set(data[::2]) == {0x30}) and not data.isdigit()


def _damaged(data: bytes, stated: str | None = None) -> Decoded:
    """Decode bytes that are not valid in any encoding, if few are damaged: U+FFFD replaces the damaged places.

    Raises NotText or UnknownEncoding when too much is lost in every encoding, or in the stated one.
    """
    certain = [stated] if stated else ["iso-2022-jp", "utf-8"] if is_iso_2022_jp(data) else ["utf-8"]
    found = []
    for encoding in (*certain, *(() if stated else _JAPANESE)):
        text = decode_replacing(data, encoding)
        lost = len(_LOST.findall(text))
        too_much = lost > max(1, len(text) // CHARACTERS_PER_DAMAGE) or text.count("\ufffd") > MAX_LOST_SHARE * len(
            text
        )
        if too_much or share_of_controls(text) > MAX_CONTROL_SHARE:
            continue
        decoded = Decoded(text, encoding, (_loss(text, encoding, lost),) if lost else ())
        if encoding in certain:
            return decoded
        plausibility = japanese_plausibility(text, with_ascii=encoding.startswith("utf-16"))
        if plausibility >= _least(text):
            found.append((-lost, plausibility, decoded))
    if not found:
        raise _refusal(data)
    return max(found, key=lambda candidate: candidate[:2])[2]


def _loss(text: str, encoding: str, lost: int) -> FileWarning:
    line = text.count("\n", 0, text.index("\ufffd")) + 1
    places = "One place is" if lost == 1 else f"{lost} places are"
    return FileWarning("damaged_text", f"{places} not valid {encoding} and became U+FFFD; the first is in line {line}.")


def _refusal(data: bytes) -> NotText | UnknownEncoding:
    if share_of_controls(data[:100_000].decode("latin-1")) > MAX_CONTROL_SHARE:
        return _not_text()
    if fitting := [name for name in ("cp932", "euc-jp") if decode_strictly(data, name) is not None]:
        return UnknownEncoding(
            f"The encoding of the text is uncertain: its bytes are valid {' and '.join(fitting)}, but the "
            "text they give does not look like Japanese. Save it as UTF-8, or state its charset."
        )
    return UnknownEncoding(
        "The text is in an encoding that is not known here: it is not valid UTF-8, CP932 (Shift_JIS), EUC-JP, "
        "ISO-2022-JP or UTF-16. Save it as UTF-8, or state its charset."
    )


def _checked(text: str) -> str:
    if share_of_controls(text) > MAX_CONTROL_SHARE:
        raise _not_text()
    return text


def _not_text() -> NotText:
    return NotText(
        "The file is neither text nor of another kind that is read: its bytes are binary data. "
        f"Accepted are {ACCEPTED}."
    )
