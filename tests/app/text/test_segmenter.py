import stat
import sys
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BrokenModel
from app.text.normalizer import normalise
from app.text.segmenter import (
    MAX_JUMANPP_CHARACTERS,
    MAX_SEGMENT_CHARACTERS,
    JumanppSegmenter,
    MecabDictionary,
    MecabSegmenter,
    cut_segments,
    cut_words,
)
from app.types import NormaliserName
from tests.hostile import HOSTILE_TEXTS

NORMALISERS: tuple[NormaliserName, ...] = ("none", "nfkc", "zenkaku")
hostile = pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# Letters, marks and invisible characters that change one another.
joining_text = st.text(
    alphabet="かハa\u1112가 \n\x00ｶﾞﾟ゛\u3099\u309a\u0301\u0316\u1161\u11ab\u200b\ufe0f\U000e0100㍻ﷺ①…葛𠮷"
)


@pytest.fixture(scope="module")
def mecab() -> MecabSegmenter:
    return MecabSegmenter()


@pytest.fixture(scope="module", params=get_args(MecabDictionary))
def any_mecab(request: pytest.FixtureRequest) -> MecabSegmenter:
    return MecabSegmenter(request.param)


def words(segmenter: MecabSegmenter | JumanppSegmenter, text: str) -> list[str]:
    return [text[start:end] for start, end in segmenter.cut(text)]


@given(st.text(alphabet="あ漢。！」\n", max_size=200), st.integers(1, 20))
def test_segments_cover_the_text(text: str, limit: int) -> None:
    segments = cut_segments(text, limit)

    assert (
        [start for start, _ in segments] + [len(text)] == [0] + [end for _, end in segments] if text else not segments
    )
    assert all(0 < end - start <= limit for start, end in segments)
    assert all("\n" not in text[start : end - 1] for start, end in segments)


@hostile
def test_segments_cover_hostile_texts(text: str) -> None:
    segments = cut_segments(text)

    assert "".join(text[start:end] for start, end in segments) == text
    assert all(0 < end - start <= MAX_SEGMENT_CHARACTERS for start, end in segments)


def test_long_lines_are_cut_at_the_end_of_a_sentence() -> None:
    text = "あ" * 1_500 + "。" + "い" * 1_500 + "。」" + "う" * 5_000

    assert [text[end - 1] for _, end in cut_segments(text)] == ["。", "」", "う", "う", "う"]


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
def test_mecab_loses_no_character_of_any_text(any_mecab: MecabSegmenter, text: str) -> None:
    for name in NORMALISERS[1:]:
        normal = normalise(text, name).text
        check_words(normal, [(a + x, a + y) for a, b in cut_segments(normal) for x, y in any_mecab.cut(normal[a:b])])


@hostile
@pytest.mark.parametrize("name", NORMALISERS)
def test_mecab_loses_no_character_of_hostile_texts(any_mecab: MecabSegmenter, text: str, name: NormaliserName) -> None:
    check_words(normalise(text, name).text, cut_words(normalise(text, name).text, any_mecab))


@pytest.mark.parametrize(
    ("dictionary", "expected"),
    [
        ("jumandic", ["関西", "国際", "空港", "である"]),
        ("unidic-lite", ["関西", "国際", "空港", "で", "ある"]),
        ("ipadic", ["関西国際空港", "で", "ある"]),
    ],
)
def test_dictionaries_cut_different_words(dictionary: MecabDictionary, expected: list[str]) -> None:
    assert words(MecabSegmenter(dictionary), "関西国際空港である") == expected


@pytest.mark.parametrize("dictionary", ["unidic-lite", "ipadic"])
def test_a_missing_dictionary_is_named(dictionary: MecabDictionary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, dictionary.replace("-", "_"), None)

    with pytest.raises(BrokenModel, match=rf"dictionary {dictionary}.*nagayomi\[{dictionary}\]"):
        MecabSegmenter(dictionary)


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
