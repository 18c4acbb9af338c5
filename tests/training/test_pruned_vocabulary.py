"""Vocabularies that keep the pieces of a corpus: fewer pieces, the same texts, and every refusal in words."""

import json
from pathlib import Path

import tokenizers

from app.text.tokenizer import Tokenizer
from tests.training.tiny_encoders import (
    SPECIAL,
    UNIGRAM,
    tiny_tokenizer,
)
from training.pruned_vocabulary import MINIMUM_COUNT, pruned, without_word_marks


def test_word_marks_are_removed_and_the_row_without_one_is_kept() -> None:
    vocabulary = [
        (piece, -float(n)) for n, piece in enumerate(["<s>", "▁東京", "東京", "▁都", "▁", "▁の", "の", "a▁b"])
    ]
    assert without_word_marks(vocabulary) == {
        "<s>": (0, 0.0),
        "東京": (2, -2.0),
        "都": (3, -3.0),
        "の": (6, -6.0),
    }


def _pruned(family: str, texts: list[str], segmenter: str = "none") -> tuple[tokenizers.Tokenizer, list[int]]:
    whole = json.loads(tiny_tokenizer(family).to_str())
    written, rows = pruned(whole, texts, segmenter=segmenter, normaliser="nfkc")  # type: ignore[arg-type]
    return tokenizers.Tokenizer.from_str(json.dumps(written)), rows


def test_pieces_that_the_corpus_uses_and_all_characters_are_kept() -> None:
    before = tiny_tokenizer("xlm-roberta")
    pieces, rows = _pruned("xlm-roberta", ["東京の都"] * MINIMUM_COUNT + ["京都の人"] * (MINIMUM_COUNT - 1))
    names = [before.id_to_token(row) for row in rows]
    # 東京 begins words here. 京都 and 都庁 are too rare, ab is in no text; の, 人 and the marked ones are characters.
    assert names == ["<s>", "<pad>", "</s>", "<unk>", "▁東京", "▁都", "▁", "の", "▁の", "▁a", "人"]
    assert [pieces.id_to_token(index) for index in range(len(rows))] == names
    assert pieces.encode("東京の人", add_special_tokens=False).tokens == ["▁東京", "の", "人"]
    # What is not there any more is unknown, not an error.
    assert "<unk>" in [pieces.id_to_token(index) for index in pieces.encode("都庁", add_special_tokens=False).ids]


def test_with_a_segmenter_pieces_never_cross_words_and_have_no_mark(tmp_path: Path) -> None:
    pieces, rows = _pruned("xlm-roberta", ["東京の都庁"] * MINIMUM_COUNT, "mecab-jumandic")
    before = tiny_tokenizer("xlm-roberta")
    names = [before.id_to_token(row).removeprefix("▁") for row in rows]
    assert "▁" not in "".join(pieces.get_vocab())
    assert [pieces.id_to_token(index) for index in range(len(rows))] == names
    assert before.id_to_token(rows[names.index("東京")]) == "東京", "the row without the mark"
    file = tmp_path / "tokenizer.json"
    pieces.save(str(file))
    tokens = Tokenizer.load(file, normaliser="nfkc", segmenter="mecab-jumandic").encode("東京の人")
    assert [names[index] for index in tokens.ids] == ["東京", "の", "人"]


def test_wordpiece_keeps_its_special_tokens_and_the_rows_stay_those_of_the_source() -> None:
    before = tiny_tokenizer("bert")
    pieces, rows = _pruned("bert", ["東京都 京"] * MINIMUM_COUNT)
    names = [before.id_to_token(row) for row in rows]
    # 東京 is used, 한 is no character of Japanese text, and 鬱 is one that the corpus does not have.
    assert names == [*SPECIAL["bert"], "東", "##京", "東京", "##都", "京", "##庁", "都", "鬱"]
    assert pieces.encode("東京都 京").tokens == before.encode("東京都 京").tokens
    assert pieces.encode("한").tokens == ["[UNK]"]


def test_a_tokenizer_that_truncates_is_counted_whole() -> None:
    whole = tiny_tokenizer("xlm-roberta")
    whole.enable_truncation(2)
    texts = ["人人人京都"] * MINIMUM_COUNT
    _written, rows = pruned(json.loads(whole.to_str()), texts, segmenter="none", normaliser="nfkc")
    assert "京都" in [whole.id_to_token(row) for row in rows]


def test_tokens_that_were_added_to_a_vocabulary_follow_it() -> None:
    whole = tiny_tokenizer("xlm-roberta")
    whole.add_special_tokens(["<mask>"])
    written, rows = pruned(json.loads(whole.to_str()), ["人"], segmenter="mecab-jumandic", normaliser="nfkc")
    pieces = tokenizers.Tokenizer.from_str(json.dumps(written))
    assert rows[-1] == whole.token_to_id("<mask>") == len(UNIGRAM) + 4
    assert pieces.token_to_id("<mask>") == len(rows) - 1
