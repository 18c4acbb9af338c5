import dataclasses
import stat
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from app.errors import BrokenModel, InvalidInput
from app.text.tokenizer import (
    MAX_JOINING_MARKS,
    MAX_JUMANPP_CHARACTERS,
    MAX_SEGMENT_CHARACTERS,
    JumanppSegmenter,
    MecabSegmenter,
    Tokenizer,
    _clean,
    _segments,
    normalise,
)
from app.types import NormaliserName, SegmenterName
from tests.hostile import HOSTILE_TEXTS, LONE_SURROGATES

NORMALISERS: tuple[NormaliserName, ...] = ("none", "nfkc", "zenkaku")
hostile = pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# Letters, marks and invisible characters that change one another.
joining_text = st.text(
    alphabet="かハa\u1112가 \n\x00ｶﾞﾟ゛\u3099\u309a\u0301\u0316\u1161\u11ab\u200b\ufe0f\U000e0100㍻ﷺ①…葛𠮷"
)


def handmade(*, marker: bool = True, segmenter: SegmenterName = "mecab-jumandic") -> Tokenizer:
    """A unigram tokenizer whose tokens can be worked out by hand, with or without SentencePiece's word marker."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    plain = [
        "▁",
        "▁東京",
        "東京",
        "京都",
        "平成",
        "平",
        "成",
        "は",
        "▁は",
        "が",
        "SEP",
        "CLS",
        "[",
        "]",
        "で",
        "っ",
        "うか",
    ]
    vocabulary = [(piece, 0.0) for piece in special] + [(piece, -1.0 - index / 10) for index, piece in enumerate(plain)]
    pieces = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=1))
    pieces.add_special_tokens(special)
    pieces.pre_tokenizer = (
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
        if marker
        else pre_tokenizers.WhitespaceSplit()
    )
    return Tokenizer(pieces, normaliser="nfkc", segmenter=segmenter)


@pytest.fixture(scope="module")
def trained(tiny_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")


@pytest.fixture(scope="module")
def mecab() -> MecabSegmenter:
    return MecabSegmenter()


def words(segmenter: MecabSegmenter | JumanppSegmenter, text: str) -> list[str]:
    return [text[start:end] for start, end in segmenter.cut(text)]


# Normalising


def check_alignment(text: str, name: NormaliserName) -> None:
    normalised = normalise(text, name)
    assert len(normalised.text) == len(normalised.starts) == len(normalised.ends)
    assert normalised.starts.dtype == normalised.ends.dtype == np.int32
    if len(normalised.text):
        assert normalised.starts[0] >= 0
        assert normalised.ends[-1] <= len(text)
    assert (normalised.starts < normalised.ends).all()
    assert (np.diff(normalised.starts) >= 0).all()
    assert (np.diff(normalised.ends) >= 0).all()


def cleaned(text: str) -> str:
    return "".join(map(_clean, text))


@given(any_text | joining_text)
def test_normalising_is_nfkc_of_the_cleaned_text(text: str) -> None:
    assert normalise(text, "nfkc").text == unicodedata.normalize("NFKC", cleaned(text))
    for name in NORMALISERS:
        check_alignment(text, name)


@given(any_text | joining_text)
def test_each_normalised_character_comes_from_its_span(text: str) -> None:
    normalised = normalise(text, "nfkc")
    spans = zip(normalised.starts.tolist(), normalised.ends.tolist(), strict=True)
    for char, (start, end) in zip(normalised.text, spans, strict=True):
        assert char in unicodedata.normalize("NFKC", cleaned(text[start:end]))


@hostile
@pytest.mark.parametrize("name", NORMALISERS)
def test_hostile_texts_keep_their_alignment(text: str, name: NormaliserName) -> None:
    check_alignment(text, name)


@pytest.mark.parametrize(
    ("text", "normal", "spans"),
    [
        ("東京", "東京", [(0, 1), (1, 2)]),
        ("か\u3099く", "がく", [(0, 2), (2, 3)]),
        ("ｶﾞｸ", "ガク", [(0, 2), (2, 3)]),
        ("㍻元", "平成元", [(0, 1), (0, 1), (1, 2)]),
        ("東\u200b京", "東京", [(0, 1), (2, 3)]),
        ("か\u200b\u3099く", "がく", [(0, 3), (3, 4)]),
        ("あ\u3099い", "あ\u3099い", [(0, 1), (1, 2), (2, 3)]),
        ("Ａ\x00", "A ", [(0, 1), (1, 2)]),
        ("\u1112\u1161\u11ab글", "한글", [(0, 3), (3, 4)]),
        ("葛\U000e0100城", "葛城", [(0, 1), (2, 3)]),
        ("𠮷𝐀", "𠮷A", [(0, 1), (1, 2)]),
    ],
)
def test_normalised_spans(text: str, normal: str, spans: list[tuple[int, int]]) -> None:
    normalised = normalise(text, "nfkc")

    assert normalised.text == normal
    assert list(zip(normalised.starts.tolist(), normalised.ends.tolist(), strict=True)) == spans


def test_zenkaku_makes_ascii_full_width() -> None:
    assert normalise("ｱ a-1\u3000（改行）\n", "zenkaku").text == "ア\u3000ａ－１\u3000（改行）\n"


def test_no_normaliser_keeps_the_text() -> None:
    assert normalise("ｱ\u200b\x00㍻", "none").text == "ｱ\u200b\x00㍻"


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_lone_surrogates_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"lone surrogate \(U\+D\w+\) at character \d"):
        normalise(text, "nfkc")


@pytest.mark.timeout(60)  # ordering all of them at once takes minutes
def test_many_marks_on_one_character_do_not_hang() -> None:
    text = "z" + "\u0301\u0316" * 100_000

    normalised = normalise(text, "nfkc")

    assert len(normalised.text) == len(text) - 1  # ź
    check_alignment(text, "nfkc")
    short = text[: MAX_JOINING_MARKS + 1]
    assert normalise(short, "nfkc").text == unicodedata.normalize("NFKC", short)


# Cutting into segments and words


@given(st.text(alphabet="あ漢。！」\n", max_size=200), st.integers(1, 20))
def test_segments_cover_the_text(text: str, limit: int) -> None:
    segments = _segments(text, limit)

    assert (
        [start for start, _ in segments] + [len(text)] == [0] + [end for _, end in segments] if text else not segments
    )
    assert all(0 < end - start <= limit for start, end in segments)
    assert all("\n" not in text[start : end - 1] for start, end in segments)


@hostile
def test_segments_cover_hostile_texts(text: str) -> None:
    segments = _segments(text)

    assert "".join(text[start:end] for start, end in segments) == text
    assert all(0 < end - start <= MAX_SEGMENT_CHARACTERS for start, end in segments)


def test_long_lines_are_cut_at_the_end_of_a_sentence() -> None:
    text = "あ" * 1_500 + "。" + "い" * 1_500 + "。」" + "う" * 5_000

    assert [text[end - 1] for _, end in _segments(text)] == ["。", "」", "う", "う", "う"]


def test_words(mecab: MecabSegmenter) -> None:
    assert words(mecab, "東京都は 日本の\n首都である。") == ["東京", "都", "は", "日本", "の", "首都", "である", "。"]
    assert words(mecab, "a b") == ["a", "b"]
    assert words(mecab, " \n") == []


@pytest.mark.parametrize("trap", ["でっうか", "丁稚羊羹(でっちようかん)"])
def test_a_cut_inside_a_character_keeps_the_other_words(mecab: MecabSegmenter, trap: str) -> None:
    before, after = "東京は日本の首都である。", "京都は千年の都であった。"

    assert words(mecab, before + trap + after)[: len(words(mecab, before))] == words(mecab, before)
    assert words(mecab, before + trap + after)[-len(words(mecab, after)) :] == words(mecab, after)
    assert "".join(words(mecab, trap)) == trap
    assert len(words(mecab, trap)) > 1


def check_words(text: str, spans: list[tuple[int, int]]) -> None:
    """Words are in order, not empty, and leave out white space only."""
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert not text[position:start].strip()
        position = end
    assert not text[position:].strip()


@given(any_text | joining_text)
def test_mecab_loses_no_character_of_any_text(mecab: MecabSegmenter, text: str) -> None:
    for name in NORMALISERS[1:]:
        normal = normalise(text, name).text
        check_words(normal, [(a + x, a + y) for a, b in _segments(normal) for x, y in mecab.cut(normal[a:b])])


# Tokens


def check_tokens(tokenizer: Tokenizer, text: str) -> None:
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
    # Nothing visible is left out.
    covered = np.zeros(len(text), dtype=np.bool_)
    for start, end in zip(tokens.starts.tolist(), tokens.ends.tolist(), strict=True):
        covered[start:end] = True
    left = "".join(char for char, seen in zip(text, covered.tolist(), strict=True) if not seen)
    assert not cleaned(left).strip()


@hostile
@pytest.mark.parametrize("segmenter", ["mecab-jumandic", "none"])
@pytest.mark.parametrize("name", NORMALISERS)
def test_hostile_texts_become_tokens(
    tiny_tokenizer_file: Path, text: str, name: NormaliserName, segmenter: SegmenterName
) -> None:
    check_tokens(Tokenizer.load(tiny_tokenizer_file, normaliser=name, segmenter=segmenter), text)


@given(any_text | joining_text)
def test_any_text_becomes_tokens(trained: Tokenizer, text: str) -> None:
    check_tokens(trained, text)


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


@pytest.mark.parametrize("missing", ["[CLS]", "[SEP]", "[UNK]"])
def test_a_vocabulary_without_special_tokens_is_refused(missing: str) -> None:
    vocabulary = {name: index for index, name in enumerate(["[CLS]", "[SEP]", "[UNK]"]) if name != missing}
    pieces = tokenizers.Tokenizer(models.WordLevel(vocabulary))

    with pytest.raises(BrokenModel, match=missing.strip("[]")):
        Tokenizer(pieces, normaliser="nfkc", segmenter="none")


# Juman++


def install_jumanpp(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for the binary, with its line protocol and its limit on input."""
    program = folder / "jumanpp"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfor line in sys.stdin:\n    line = line.rstrip('\\n')\n{script}"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


EVERY_TWO_CHARACTERS = """
    assert len(line.encode()) <= 4096
    for i in range(0, len(line), 2):
        word = line[i:i + 2]
        print(word, word, word, "名詞", 6, "普通名詞", 1, "*", 0, "*", 0)
    print("EOS", flush=True)
"""


def test_jumanpp_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_jumanpp(tmp_path, monkeypatch, EVERY_TWO_CHARACTERS)

    assert words(JumanppSegmenter(), "東京都は。\n\n首都\n") == ["東京", "都は", "。", "首都"]


def test_jumanpp_gets_no_more_than_it_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_jumanpp(tmp_path, monkeypatch, EVERY_TWO_CHARACTERS)
    text = "𠮷" * (2 * MAX_JUMANPP_CHARACTERS + 2)

    assert "".join(words(JumanppSegmenter(), text)) == text


def test_a_surface_that_jumanpp_rewrote_is_one_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewriting = EVERY_TWO_CHARACTERS.replace("line[i:i + 2]", "line[i:i + 2].replace('都', '街')")
    install_jumanpp(tmp_path, monkeypatch, rewriting)

    assert words(JumanppSegmenter(), "東京都は首都。\n次の") == ["東京", "都は首都。", "次の"]


def test_a_missing_jumanpp_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokenModel, match="jumanpp binary is not on the PATH"):
        JumanppSegmenter()
