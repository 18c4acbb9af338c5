"""Texts on disk as one stream of tokens."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from app.text.tokenizer import Tokenizer
from tests.training.conftest import SPECIAL_TOKENS, write_jsonl
from training.config import PretrainConfig
from training.corpus import read_texts, text_files
from training.data import DataError
from training.pretrain import token_stream
from training.pretrain.token_stream import open_stream

SEP = SPECIAL_TOKENS.index("[SEP]")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_jsonl(folder / "books" / "one.jsonl", [{"text": "駅は1"}, {"text": " "}, {"text": "寺"}])
    (folder / "books" / "two.txt").write_text("城\n川は2\n\n\n山", encoding="utf-8")
    (folder / "books" / "notes.md").write_text("村", encoding="utf-8")
    return folder


def _config(tokenizer_file: Path, **texts: float) -> PretrainConfig:
    return PretrainConfig(tokenizer=str(tokenizer_file), texts=texts or {"books": 1.0})


def test_texts_of_a_folder(data: Path) -> None:
    files = text_files(data / "books")
    assert [file.name for file in files] == ["one.jsonl", "two.txt"]
    assert [list(read_texts(file)) for file in files] == [["駅は1", " ", "寺"], ["城\n川は2\n", "山"]]


def test_compressed_texts_and_other_files(tmp_path: Path) -> None:
    file = tmp_path / "a.txt.gz"
    file.write_bytes(gzip.compress("駅\n\n寺\n".encode()))
    assert list(read_texts(file)) == ["駅\n", "寺\n"]
    (tmp_path / "a.md").write_text("村", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.md is not a text file; names of text files end in \.txt"):
        text_files(tmp_path / "a.md")
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        text_files(tmp_path / "nowhere")


@pytest.mark.parametrize("record", ["駅", {"body": "駅"}, {"text": 1}])
def test_a_record_without_a_text_is_named(record: object, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "寺"}, record])
    with pytest.raises(DataError, match=r'a\.jsonl, line 2: every line is an object with a text under "text"'):
        list(read_texts(file))


def test_the_stream_is_every_text_and_a_separator(
    data: Path, tmp_path: Path, character_tokenizer: Tokenizer, character_tokenizer_file: Path
) -> None:
    stream = open_stream(_config(character_tokenizer_file), data, tmp_path / "cache", character_tokenizer)
    pieces = [character_tokenizer.encode(text).ids.tolist() for text in ("駅は1", "寺", "城\n川は2", "山")]
    assert stream.ids.tolist() == [token for ids in pieces for token in (*ids, SEP)]
    assert stream.ids.dtype == np.uint16
    # The words are what stands between white space here: the pieces of 駅は1 are one word.
    assert stream.word_starts.astype(int).tolist() == [1, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1]


def test_it_is_made_once_and_again_when_a_file_changes(
    data: Path,
    tmp_path: Path,
    character_tokenizer: Tokenizer,
    character_tokenizer_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, cache = _config(character_tokenizer_file), tmp_path / "cache"
    first = open_stream(config, data, cache, character_tokenizer)
    with monkeypatch.context() as patch:
        patch.setattr(token_stream, "_write", None)
        assert open_stream(config, data, cache, character_tokenizer).digest == first.digest
    os.utime(data / "books" / "two.txt", (1, 1))
    assert open_stream(config, data, cache, character_tokenizer).digest == first.digest
    (data / "books" / "two.txt").write_text("森", encoding="utf-8")
    assert open_stream(config, data, cache, character_tokenizer).digest != first.digest
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 3


def test_a_kill_while_it_is_made_leaves_nothing_that_counts(
    data: Path,
    tmp_path: Path,
    character_tokenizer: Tokenizer,
    character_tokenizer_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config, cache = _config(character_tokenizer_file), tmp_path / "cache"

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            open_stream(config, data, cache, character_tokenizer)
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [".partial"]
    assert len(open_stream(config, data, cache, character_tokenizer)) == 13
    assert [path.suffix for path in cache.iterdir() if path.is_dir()] == [""]


def test_a_share_of_the_texts_is_the_same_share_every_time(
    tmp_path: Path, character_tokenizer: Tokenizer, character_tokenizer_file: Path
) -> None:
    write_jsonl(tmp_path / "many.jsonl", [{"text": f"駅{number}"} for number in range(1000)])
    quarter, half, other = (
        open_stream(
            _config(character_tokenizer_file, **{"many.jsonl": share}), tmp_path, tmp_path / cache, character_tokenizer
        )
        for share, cache in ((0.25, "a"), (0.5, "b"), (0.25, "c"))
    )
    counts = [int((stream.ids == SEP).sum()) for stream in (quarter, half)]
    assert counts == pytest.approx([250, 500], abs=40)
    assert quarter.digest == other.digest


def test_texts_without_a_word_and_broken_texts_are_refused(
    tmp_path: Path, character_tokenizer: Tokenizer, character_tokenizer_file: Path
) -> None:
    config = _config(character_tokenizer_file, **{"a.jsonl": 1.0})
    write_jsonl(tmp_path / "a.jsonl", [{"text": "　\n"}])
    with pytest.raises(DataError, match="do not contain a single word"):
        open_stream(config, tmp_path, tmp_path / "cache", character_tokenizer)
    (tmp_path / "a.jsonl").write_text('{"text": "駅"}\n{"text": "\\ud800"}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.jsonl, line 2: a text holds a lone surrogate"):
        open_stream(config, tmp_path, tmp_path / "cache", character_tokenizer)
