"""Text to tokens: normalise, segment into words, cut words into pieces, and never lose an offset.

Three steps, each with its own alignment, composed into one: every token knows the half-open code-point
span it covers in the text exactly as it was sent.

Knows nothing of models, windows or requests. Not thread-safe: MeCab and the Rust tokeniser keep state, so every
worker thread builds its own `Tokenizer`.
"""

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import tokenizers

from app.errors import BrokenModel, InvalidInput

IntArray = npt.NDArray[np.int32]
NormaliserName = Literal["none", "nfkc", "zenkaku"]
SegmenterName = Literal["none", "mecab-jumandic", "jumanpp"]

# Longest text given to the segmenter at once. MeCab's lattice takes about 1 kB a character, so this bounds its memory.
MAX_SEGMENT_CHARACTERS = 2_000

_TO_ZENKAKU = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
_SURROGATE = re.compile("[\ud800-\udfff]")
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


@functools.lru_cache(maxsize=4096)
def _joins_previous(char: str) -> bool:
    """Whether normalising `char` can depend on the character before it (combining marks, kana marks, Hangul jamo)."""
    first = unicodedata.normalize("NFKD", char)[0]
    return unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff"


def _clean(text: str) -> str:
    """Drop characters that nobody sees (zero-width, BOM, variation selectors); turn control characters into spaces."""
    kept = []
    for char in text:
        category = unicodedata.category(char)
        if category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
            continue
        kept.append(" " if category == "Cc" and char != "\n" else char)
    return "".join(kept)


_NEEDS_CLEANING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U00010000-\U0010ffff]"
)


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
    if unicodedata.is_normalized("NFKC", text) and not _NEEDS_CLEANING.search(text):
        normalised = Normalised(text, identity[:-1], identity[1:])
    else:
        normalised = _normalise_clusters(text)
    if name == "zenkaku":
        return Normalised(normalised.text.translate(_TO_ZENKAKU), normalised.starts, normalised.ends)
    return normalised


def _normalise_clusters(text: str) -> Normalised:
    """NFKC cluster by cluster (a character and the marks that join it): a cluster's output maps to its whole span."""
    kept: list[tuple[str, int]] = [
        (clean, position) for position, char in enumerate(text) for clean in (_clean(char),) if clean
    ]
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    index = 0
    while index < len(kept):
        end = index + 1
        while end < len(kept) and _joins_previous(kept[end][0]):
            end += 1
        piece = unicodedata.normalize("NFKC", "".join(char for char, _ in kept[index:end]))
        first, last = kept[index][1], kept[end - 1][1] + 1
        if len(piece) == end - index and all(kept[i][0] == piece[i - index] for i in range(index, end)):
            starts.extend(position for _, position in kept[index:end])
            ends.extend(position + 1 for _, position in kept[index:end])
        else:
            starts.extend([first] * len(piece))
            ends.extend([last] * len(piece))
        pieces.append(piece)
        index = end
    return Normalised("".join(pieces), np.array(starts, dtype=np.int32), np.array(ends, dtype=np.int32))


class Segmenter(Protocol):
    """Cuts a normalised text into words."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        """Half-open code-point spans of the words, in order, without white space between words."""
        ...


class MecabSegmenter:
    """MeCab with the JUMAN dictionary, through fugashi.

    MeCab is asked for byte positions, not for words: for a few inputs (でっうか) it cuts inside a character, and decoding
    such a word fails. A boundary inside a character is dropped, which joins its two halves to one word and leaves every
    other word of the sentence as it was.
    """

    def __init__(self) -> None:
        import fugashi
        import jumandic

        # "-r /dev/null": no mecabrc of the machine may change the words.
        self._tagger = fugashi.GenericTagger(f'-r /dev/null -d "{jumandic.DICDIR}" -F%ps,%pe; -E;')

    def cut(self, text: str) -> list[tuple[int, int]]:
        if not text.strip():
            return []
        spans = [
            tuple(map(int, span.split(","))) for span in self._tagger.parse(text).split(";") if span not in ("", "\n")
        ]
        if text.isascii():
            return [(start, end) for start, end in spans]
        lengths = np.fromiter((_utf8_length(char) for char in text), dtype=np.int64, count=len(text))
        byte_starts = np.concatenate([[0], np.cumsum(lengths)])
        character_at = np.full(byte_starts[-1] + 1, -1, dtype=np.int64)
        character_at[byte_starts] = np.arange(len(text) + 1)
        positions = character_at.tolist()
        words: list[tuple[int, int]] = []
        pending: int | None = None  # where a word began whose end fell inside a character
        for start, end in spans:
            begin = pending if pending is not None else positions[start]
            if positions[end] < 0:
                pending = begin
                continue
            pending = None
            words.append((begin, positions[end]))
        return words


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
        for line in re.finditer("[^\n]+", text):
            position = line.start()
            if not line.group().strip():
                continue
            for morpheme in self._jumanpp.apply_to_sentence(line.group()).morphemes:
                start = text.find(morpheme.text, position, line.end())
                if start < 0:  # Juman++ rewrote the surface: keep the rest of the line as one word rather than fail
                    words.append((position, line.end()))
                    break
                position = start + len(morpheme.text)
                if morpheme.text.strip():
                    words.append((start, position))
        return words


class NoSegmenter:
    """For tokenisers that take raw text: the words are what stands between white space."""

    def cut(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\S+", text)]


def _utf8_length(char: str) -> int:
    code = ord(char)
    return 1 if code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4


def build_segmenter(name: SegmenterName) -> Segmenter:
    """The segmenter a manifest names. Raises BrokenModel when it is not installed."""
    if name == "mecab-jumandic":
        return MecabSegmenter()
    if name == "jumanpp":
        return JumanppSegmenter()
    return NoSegmenter()


def _segments(text: str) -> list[tuple[int, int]]:
    """Cut a text into stretches short enough for the segmenter: at line ends, else at sentence ends, else anywhere."""
    segments: list[tuple[int, int]] = []
    start = 0
    last_end = 0  # the last good place to cut after `start`
    for match in _SEGMENT_END.finditer(text):
        while match.end() - start > MAX_SEGMENT_CHARACTERS:
            cut = last_end if last_end > start else start + MAX_SEGMENT_CHARACTERS
            segments.append((start, cut))
            start = cut
        last_end = match.end()
        if match.group() == "\n":
            segments.append((start, match.end()))
            start = match.end()
    while len(text) - start > MAX_SEGMENT_CHARACTERS:
        cut = last_end if start < last_end <= start + MAX_SEGMENT_CHARACTERS else start + MAX_SEGMENT_CHARACTERS
        segments.append((start, cut))
        start = cut
    if start < len(text):
        segments.append((start, len(text)))
    return segments


class Tokenizer:
    """Normaliser, segmenter and SentencePiece unigram pieces of one model.

    Args:
        pieces: the Rust tokeniser; its own post-processor is not used, special tokens are the caller's.
        normaliser, segmenter: as the manifest names them.

    Raises:
        BrokenModel: a special token the service needs ([CLS], [SEP]) is not in the vocabulary.
    """

    def __init__(
        self, pieces: tokenizers.Tokenizer, *, normaliser: NormaliserName, segmenter: SegmenterName
    ) -> None:
        self._pieces = pieces
        # What a user types is text: "[SEP]" in a document must never become the separator.
        self._pieces.encode_special_tokens = True
        self._pieces.no_truncation()
        self._pieces.no_padding()
        self._normaliser: NormaliserName = normaliser
        self._segmenter = build_segmenter(segmenter)
        self.cls_id = self._special("[CLS]", "<s>")
        self.sep_id = self._special("[SEP]", "</s>")
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
        return [normalised[start:end] for start, end in self._cut(normalised)]

    def _cut(self, normalised: str) -> list[tuple[int, int]]:
        return [
            (start + begin, start + end)
            for start, stop in _segments(normalised)
            for begin, end in self._segmenter.cut(normalised[start:stop])
        ]

    def encode(self, text: str) -> Tokens:
        """Tokenise one text.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        normalised = normalise(text, self._normaliser)
        words = self._cut(normalised.text)
        if not words:
            empty = np.zeros(0, dtype=np.int32)
            return Tokens(empty, empty, empty, np.zeros(0, dtype=np.bool_))
        joined = " ".join([normalised.text[start:end] for start, end in words])
        encoding = self._pieces.encode(joined, add_special_tokens=False)
        return self._align(normalised, words, joined, encoding.ids, encoding.offsets)

    @staticmethod
    def _align(
        normalised: Normalised,
        words: Sequence[tuple[int, int]],
        joined: str,
        ids: Sequence[int],
        offsets: Sequence[tuple[int, int]],
    ) -> Tokens:
        """Offsets in the joined words -> offsets in the normalised text -> offsets in the text as sent."""
        bounds = np.array(words, dtype=np.int64)  # (words, 2)
        lengths = bounds[:, 1] - bounds[:, 0]
        joined_starts = np.concatenate([[0], np.cumsum(lengths + 1)[:-1]])  # (words,)
        # For every character of `joined`: its place in the normalised text; a space takes the place of the next word.
        word_of = np.repeat(np.arange(len(words)), lengths + 1)[:-1]  # (len(joined),)
        place = bounds[word_of, 0] + np.arange(len(joined)) - joined_starts[word_of]
        is_space = np.arange(len(joined)) - joined_starts[word_of] == lengths[word_of]
        spans = np.array(offsets, dtype=np.int64).reshape(-1, 2)
        # A piece such as "▁東" begins on the space before its word: move on to the word.
        begins = np.minimum(spans[:, 0], len(joined) - 1)
        leading_space = is_space[begins]
        word_starts = leading_space | np.isin(begins, joined_starts)
        begins = np.where(leading_space, np.minimum(begins + 1, len(joined) - 1), begins)
        lasts = np.maximum(spans[:, 1] - 1, 0)
        empty = lasts < begins  # a lone "▁"
        starts = normalised.starts[place[begins]]
        ends = np.where(empty, starts, normalised.ends[place[np.maximum(lasts, begins)]])
        return Tokens(np.array(ids, dtype=np.int32), starts, ends.astype(np.int32), word_starts)
