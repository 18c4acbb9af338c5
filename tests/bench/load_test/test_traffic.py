"""What is sent."""

import json
import random
from itertools import islice
from pathlib import Path

import pytest

from bench.load_test.traffic import (
    LONGEST,
    SHORTEST,
    GivenTexts,
    LogNormalTexts,
    Request,
    parse_weights,
    request,
    requests,
)
from bench.workload import QUESTION, SAMPLE


def test_pieces_have_the_drawn_length_and_are_the_texts_own() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    texts = LogNormalTexts(text, median=1000, sigma=2.0)
    drawn = [texts.draw(random.Random(seed)) for seed in range(300)]
    lengths = [len(piece) for piece in drawn]
    assert (min(lengths), max(lengths)) == (SHORTEST, LONGEST)
    endless = (text.strip() + "\n") * 20
    assert all(piece in endless for piece in drawn)
    assert len({piece[:10] for piece in drawn}) > 200, "they begin anywhere"


def test_no_piece_is_blank() -> None:
    texts = LogNormalTexts("は" + " " * 500 + "い", median=64, sigma=0.1)
    assert not any(texts.draw(random.Random(seed)).isspace() for seed in range(50))


def test_documents_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text('{"text": "東京", "label": 1}\n\n{"text": "京都"}\n', encoding="utf-8")
    texts = GivenTexts.read(file)
    assert {texts.draw(random.Random(seed)) for seed in range(20)} == {"東京", "京都"}


@pytest.mark.parametrize("line", ["東京", '{"body": "東京"}', '{"text": 3}', '{"text": " "}', "[]", "null"])
def test_a_line_that_is_no_document(tmp_path: Path, line: str) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text('{"text": "東京"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r'documents.jsonl, line 2: expected {"text": "…"}'):
        GivenTexts.read(file)


def test_a_file_without_documents(tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no documents"):
        GivenTexts.read(file)


def test_bodies() -> None:
    body = json.dumps({"question": QUESTION, "context": "東京"}, ensure_ascii=False).encode()
    assert request("qa", "東京") == Request("/qa", 2, body)
    assert request("classify", "東京") == Request("/classify", 2, '{"text": "東京"}'.encode())


def test_the_mix_follows_the_weights_and_the_seed() -> None:
    texts = GivenTexts(["東京"])
    drawn = [sent.endpoint for sent in islice(requests(texts, {"qa": 3.0, "classify": 1.0}, seed=1), 4000)]
    assert drawn.count("/qa") == pytest.approx(3000, rel=0.05)
    assert drawn.count("/qa") + drawn.count("/classify") == 4000
    assert drawn == [sent.endpoint for sent in islice(requests(texts, {"qa": 3.0, "classify": 1.0}, seed=1), 4000)]


def test_weights() -> None:
    assert parse_weights("qa=2.5, classify") == {"qa": 2.5, "classify": 1.0}


@pytest.mark.parametrize("value", ["", "ask", "qa=0", "qa=-1", "qa=many", "qa,qa", "qa=inf", "qa=nan", "qa,,classify"])
def test_weights_that_are_none(value: str) -> None:
    with pytest.raises(ValueError, match="expected qa, summarize, classify"):
        parse_weights(value)
