import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from app.text.tokenizer import Tokenizer
from bench.tokenizer_parity import compare


@pytest.fixture
def ours() -> Tokenizer:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "東京": 3, "##都": 4, "a": 5}
    pieces = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return Tokenizer(pieces, normaliser="nfkc", segmenter="none")


def test_equal_ids_and_exact_places_are_counted(ours: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    counts = compare("kind", ours, lambda text: {"東京都": [3, 4], "ａ 京": [5, 0]}[text], ["東京都", "ａ 京"])

    assert counts == {"sentences": 2, "same": 2, "tokens": 4, "exact": 4, "unknown": 1}
    assert capsys.readouterr().out == ""


def test_a_difference_is_printed(ours: Tokenizer, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("kind", ours, lambda _: [5], ["東京"])["same"] == 0
    assert capsys.readouterr().out == "kind: 東京\n  ours   ['東京']\n  theirs ['a']\n"
