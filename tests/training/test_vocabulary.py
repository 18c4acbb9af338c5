import argparse
import json
from collections import Counter
from pathlib import Path

import pytest
import tokenizers

from app.cli import main
from app.text.tokenizer import Tokenizer
from app.types import SegmenterName
from tests.training.conftest import write_jsonl
from training import vocabulary
from training.vocabulary import SPECIAL_TOKENS, train_unigram, word_counts

TEXT = "京都は千年の都であり、京都には寺が多い。東京は日本の首都である。"


def test_words_are_counted_as_they_are_served() -> None:
    counts = word_counts(["京都は京都。", "ＡＢＣ AB\u200bC"], "nfkc", "mecab-jumandic")
    assert counts["京都"] == 2
    assert counts["ABC"] == 2
    assert not any(word.isspace() or not word for word in counts)


def test_pieces_have_no_mark_and_frequent_words_are_whole() -> None:
    pieces = train_unigram(word_counts([TEXT] * 30, "nfkc", "mecab-jumandic"), vocab_size=80, character_coverage=1.0)
    vocab = pieces.get_vocab()
    assert [pieces.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2, 3, 4]
    assert not any("▁" in piece for piece in vocab)
    assert "京都" in vocab
    assert len(vocab) <= 80
    assert pieces.encode("京都 は").tokens == ["[CLS]", "京都", "は", "[SEP]"]


def test_training_gives_the_same_file_twice() -> None:
    counts = word_counts([TEXT] * 5, "nfkc", "mecab-jumandic")
    backwards = Counter(dict(reversed(list(counts.items()))))
    assert train_unigram(counts, 60).to_str() == train_unigram(backwards, 60).to_str()


def test_rare_characters_are_unknown() -> None:
    counts = Counter({"京都": 10_000, "鬱": 1})
    assert "鬱" not in train_unigram(counts, 20, character_coverage=0.999).get_vocab()
    assert "鬱" in train_unigram(counts, 20, character_coverage=1.0).get_vocab()


@pytest.mark.parametrize(("segmenter", "first"), [("mecab-jumandic", "京都"), ("none", "京都は千年の都であり")])
def test_words_are_those_of_the_named_segmenter(segmenter: SegmenterName, first: str) -> None:
    assert next(iter(word_counts(["京都は千年の都であり 古い"], "nfkc", segmenter))) == first


def test_text_is_normalised_as_asked() -> None:
    counts = [word_counts(["ＡＢ"], normaliser, "none") for normaliser in ("nfkc", "none")]
    assert counts == [Counter({"AB": 1}), Counter({"ＡＢ": 1})]


@pytest.mark.parametrize(
    ("out", "sentence"),
    [
        ("folder", "--out {out} is a folder; name the file to write, such as tokenizer.json in it."),
        ("file/new/tokenizer.json", "{out.parent}: Not a directory."),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_texts_are_read(
    out: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    wanted = tmp_path / out

    assert main(["vocabulary", "--data", str(tmp_path / "nowhere.txt"), "--out", str(wanted)]) == 2
    assert capsys.readouterr().err == f"nagayomi: {sentence.format(out=wanted)}\n"


def test_the_command_reads_files_and_folders_of_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text(f"{TEXT}\n\n" * 10, encoding="utf-8")
    write_jsonl(tmp_path / "folder" / "b.jsonl", [{"text": TEXT}] * 10)
    parser = argparse.ArgumentParser()
    vocabulary.add_arguments(parser)
    out = tmp_path / "new" / "tokenizer.json"
    paths = [str(tmp_path / "a.txt"), str(tmp_path / "folder")]
    assert vocabulary.run(parser.parse_args(["--data", *paths, "--out", str(out), "--vocab-size", "70"])) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["pieces"] == tokenizers.Tokenizer.from_file(str(out)).get_vocab_size() <= 70
    tokens = Tokenizer.load(out, normaliser="nfkc", segmenter="mecab-jumandic").encode(TEXT)
    assert TEXT[tokens.starts[0] : tokens.ends[0]] == "京都"
