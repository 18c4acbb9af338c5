import dataclasses
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, processors

from app.errors import BrokenModel
from app.text.normalizer import clean
from app.text.structure import structure_of
from app.text.tokenizer import Tokenizer
from app.types import NormaliserName, SegmenterName
from tests.app.text.piece_kinds import (
    KINDS,
    basic,
    bpe_with_bytes,
    byte_level,
    characters,
    handmade,
    multilingual,
    unigram_with_bytes,
    without_words,
    word_pieces,
)
from tests.hostile import HOSTILE_TEXTS

NORMALISERS: tuple[NormaliserName, ...] = ("none", "nfkc", "zenkaku")
hostile = pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# Letters, marks and invisible characters that change one another.
joining_text = st.text(
    alphabet="かハa\u1112가 \n\x00ｶﾞﾟ゛\u3099\u309a\u0301\u0316\u1161\u11ab\u200b\ufe0f\U000e0100㍻ﷺ①…葛𠮷"
)


@pytest.fixture(scope="module")
def trained(tiny_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")


def check_tokens(tokenizer: Tokenizer, text: str, dropped: str = "") -> None:
    """`dropped`: categories of characters that the pieces' own normalizer leaves out."""
    tokens = tokenizer.encode(text)
    count = len(tokens)
    for field in dataclasses.fields(tokens):
        assert len(getattr(tokens, field.name)) == count
    assert tokens.ids.dtype == tokens.starts.dtype == tokens.ends.dtype == np.int32
    assert tokens.word_starts.dtype == np.bool_
    if not count:
        return
    assert tokens.word_starts[0]
    assert tokens.starts[0] >= 0
    assert (tokens.starts <= tokens.ends).all()
    assert (tokens.ends <= len(text)).all()
    assert (np.diff(tokens.starts) >= 0).all()
    assert not np.isin(tokens.ids, [tokenizer.cls_id, tokenizer.sep_id]).any()
    # Nothing visible is left out but what is not read.
    covered = np.zeros(len(text), dtype=np.bool_)
    for block in structure_of(text).blocks:
        for start, end in block.omitted:
            covered[start:end] = True
    for start, end in zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True):
        covered[start:end] = True
    left = "".join(char for char, seen in zip(text, covered.tolist(), strict=True) if not seen)
    seen_by_readers = [char for char in "".join(map(clean, left)) if not char.isspace()]
    assert not [char for char in seen_by_readers if unicodedata.category(char)[0] not in dropped]


@hostile
@pytest.mark.parametrize("segmenter", ["mecab-jumandic", "none"])
@pytest.mark.parametrize("name", NORMALISERS)
def test_hostile_texts_become_tokens(
    tiny_tokenizer_file: Path, text: str, name: NormaliserName, segmenter: SegmenterName
) -> None:
    check_tokens(Tokenizer.load(tiny_tokenizer_file, normaliser=name, segmenter=segmenter), text)


@pytest.fixture(scope="module", params=KINDS.values(), ids=list(KINDS))
def any_kind(request: pytest.FixtureRequest) -> Tokenizer:
    tokenizer: Tokenizer = request.param()
    return tokenizer


@hostile
def test_hostile_texts_become_tokens_of_every_kind(any_kind: Tokenizer, text: str) -> None:
    check_tokens(any_kind, text)


@given(any_text | joining_text)
def test_any_text_becomes_tokens_of_every_kind(any_kind: Tokenizer, text: str) -> None:
    check_tokens(any_kind, text)


@given(any_text | joining_text | st.sampled_from(list(HOSTILE_TEXTS.values())))
def test_pieces_that_leave_characters_out_keep_the_places_of_the_others(text: str) -> None:
    check_tokens(without_words(basic()), text, dropped="MC")


def surfaces(tokenizer: Tokenizer, text: str) -> list[tuple[str, str]]:
    """Each token, and the text that it covers."""
    tokens = tokenizer.encode(text)
    spans = zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)
    return [
        (tokenizer.piece(index), text[start:end])
        for index, (start, end) in zip(tokens.ids.tolist(), spans, strict=True)
    ]


def test_pieces_of_words_cover_their_part_of_the_word() -> None:
    assert surfaces(word_pieces(), "東京都の\u200b人口は ㍻１３５０万㌔") == [
        ("東京", "東京"),
        ("[UNK]", "都"),
        ("の", "の"),
        ("人口", "人口"),
        ("は", "は"),
        ("平成", "㍻"),
        ("13", "１３"),
        ("##50", "５０"),
        ("[UNK]", "万"),
        ("[UNK]", "㌔"),
    ]


def test_a_character_made_of_several_covers_them_all() -> None:
    tokenizer = without_words(multilingual(), mark=True)

    assert surfaces(tokenizer, "東京 か\u3099は㍻か\u3099\u0301")[:8] == [
        ("▁東京", "東京"),
        ("▁", ""),
        ("が", "か\u3099"),
        ("は", "は"),
        ("平成", "㍻"),
        ("が", "か\u3099"),
        ("<0xCC>", "\u0301"),
        ("<0x81>", "\u0301"),
    ]


@pytest.mark.parametrize("mark", [False, True])
@pytest.mark.parametrize("pieces", [unigram_with_bytes, bpe_with_bytes])
def test_the_bytes_of_a_character_cover_it(pieces: Callable[[], tokenizers.Tokenizer], mark: bool) -> None:
    text = "東京は𠮷é。\n㍻"

    found = surfaces(without_words(pieces(), mark=mark), text)

    def of(char: str) -> list[tuple[str, str]]:
        return [(f"<0x{byte:02X}>", "" if char.isspace() else char) for byte in char.encode()]

    first = "▁東京" if mark else "東京"
    assert found == [(first, "東京"), ("は", "は"), *of("𠮷"), *of("é"), ("。", "。"), *of("\n"), *of("㍻")]


def test_a_part_of_a_character_covers_all_of_it() -> None:
    found = surfaces(without_words(byte_level()), "𠮷は é")

    assert [covered for _, covered in found if covered == "𠮷"] == ["𠮷"] * 4
    assert [covered for _, covered in found if covered == "é"] == ["é"] * 2


def test_a_mark_before_the_first_word_covers_nothing() -> None:
    assert surfaces(without_words(unigram_with_bytes(), mark=True), "。 は")[:4] == [
        ("▁", ""),
        ("。", "。"),
        ("▁", ""),
        ("は", "は"),
    ]


def test_white_space_is_left_to_the_pieces_without_a_segmenter() -> None:
    tokenizer = without_words(unigram_with_bytes())
    text = " 東京  a\n "

    tokens = tokenizer.encode(text)

    pieces = [tokenizer.piece(number) for number in tokens.ids.tolist()]
    assert pieces == [" ", "東京", " ", " ", "a", "<0x0A>", " "]
    assert list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)) == [
        (1, 1),
        (1, 3),
        (5, 5),
        (5, 5),
        (5, 6),
        (6, 6),
        (6, 6),
    ]
    assert tokens.word_starts.tolist() == [True, False, True, False, False, False, False]


@pytest.mark.parametrize("text", ["", " ", "\n\u3000\u2028"])
def test_white_space_alone_is_no_token(text: str) -> None:
    assert len(without_words(unigram_with_bytes(), mark=True).encode(text)) == 0


@given(st.text(alphabet="東京は平成a。𠮷é \n\u3099ｶ㍻"))
def test_what_a_token_covers_is_what_it_says(text: str) -> None:
    """For pieces without a normalizer, byte by byte."""
    for pieces in (unigram_with_bytes(), bpe_with_bytes()):
        for piece, covered in surfaces(without_words(pieces), text):
            byte = bytes([int(piece[3:5], 16)]) if piece.startswith("<0x") else piece.encode()
            assert byte.isspace() or byte in covered.encode()
            assert len(covered) <= 1 or covered == piece


def test_the_unknown_token_is_the_models_own() -> None:
    """No vocabulary has to call it [UNK]."""
    vocabulary = [("<what>", 0.0), ("<B>", 0.0), ("<E>", 0.0), ("東京", -1.0)]
    pieces = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=0))
    pieces.post_processor = processors.TemplateProcessing(
        single="<B> $A <E>", pair="<B> $A <E> $B <E>", special_tokens=[("<B>", 1), ("<E>", 2)]
    )

    assert surfaces(Tokenizer(pieces, normaliser="none", segmenter="none"), "<B>東京") == [
        ("<what>", "<B>"),
        ("東京", "東京"),
    ]


def test_characters_cover_themselves() -> None:
    assert surfaces(characters(), "東京 は\n㍻か\u3099人") == [
        ("東", "東"),
        ("京", "京"),
        ("は", "は"),
        ("平", "㍻"),
        ("成", "㍻"),
        ("が", "か\u3099"),
        ("[UNK]", "人"),
    ]


@given(any_text | joining_text)
def test_any_text_becomes_tokens(trained: Tokenizer, text: str) -> None:
    check_tokens(trained, text)


def test_a_wrapped_word_is_one_word_with_its_place_in_the_text_as_sent(trained: Tokenizer) -> None:
    lines = [
        "> 三月に東京都の庁舎で開かれた会議に出た委員は、都",
        "> 民に意見を聞くよう求めた。この件につき、事務局は",
        "> を改めて報告する。",
    ]
    text = "\n".join(lines)
    tokens = trained.encode(text)

    read = "".join(line[2:] for line in lines)
    assert tokens.ids.tolist() == trained.encode(read).ids.tolist()
    places = [place for place in range(len(text)) if text[place] not in "> \n"]
    assert [text[place] for place in places] == list(read)
    alone = trained.encode(read)
    assert tokens.starts.tolist() == [places[start] for start in alone.starts]
    assert tokens.ends.tolist() == [places[end - 1] + 1 for end in alone.ends]


def test_ruby_and_markup_are_no_tokens(trained: Tokenizer) -> None:
    text = "吾輩《わがはい》は｜東京の猫《ねこ》である［＃「猫」に傍点］。"

    assert trained.encode(text).ids.tolist() == trained.encode("吾輩は東京の猫である。").ids.tolist()


def test_tokens_with_word_marker() -> None:
    tokens = handmade().encode("東京は ㍻。")

    # ▁東京 ▁は ▁ 平成 ▁ [UNK]; a lone marker is empty and stands where its word begins
    assert tokens.ids.tolist() == [6, 13, 5, 9, 5, 1]
    assert list(zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True)) == [
        (0, 2),
        (2, 3),
        (4, 4),
        (4, 5),
        (5, 5),
        (5, 6),
    ]
    assert tokens.word_starts.tolist() == [True, True, True, False, True, False]


def test_tokens_without_word_marker() -> None:
    tokens = handmade(marker=False).encode("東京は か\u3099")

    assert tokens.ids.tolist() == [7, 12, 14]
    assert tokens.starts.tolist() == [0, 2, 4]
    assert tokens.ends.tolist() == [2, 3, 6]
    assert tokens.word_starts.tolist() == [True, True, True]


@pytest.mark.parametrize("segmenter", ["mecab-jumandic", "none"])
@pytest.mark.parametrize("marker", [True, False])
def test_special_tokens_in_a_text_are_text(segmenter: SegmenterName, marker: bool) -> None:
    tokenizer = handmade(segmenter=segmenter, marker=marker)

    tokens = tokenizer.encode("[CLS]東京[SEP] [SEP] [PAD][MASK]")

    assert not set(tokens.ids.tolist()) & {0, 2, 3, 4}


def test_slice() -> None:
    tokens = handmade(marker=False).encode("東京は東京が").slice(1, 3)

    assert len(tokens) == 2
    assert tokens.starts.tolist() == [2, 3]


def test_full_width_spaces_are_not_words(tiny_tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.load(tiny_tokenizer_file, normaliser="zenkaku", segmenter="mecab-jumandic")

    assert tokenizer.words("東京\u3000は a\u2028b") == ["東京", "は", "ａ", "ｂ"]


@pytest.mark.timeout(60)  # a fraction of a second; quadratic time would be minutes
@pytest.mark.parametrize("unit", ["あ", "a", "東京は首都である。", "か\u3099"])
def test_long_texts_do_not_hang(trained: Tokenizer, unit: str) -> None:
    text = unit * (50_000 // len(unit))

    tokens = trained.encode(text)

    assert (tokens.starts[0], tokens.ends[-1]) == (0, len(text))


class WatchedPieces:
    """Pieces that note how often another thread ran while they cut a text."""

    def __init__(self, pieces: tokenizers.Tokenizer) -> None:
        self.__dict__.update(pieces=pieces, turns=0, turns_while_cutting=0)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.pieces, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.pieces, name)
        if name not in ("encode", "encode_batch"):
            return found

        def watched(*arguments: Any, **options: Any) -> Any:
            before = self.turns
            encoded = found(*arguments, **options)
            self.__dict__["turns_while_cutting"] = self.turns - before
            return encoded

        return watched

    def take_turns(self, done: threading.Event) -> None:
        while not done.wait(0.001):
            self.__dict__["turns"] += 1


def test_other_threads_run_while_a_long_text_is_cut_into_pieces(tiny_tokenizer_file: Path) -> None:
    watched: Any = WatchedPieces(tokenizers.Tokenizer.from_file(str(tiny_tokenizer_file)))
    tokenizer = Tokenizer(watched, normaliser="none", segmenter="none")
    done = threading.Event()
    other = threading.Thread(target=watched.take_turns, args=(done,))
    other.start()

    tokenizer.encode("東京は首都である。 " * 50_000)

    done.set()
    other.join()
    assert watched.turns_while_cutting > 3


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[UNK]"])
def test_a_vocabulary_without_special_tokens_is_refused(missing: str) -> None:
    vocabulary = {name: index for index, name in enumerate(["[CLS]", "[SEP]", "[UNK]"]) if name != missing}
    pieces = tokenizers.Tokenizer(models.WordLevel(vocabulary))

    with pytest.raises(BrokenModel, match=missing.strip("[]")):
        Tokenizer(pieces, normaliser="nfkc", segmenter="none")
