"""Segmenters: words of a normalised text, by MeCab or Juman++, and long texts cut into stretches that they can take.

A new segmenter needs a class with `cut`, a name in app/types.py and a case in `build_segmenter`. Segmenters are not
thread-safe: MeCab keeps state. This module does not know pieces or models.
"""

import importlib
import re
from typing import Literal, Protocol

import numpy as np

from app.errors import BrokenModel
from app.text.characters import CLOSERS, EXCLAMATIONS, FULL_STOPS, POINTS
from app.types import SegmenterName

# Longest text given to the segmenter at once. MeCab's lattice takes about 1 kB a character, so this bounds its memory.
MAX_SEGMENT_CHARACTERS = 2_000
# Juman++ refuses more than 4,096 bytes, and a character takes at most four.
MAX_JUMANPP_CHARACTERS = 1_000

MecabDictionary = Literal["jumandic", "unidic-lite", "ipadic"]

_ODD_SPACE = re.compile(r"[^\S \n]")
# A point before a letter or a digit stands in a number or a name.
_SEGMENT_END = re.compile(
    f"(?:[{FULL_STOPS}{EXCLAMATIONS}]|[{re.escape(POINTS)}](?![0-9A-Za-z０-９Ａ-Ｚａ-ｚ]))+[{re.escape(CLOSERS)}]*|\n"
)


class Segmenter(Protocol):
    """Cuts a normalised text into words."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Half-open code-point spans of the words, in order, without white space between words."""
        ...


class MecabSegmenter:
    """MeCab with one of its dictionaries, through fugashi.

    MeCab is asked for byte positions, not for words: for a few inputs (でっうか) it cuts inside a character, and
    decoding such a word fails. A boundary inside a character is dropped, which joins the words on its two sides to one
    and leaves every other word of the sentence as it was.

    Raises:
        BrokenModel: at construction, when the dictionary is not installed.
    """

    def __init__(self, dictionary: MecabDictionary = "jumandic") -> None:
        import fugashi

        try:
            folder = importlib.import_module(dictionary.replace("-", "_")).DICDIR
        except ModuleNotFoundError as error:
            raise BrokenModel(
                f"This model needs words cut by MeCab with the dictionary {dictionary}, which is not installed: "
                f"pip install 'nagayomi[{dictionary}]'."
            ) from error
        self.joined_boundaries = 0  # boundaries inside a character that were dropped so far
        # "-r /dev/null": no mecabrc of the machine may change the words. '-O ""': some dictionaries name an output
        # format of their own, which would replace ours.
        self._tagger = fugashi.GenericTagger(f'-r /dev/null -d "{folder}" -O "" -F"%ps %pe " -E" "')

    def cut(self, text: str) -> list[tuple[int, int]]:
        if not text.strip():
            return []
        places = np.fromstring(self._tagger.parse(text), dtype=np.int64, sep=" ")  # in bytes: start, end, start, end …
        # As int8, bytes that continue a character are those below -64.
        starts_character = np.frombuffer(text.encode() + b"\0", dtype=np.int8) > -65
        is_boundary = starts_character[places]
        if not is_boundary.all():  # the start of a word inside a character is the end of the word before it
            places = places[is_boundary]
            self.joined_boundaries += (len(is_boundary) - len(places)) // 2
        flat = (starts_character.cumsum()[places] - 1).tolist()
        return list(zip(flat[::2], flat[1::2], strict=True))


class JumanppSegmenter:
    """Juman++ through rhoknp, for models whose manifest asks for it.

    Raises:
        BrokenModel: at construction, when rhoknp or the jumanpp binary is not installed.
    """

    def __init__(self) -> None:
        try:
            from rhoknp import Jumanpp
        except ImportError as error:
            raise BrokenModel(
                "This model needs words cut by Juman++, and rhoknp is not installed: pip install 'nagayomi[jumanpp]'."
            ) from error
        self._jumanpp = Jumanpp()
        if not self._jumanpp.is_available():
            raise BrokenModel(
                "This model needs words cut by Juman++, and the jumanpp binary is not on the PATH. Install Juman++ "
                "2.0.0-rc3, or export the model with --segmenter mecab-jumandic."
            )

    def cut(self, text: str) -> list[tuple[int, int]]:
        words: list[tuple[int, int]] = []
        for start, stop in cut_segments(text, MAX_JUMANPP_CHARACTERS):
            position = start
            line = text[start:stop].rstrip("\n")
            if not line.strip():
                continue
            for morpheme in self._jumanpp.apply_to_sentence(line).morphemes:
                begin = text.find(morpheme.text, position, stop)
                if begin < 0:  # Juman++ rewrote the surface: keep the rest of the line as one word rather than fail
                    words.append((position, start + len(line)))
                    break
                position = begin + len(morpheme.text)
                words.append((begin, position))
        return words


class NoSegmenter:
    """For models without a segmenter: words are separated by white space."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def build_segmenter(name: SegmenterName) -> Segmenter | None:
    """The segmenter a manifest names; None for "none". Raises BrokenModel when it is not installed."""
    match name:
        case "mecab-jumandic":
            return MecabSegmenter("jumandic")
        case "mecab-unidic-lite":
            return MecabSegmenter("unidic-lite")
        case "mecab-ipadic":
            return MecabSegmenter("ipadic")
        case "jumanpp":
            return JumanppSegmenter()
        case "none":
            return None


def cut_segments(text: str, limit: int = MAX_SEGMENT_CHARACTERS) -> list[tuple[int, int]]:
    """Cut a text into stretches of at most `limit` characters: at line ends, else at sentence ends, else anywhere."""
    segments: list[tuple[int, int]] = []
    start = 0
    last_end = 0  # the last good place to cut after `start`
    for match in _SEGMENT_END.finditer(text):
        while match.end() - start > limit:
            cut = last_end if last_end > start else start + limit
            segments.append((start, cut))
            start = cut
        last_end = match.end()
        if match.group() == "\n":
            segments.append((start, match.end()))
            start = match.end()
    while len(text) - start > limit:
        cut = last_end if start < last_end else start + limit
        segments.append((start, cut))
        start = cut
    if start < len(text):
        segments.append((start, len(text)))
    return segments


def cut_words(normalised: str, segmenter: Segmenter) -> list[tuple[int, int]]:
    """Half-open spans of the words of a normalised text of any length, without white space."""
    words = [
        (start + begin, start + end)
        for start, stop in cut_segments(normalised)
        for begin, end in segmenter.cut(normalised[start:stop])
    ]
    if _ODD_SPACE.search(normalised):  # a full-width space is a word to the segmenters
        words = [(start, end) for start, end in words if not normalised[start:end].isspace()]
    return words
