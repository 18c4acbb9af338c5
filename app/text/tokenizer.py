"""Text to tokens: normalise, segment into words, cut words into pieces, and never lose an offset.

Three steps, each with its own alignment, composed into one: every token knows the half-open code-point
span it covers in the text exactly as it was sent.

Knows nothing of models, windows or requests. Not thread-safe: MeCab and the Rust tokeniser keep state, so every
worker thread builds its own `Tokenizer`.
"""

import functools
import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tokenizers

from app.errors import BrokenModel, InvalidInput
from app.types import IntArray, NormaliserName, SegmenterName

# Longest text given to the segmenter at once. MeCab's lattice takes about 1 kB a character, so this bounds its memory.
MAX_SEGMENT_CHARACTERS = 2_000

# More marks than this on one character (real scripts need a few) are normalised in parts: ordering the marks of one
# character takes quadratic time.
MAX_JOINING_MARKS = 64
# Characters that NFKC makes of one at most (UAX #15): of ﷺ.
LONGEST_EXPANSION = 18
# Juman++ refuses more than 4,096 bytes, and a character takes at most four.
MAX_JUMANPP_CHARACTERS = 1_000

_TO_ZENKAKU = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
_SURROGATE = re.compile("[\ud800-\udfff]")
_ODD_SPACE = re.compile(r"[^\S \n]")
_SEGMENT_END = re.compile("[。．！？!?]+[」』）)]*|\n")


@dataclass(frozen=True)
class Normalised:
    """A normalised text and, for each of its characters, the span of the original that it came from."""

    text: str
    starts: IntArray  # (characters,)
    ends: IntArray  # (characters,)


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, without special tokens. All arrays have shape (tokens,)."""

    ids: IntArray
    starts: IntArray  # code points into the text as sent, half-open with `ends`
    ends: IntArray
    word_starts: npt.NDArray[np.bool_]  # true where a word of the segmenter begins

    def __len__(self) -> int:
        return len(self.ids)

    def slice(self, start: int, end: int) -> "Tokens":
        return Tokens(self.ids[start:end], self.starts[start:end], self.ends[start:end], self.word_starts[start:end])


@functools.lru_cache(maxsize=65_536)
def _clean(char: str) -> str:
    """Drop a character that nobody sees (zero-width, BOM, variation selector); make a space of a control character."""
    category = unicodedata.category(char)
    if category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return ""
    return " " if category == "Cc" and char != "\n" else char


@functools.lru_cache(maxsize=65_536)
def _joins_previous(char: str) -> bool:
    """Whether normalising `char` can depend on the character before it (combining marks, kana marks, Hangul jamo)."""
    first = unicodedata.normalize("NFKD", char)[0]
    # Kirat Rai vowel signs are the only letters that compose with the character before them.
    return (
        unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff" or first in "\U00016d63\U00016d67"
    )


@functools.lru_cache(maxsize=65_536)
def _is_plain(char: str) -> bool:
    """Whether normalising leaves `char` as it is, whatever stands around it."""
    return unicodedata.normalize("NFKC", char) == _clean(char) == char and not _joins_previous(char)


def normalise(text: str, name: NormaliserName) -> Normalised:
    """Normalise `text` and keep the alignment.

    "nfkc": Unicode NFKC (half-width kana become full-width, full-width letters become ASCII, ㍻ becomes 平成).
    "zenkaku": NFKC, then ASCII becomes full-width, the form that JUMAN's dictionary and the Waseda models expect.
    Both drop invisible characters and turn control characters into spaces. "none" keeps the text.

    Raises:
        InvalidInput: the text holds a lone surrogate, which is not a character.
    """
    if match := _SURROGATE.search(text):
        raise InvalidInput(
            f"The text holds a lone surrogate (U+{ord(match.group()):04X}) at character {match.start()}; "
            "only Unicode characters are allowed."
        )
    identity = np.arange(len(text) + 1, dtype=np.int32)
    if name == "none":
        return Normalised(text, identity[:-1], identity[1:])
    special = {char for char in set(text) if not _is_plain(char)}
    normalised = _normalise_clusters(text, special) if special else Normalised(text, identity[:-1], identity[1:])
    if name == "zenkaku":
        return Normalised(normalised.text.translate(_TO_ZENKAKU), normalised.starts, normalised.ends)
    return normalised


def _normalise_clusters(text: str, special: set[str]) -> Normalised:
    """NFKC cluster by cluster (a character and the marks that join it): a cluster's output maps to its whole span.

    Outside clusters, each character maps to its own output. `special` are the characters of `text` that are not plain.
    """
    cleaned = text.translate({ord(char): _clean(char) for char in special if _clean(char) != char})
    # For each character of `cleaned`: its place in the text, and how many characters come of it.
    places = np.arange(len(text), dtype=np.int32)
    if invisible := [ord(char) for char in special if not _clean(char)]:
        places = places[np.isin(_code_points(text), invisible, invert=True)]
    if not cleaned:
        return Normalised("", places, places)
    keys = np.sort(np.array([ord(char) for char in special], dtype=np.uint32))
    sizes = np.array([len(unicodedata.normalize("NFKC", chr(key))) for key in keys], dtype=np.int32)
    codes = _code_points(cleaned)
    slot = np.minimum(np.searchsorted(keys, codes), len(keys) - 1)
    lengths = np.where(keys[slot] == codes, sizes[slot], 1)

    pieces: list[str] = []
    opens_unit = np.ones(len(cleaned), dtype=np.bool_)  # false for characters whose output belongs to an earlier one's
    position = 0
    if joining := "".join(char for char in special if _clean(char) and _joins_previous(char)):
        for match in re.finditer(f".?[{re.escape(joining)}]{{1,{MAX_JOINING_MARKS}}}", cleaned, re.DOTALL):
            start, end = match.span()
            piece = unicodedata.normalize("NFKC", match.group())
            pieces += (unicodedata.normalize("NFKC", cleaned[position:start]), piece)
            lengths[start:end] = 1
            if piece != match.group():
                lengths[start] = len(piece)
                opens_unit[start + 1 : end] = False
            position = end
    pieces.append(unicodedata.normalize("NFKC", cleaned[position:]))
    units = np.flatnonzero(opens_unit)
    lasts = np.append(units[1:], len(cleaned)) - 1
    starts = np.repeat(places[units], lengths[units])
    ends = np.repeat(places[lasts] + np.int32(1), lengths[units])
    return Normalised("".join(pieces), starts, ends)


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


class Segmenter(Protocol):
    """Cuts a normalised text into words."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Half-open code-point spans of the words, in order, without white space between words."""
        ...


class MecabSegmenter:
    """MeCab with the JUMAN dictionary, through fugashi.

    MeCab is asked for byte positions, not for words: for a few inputs (でっうか) it cuts inside a character, and
    decoding such a word fails. A boundary inside a character is dropped, which joins the words on its two sides to one
    and leaves every other word of the sentence as it was.
    """

    def __init__(self) -> None:
        import fugashi
        import jumandic

        # "-r /dev/null": no mecabrc of the machine may change the words.
        self.joined_boundaries = 0  # boundaries inside a character that were dropped so far
        self._tagger = fugashi.GenericTagger(f'-r /dev/null -d "{jumandic.DICDIR}" -F"%ps %pe " -E" "')

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
                "This model wants words cut by Juman++, and rhoknp is not installed: pip install 'nagayomi[jumanpp]'."
            ) from error
        self._jumanpp = Jumanpp()
        if not self._jumanpp.is_available():
            raise BrokenModel(
                "This model wants words cut by Juman++, and the jumanpp binary is not on the PATH. Install Juman++ "
                "2.0.0-rc3, or export the model with --segmenter mecab-jumandic."
            )

    def cut(self, text: str) -> list[tuple[int, int]]:
        words: list[tuple[int, int]] = []
        for start, stop in _segments(text, MAX_JUMANPP_CHARACTERS):
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
    """For tokenisers that take raw text: the words are what stands between white space."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def build_segmenter(name: SegmenterName) -> Segmenter:
    """The segmenter a manifest names. Raises BrokenModel when it is not installed."""
    if name == "mecab-jumandic":
        return MecabSegmenter()
    if name == "jumanpp":
        return JumanppSegmenter()
    return NoSegmenter()


def _segments(text: str, limit: int = MAX_SEGMENT_CHARACTERS) -> list[tuple[int, int]]:
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
        for start, stop in _segments(normalised)
        for begin, end in segmenter.cut(normalised[start:stop])
    ]
    if _ODD_SPACE.search(normalised):  # a full-width space is a word to the segmenters
        words = [(start, end) for start, end in words if not normalised[start:end].isspace()]
    return words


def _pairs(spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(spans, 2); np.array takes more than twice as long over a list of tuples."""
    return np.fromiter(itertools.chain.from_iterable(spans), dtype=np.int64, count=2 * len(spans)).reshape(-1, 2)


class Tokenizer:
    """Normaliser, segmenter and SentencePiece unigram pieces of one model.

    Args:
        pieces: the Rust tokeniser; its own post-processor is not used, special tokens are the caller's.
        normaliser, segmenter: as the manifest names them.

    Raises:
        BrokenModel: a special token the service needs ([CLS], [SEP], [UNK]) is not in the vocabulary.
    """

    def __init__(self, pieces: tokenizers.Tokenizer, *, normaliser: NormaliserName, segmenter: SegmenterName) -> None:
        self._pieces = pieces
        # What a user types is text: "[SEP]" in a document must never become the separator.
        self._pieces.encode_special_tokens = True
        self._pieces.no_truncation()
        self._pieces.no_padding()
        self._normaliser: NormaliserName = normaliser
        self._segmenter = build_segmenter(segmenter)
        self.cls_id = self._special("[CLS]", "<s>")
        self.sep_id = self._special("[SEP]", "</s>")
        self._unknown_id = self._special("[UNK]", "<unk>")
        added = pieces.get_added_tokens_decoder()
        special_ids = [self.cls_id, self.sep_id, *(index for index, token in added.items() if token.special)]
        self._is_special = np.zeros(max(pieces.get_vocab().values()) + 1, dtype=np.bool_)
        self._is_special[special_ids] = True
        self.vocab_size: int = pieces.get_vocab_size()

    @classmethod
    def load(cls, file: Path, *, normaliser: NormaliserName, segmenter: SegmenterName) -> "Tokenizer":
        """Read a `tokenizer.json`."""
        return cls(tokenizers.Tokenizer.from_file(str(file)), normaliser=normaliser, segmenter=segmenter)

    def _special(self, *names: str) -> int:
        for name in names:
            if (token_id := self._pieces.token_to_id(name)) is not None:
                return int(token_id)
        raise BrokenModel(f"The tokenizer has none of the special tokens {', '.join(names)}.")

    def words(self, text: str) -> list[str]:
        """The normalised words of a text, as the pieces are cut from them."""
        normalised = normalise(text, self._normaliser).text
        return [normalised[start:end] for start, end in cut_words(normalised, self._segmenter)]

    def normalised_length(self, text: str) -> int:
        """Characters of a text once it is normalised.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        return len(normalise(text, self._normaliser).text)

    def encode(self, text: str) -> Tokens:
        """Tokenise one text.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        normalised = normalise(text, self._normaliser)
        words = cut_words(normalised.text, self._segmenter)
        if not words:
            empty = np.zeros(0, dtype=np.int32)
            return Tokens(empty, empty, empty, np.zeros(0, dtype=np.bool_))
        joined = " ".join([normalised.text[start:end] for start, end in words])
        encoding = self._pieces.encode(joined, add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int32)
        # The unigram model itself knows its special tokens as pieces, and a word of the text may spell one.
        ids[self._is_special[ids]] = self._unknown_id
        return self.align(normalised, words, joined, ids, encoding.offsets)

    @staticmethod
    def align(
        normalised: Normalised,
        words: Sequence[tuple[int, int]],
        joined: str,
        ids: IntArray,
        offsets: Sequence[tuple[int, int]],
    ) -> Tokens:
        """Offsets in the joined words -> offsets in the normalised text -> offsets in the text as sent."""
        bounds = _pairs(words)
        # A word and the space after it: where they begin in `joined`, and how far that is from the normalised text.
        sizes = bounds[:, 1] - bounds[:, 0] + 1
        joined_ends = sizes.cumsum()
        joined_starts = joined_ends - sizes  # (words,)
        shifts = bounds[:, 0] - joined_starts
        is_space = np.zeros(len(joined) + 1, dtype=np.bool_)
        is_space[joined_ends[:-1] - 1] = True
        spans = _pairs(offsets)
        begins = np.minimum(spans[:, 0], len(joined) - 1)
        # A piece such as "▁東" begins on the space before its word: move on to the word.
        begins = begins + is_space[begins]
        lasts = np.maximum(spans[:, 1] - 1, 0)
        empty = lasts < begins  # a lone "▁"
        lasts = np.maximum(lasts, begins)
        word_of = joined_ends.searchsorted(begins, side="right")  # (tokens,)
        starts = normalised.starts[begins + shifts[word_of]]
        ends = normalised.ends[lasts + shifts[joined_ends.searchsorted(lasts, side="right")]]
        ends[empty] = starts[empty]
        word_starts = np.empty(len(word_of), dtype=np.bool_)
        word_starts[:1] = True
        np.not_equal(word_of[1:], word_of[:-1], out=word_starts[1:])
        return Tokens(ids, starts, ends, word_starts)
