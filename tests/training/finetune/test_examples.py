import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.text.tokenizer import Tokenizer
from tests.hostile import HOSTILE_TEXTS
from tests.training.conftest import squad, write_json, write_jsonl
from training.config import ConfigError, FinetuneConfig
from training.data import in_held_out_split
from training.finetune.examples import build_source, labelled_split, summary_split

LONG = "".join(f"{place}は{number}にある。" for number, place in enumerate("駅寺城川山町村島森橋"))
QUESTIONS = [("駅はどこにあるか", "0"), ("城はどこか", "城は2にある"), ("橋はどこにあるか", "9"), ("ないか", "")]


def _config(**changes: Any) -> FinetuneConfig:
    values: dict[str, Any] = {"task": "qa", "reader": "squad", "data": "d.json", "segmenter": "none"}
    return FinetuneConfig(**(values | {"normaliser": "none", "max_tokens": 30} | changes))


def _texts_of(tokenizer: Tokenizer, characters: str) -> dict[int, str]:
    """Token id -> character, of a tokenizer whose tokens are characters."""
    return {int(tokenizer.encode(character).ids[0]): character for character in characters}


def test_the_target_of_every_crop_is_the_answer(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [(LONG, QUESTIONS), (LONG[:12], [QUESTIONS[0]])]}))
    source = build_source(_config(), tmp_path, character_tokenizer)
    assert source.size == 4  # the one without an answer is left out
    characters = _texts_of(character_tokenizer, LONG)
    rng = np.random.default_rng(3)
    starts = set()
    for index, (question, answer) in enumerate([*QUESTIONS[:3], QUESTIONS[0]]):
        for _ in range(40):
            sequence = source.draw(index, rng)
            document, target = sequence.document, sequence.target
            assert len(document.input_ids) <= 30
            assert document.question_length == len(question) + 2
            read = document.input_ids[target.start : target.end + 1].tolist()
            assert "".join(characters[token] for token in read) == answer
            assert target.start >= document.question_length
            starts.add((index, target.start))
    assert len(starts) > 12  # the crops differ


def test_words_of_the_question_get_a_type_of_their_own(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [("駅は0。", [("駅は", "0")])]}))
    rng = np.random.default_rng(0)
    marked = build_source(_config(), tmp_path, character_tokenizer).draw(0, rng)
    assert marked.document.token_type_ids.tolist() == [0, 0, 0, 0, 2, 2, 1, 1, 1]
    plain = build_source(_config(question_overlap=False), tmp_path, character_tokenizer).draw(0, rng)
    assert plain.document.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1]


def test_the_same_seed_draws_the_same(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    write_json(tmp_path / "d.json", squad({"places": [(LONG, QUESTIONS)]}))
    source = build_source(_config(), tmp_path, character_tokenizer)
    first, second = ([source.draw(1, rng).target.start for _ in range(9)] for rng in map(np.random.default_rng, (4, 4)))
    assert first == second


def test_hostile_contexts_and_questions(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")
    paragraphs = [(f"{text}東京都。", [("首都は?", "東京"), (text, "東京")]) for text in HOSTILE_TEXTS.values()]
    write_json(tmp_path / "d.json", squad({"hostile": paragraphs}))
    config = _config(normaliser="nfkc", segmenter="mecab-jumandic", max_tokens=40)
    source = build_source(config, tmp_path, tokenizer)
    assert source.size > len(HOSTILE_TEXTS)  # of the long questions some leave no room
    tokyo = set(tokenizer.encode("東京都").ids.tolist())
    rng = np.random.default_rng(1)
    for index in range(source.size):
        sequence = source.draw(index, rng)
        document, target = sequence.document, sequence.target
        assert document.question_length <= target.start <= target.end < len(document.input_ids) - 1
        assert tokyo & set(document.input_ids[target.start : target.end + 1].tolist()) or target.end == target.start


def test_classes_and_crops(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    records: list[object] = [{"text": LONG, "label": "B"}, {"text": "駅", "label": "A"}, {"text": "", "label": "A"}]
    write_jsonl(tmp_path / "d.jsonl", records)
    config = _config(task="classify", reader="labelled", data="d.jsonl", held_out_percent=0)
    source = build_source(config, tmp_path, character_tokenizer)
    assert source.labels == ("A", "B")
    rng = np.random.default_rng(0)
    drawn = [[source.draw(index, rng) for _ in range(20)] for index in range(3)]
    assert [{sequence.target.label for sequence in sequences} for sequences in drawn] == [{1}, {0}, {0}]
    assert {len(sequence.document.input_ids) for sequence in drawn[0]} == {30}
    assert len({sequence.document.input_ids.tobytes() for sequence in drawn[0]}) > 3
    assert [len(sequences[0].document.input_ids) for sequences in drawn[1:]] == [3, 2]


def test_tokens_to_keep(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    sentences = [f"{place}は{number}にある。" for number, place in enumerate("駅寺城川山町")]
    write_jsonl(tmp_path / "d.jsonl", [{"sentences": sentences, "summary": sentences[1] + sentences[4]}])
    config = _config(task="summarize", reader="summaries", data="d.jsonl", held_out_percent=0)
    source = build_source(config, tmp_path, character_tokenizer)
    rng = np.random.default_rng(0)
    sequences = [source.draw(index, rng) for index in range(source.size)]
    assert source.size == 2  # six sentences of nine tokens in windows of thirty
    kept = np.concatenate([sequence.target.kept for sequence in sequences]).reshape(6, 7)
    # "寺は1にある。" and "町は4…" are in the summary; of the others, what every sentence says after its number.
    ends = [0, 0, 0, 1, 1, 1, 0]
    assert kept.tolist() == [ends, [1, 1, 1, 1, 1, 1, 0], ends, ends, [1, 1, 1, 1, 1, 1, 0], ends]
    for sequence in sequences:
        text = sequence.document.input_ids[sequence.target.positions]
        assert not {character_tokenizer.cls_id, character_tokenizer.sep_id} & set(text.tolist())
        assert sequence.target.weights.tolist() == [1.0] * len(text)


def test_a_reader_that_does_not_fit_the_task(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    for task, reader in (("qa", "livedoor"), ("classify", "squad"), ("summarize", "labelled"), ("qa", "nonsense")):
        config = dataclasses.replace(_config(), task=task, reader=reader)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match=f"{reader!r} does not give examples for the task {task!r}"):
            build_source(config, tmp_path, character_tokenizer)


def test_splits_share_no_document(tmp_path: Path) -> None:
    texts = write_jsonl(tmp_path / "l.jsonl", [{"text": str(n), "label": "A"} for n in range(200)])
    training, held_out = labelled_split("labelled", texts, 10)
    assert {example.text for example in held_out} == {str(n) for n in range(200) if in_held_out_split(str(n), 10)}
    assert len(training) + len(held_out) == 200
    lead, body = {"sentences": ["導入" * 20]}, {"sentences": ["甲。"] * 8}
    articles: list[object] = [
        {"id": str(n), "category": "BDS", "paragraphs": [lead, {"heading": "h"}, body]} for n in range(200)
    ]
    articles += [
        {"id": "short lead", "category": "BDS", "paragraphs": [{"sentences": ["短い"]}, {"heading": "h"}, body]},
        {"id": "short body", "category": "BDS", "paragraphs": [lead, {"heading": "h"}, {"sentences": ["甲。"] * 6}]},
        {"id": "empty", "category": "BDS", "paragraphs": []},
    ]
    kyoto = write_jsonl(tmp_path / "k.jsonl", articles)
    summaries = summary_split("kyoto-leads", kyoto, 10)
    assert len(summaries[1]) == len(held_out)
    assert len(summaries[0]) + len(summaries[1]) == 200
    assert summaries[0][0].summary == "導入" * 20
    categories = labelled_split("kyoto-categories", kyoto, 10)
    assert len(categories[0]) + len(categories[1]) == 202  # a text without characters has no class to learn


def test_rare_labels_count_more_the_more_balance_is_asked_for(tmp_path: Path, character_tokenizer: Tokenizer) -> None:
    texts: list[object] = [{"text": "駅", "label": label} for label in "aaaaaaaabb"]
    write_jsonl(tmp_path / "d.jsonl", texts)

    def weights(balance: float) -> list[float] | None:
        config = _config(task="classify", reader="labelled", data="d.jsonl", held_out_percent=0, class_balance=balance)
        found = build_source(config, tmp_path, character_tokenizer).label_weights
        return None if found is None else found.tolist()

    assert weights(0.0) is None
    assert weights(1.0) == [0.625, 2.5]  # every class counts as if all had five texts
    assert weights(0.5) == pytest.approx([0.625**0.5, 2.5**0.5])
