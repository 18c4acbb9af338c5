import argparse
import json
from collections import Counter
from pathlib import Path

import pytest
import tokenizers

from app.text.tokenizer import Tokenizer
from training import vocabulary
from training.vocabulary import SPECIAL_TOKENS, train_unigram, word_counts

TEXT = "京都は千年の都であり、京都には寺が多い。東京は日本の首都である。"


def test_words_are_counted_as_they_are_served() -> None:
    counts = word_counts(["京都は京都。", "ＡＢＣ AB\u200bC"], "nfkc")
    assert counts["京都"] == 2
    assert counts["ABC"] == 2
    assert not any(word.isspace() or not word for word in counts)


def test_pieces_have_no_mark_and_frequent_words_are_whole() -> None:
    pieces = train_unigram(word_counts([TEXT] * 30, "nfkc"), vocab_size=80, character_coverage=1.0)
    vocab = pieces.get_vocab()
    assert [pieces.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert not any("▁" in piece for piece in vocab)
    assert "京都" in vocab
    assert len(vocab) <= 80
    assert pieces.encode("京都 は").tokens == ["[CLS]", "京都", "は", "[SEP]"]


def test_training_gives_the_same_file_twice() -> None:
    counts = word_counts([TEXT] * 5, "nfkc")
    backwards = Counter(dict(reversed(list(counts.items()))))
    assert train_unigram(counts, 60).to_str() == train_unigram(backwards, 60).to_str()


def test_rare_characters_are_unknown() -> None:
    counts = Counter({"京都": 10_000, "鬱": 1})
    assert "鬱" not in train_unigram(counts, 20, character_coverage=0.999).get_vocab()
    assert "鬱" in train_unigram(counts, 20, character_coverage=1.0).get_vocab()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(vocabulary, "corpus_texts", lambda data: iter([TEXT] * 20))
    parser = argparse.ArgumentParser()
    vocabulary.add_arguments(parser)
    out = tmp_path / "tokenizer.json"
    arguments = ["--data", str(tmp_path), "--out", str(out), "--vocab-size", "70"]
    assert vocabulary.run(parser.parse_args(arguments)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pieces"] == tokenizers.Tokenizer.from_file(str(out)).get_vocab_size() <= 70
    tokens = Tokenizer.load(out, normaliser="nfkc", segmenter="mecab-jumandic").encode(TEXT)
    assert TEXT[tokens.starts[0] : tokens.ends[0]] == "京都"
