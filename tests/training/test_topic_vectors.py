import json
import sys
from pathlib import Path

import numpy as np
import pytest

from app.text.tokenizer import Tokenizer
from tests.training.conftest import write_jsonl
from training import topic_vectors
from training.topic_vectors import LONGEST, SHARE, class_weights, joined, mean_of_pieces


def test_shares_of_pieces() -> None:
    texts = [np.array([1, 2, 2, 2]), np.array([0])]
    assert mean_of_pieces(texts, vocabulary=4).toarray().tolist() == [[0, 0.25, 0.75, 0], [1, 0, 0, 0]]


def test_a_piece_speaks_for_the_class_it_stands_in_and_one_that_stands_everywhere_for_none() -> None:
    texts = [np.array([0, kind]) for kind in (1, 2, 3) for _ in range(4)]
    weights = class_weights(mean_of_pieces(texts, 5), [label for label in "cab" for _ in range(4)])
    assert weights[1:4].argmax(axis=1).tolist() == [2, 0, 1]  # columns in order of the names
    assert np.abs(weights[4]).max() == 0  # never seen
    assert np.abs(weights[0]).max() < np.abs(weights[1:4]).max() / 10


def test_class_weights_and_word_vectors_share_the_length() -> None:
    of_classes = np.array([[0, 0], [3, 4], [0, 500]], dtype=np.float32)
    words = np.array([[2, 0], [0, 7], [0, 0]], dtype=np.float32)
    vectors = joined(of_classes, words, frequency=np.array([0, 1, 0], dtype=np.float32))
    assert vectors == pytest.approx(
        np.array([[0, 0, 1, 0], [0.6 * SHARE, 0.8 * SHARE, 0, 1], [0, LONGEST * SHARE, 0, 0]])
    )


def test_from_a_configuration_to_a_file(
    tmp_path: Path,
    character_tokenizer_file: Path,
    character_tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts = [("駅は駅", "鉄道"), ("寺は寺", "寺社"), ("川は川", "自然")] * 3
    write_jsonl(tmp_path / "texts.jsonl", [{"text": text, "label": label} for text, label in texts])
    config = tmp_path / "config.toml"
    config.write_text(
        f'task = "classify"\nreader = "labelled"\ndata = "texts.jsonl"\ntokenizer = "{character_tokenizer_file}"\n'
        'normaliser = "none"\nsegmenter = "none"\nheld_out_percent = 0\n',
        encoding="utf-8",
    )
    np.save(tmp_path / "words.npy", np.ones((character_tokenizer.vocab_size, 2), dtype=np.float32))
    options = ["--config", config, "--data", tmp_path, "--word-vectors", tmp_path / "words.npy"]
    monkeypatch.setattr(sys, "argv", ["topic_vectors", *map(str, options), "--out", str(tmp_path / "runs" / "v.npy")])
    assert topic_vectors.main() == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (report["texts"], report["classes"]) == (9, 3)
    vectors = np.load(tmp_path / "runs" / "v.npy")
    ids = [int(character_tokenizer.encode(character).ids[0]) for character in "駅寺川"]
    labels = sorted({label for _, label in texts})
    assert [labels[column] for column in vectors[ids, :3].argmax(axis=1)] == ["鉄道", "寺社", "自然"]
