"""The gold set of sentences, and the scores that are made with it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.text.blocks import BlockKind
from app.text.sentences import split_sentences
from bench.sentences import (
    GoldDocument,
    boundaries,
    boundary_scores,
    by_style,
    held_shares,
    kind_scores,
    read_gold,
    spans_of,
    spans_without_line_ends,
)
from training.reading_set import ReadingDocument, read_reading_set

GOLD = Path(__file__).parents[1] / "app" / "text" / "data" / "sentences"
TEXT = "契約書\n\n一つ目の文が\nここで終わる。二つ目。\n"


def gold(text: str, *sentences: tuple[int, int, BlockKind]) -> GoldDocument:
    return GoldDocument("1", False, text, sentences)


def test_parts_of_a_text_have_spans() -> None:
    assert spans_of(TEXT, ["契約書\n", "一つ目の文が\nここで終わる。", "", "二つ目。"]) == [(0, 3), (5, 19), (19, 23)]


def test_marks_of_quotation_may_stand_between_parts() -> None:
    assert spans_of("> はい。\n>> いいえ。", ["はい。", "いいえ。"]) == [(2, 5), (9, 13)]


def test_a_part_without_its_line_ends_has_a_span() -> None:
    parts = ["契約書", "一つ目の文がここで終わる。", "二つ目。"]
    assert spans_without_line_ends(TEXT, parts) == [(0, 3), (5, 19), (19, 23)]


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        (["契約書", "二つ目。"], "'二つ目。' is not what comes next: "),
        (["契約書", "三つ目。"], "'三つ目。' is not what comes next: "),
        (["契約書"], "These characters are in no sentence: "),
    ],
)
def test_parts_that_are_not_the_whole_text_are_refused(parts: list[str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        spans_of(TEXT, parts)


def test_boundaries_are_counted_in_visible_characters_without_the_last() -> None:
    assert boundaries("> はい。\n> 　いいえ。終", [(2, 5), (8, 13), (13, 14)]) == [3, 7]


def test_scores_of_boundaries() -> None:
    document = gold(
        "あ。い。う。え", (0, 2, "paragraph"), (2, 4, "paragraph"), (4, 6, "paragraph"), (6, 7, "paragraph")
    )
    scores = boundary_scores([document], lambda text: [(0, 1), (1, 2), (2, 6), (6, 7)])
    assert scores == {"precision": 0.6667, "recall": 0.6667, "f": 0.6667, "whole": 0.25, "boundaries": 3}


def test_scores_of_kinds() -> None:
    document = gold("# 題\n本文です。", (0, 3, "heading"), (4, 9, "furniture"))
    assert kind_scores([document]) == (
        {"kind": 0.5, "prose": 0.5, "sentences": 2},
        Counter({("furniture", "paragraph"): 1}),
    )


def reading_document(tmp_path: Path, style: str) -> ReadingDocument:
    file = tmp_path / f"{style}.txt"
    notes = "Q: 何か\nA: 二つ\nQ: 何だ\nA: る。二\nQ: 誰か\nA: -\nS: つ目の\nS: 契約書"
    text = "契約書\n\n一つ目の文がここで終わる。二つ目。\n"
    file.write_text(f"kind: 契約\nstyle: {style}\n=====\n{text}\n=====\n{notes}\n", encoding="utf-8")
    return read_reading_set(file)[0]


def test_answers_and_passages_that_one_sentence_holds(tmp_path: Path) -> None:
    assert held_shares([reading_document(tmp_path, "plain")]) == {
        "documents": 1,
        "answers": 2,
        "answers_held": 0.5,
        "passages": 2,
        "passages_held": 1.0,
        "passages_prose": 0.5,
    }


def test_a_document_counts_for_each_of_its_styles(tmp_path: Path) -> None:
    documents = [reading_document(tmp_path, style) for style in ("hard-wrapped, Markdown table", "plain")]
    counts = {style: shares["documents"] for style, shares in by_style(documents).items()}
    assert counts == {"all": 2, "wrapped lines": 1, "tables": 1, "Markdown": 1, "other": 1}


def test_a_gold_set_without_documents_and_an_unknown_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"has no \*\.json"):
        read_gold(tmp_path)
    blocks = [{"kind": "poem", "sentences": ["あ"]}]
    record = {"document": "1", "held_out": False, "text": "あ", "blocks": blocks}
    (tmp_path / "1.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(ValueError, match="no kinds of blocks: poem"):
        read_gold(tmp_path)


def test_the_gold_set_is_large_and_half_of_its_documents_are_held_out() -> None:
    documents = read_gold(GOLD)
    assert sum(len(document.sentences) for document in documents) >= 600
    assert Counter(document.held_out for document in documents) == {True: 6, False: 6}


@pytest.mark.parametrize(("folder", "recall"), [(GOLD, 0.99), (GOLD / "unseen", 0.98)])
def test_sentences_of_the_gold_set_are_found(folder: Path, recall: float) -> None:
    documents = read_gold(folder)
    scores = boundary_scores(documents, lambda text: [(one.start, one.end) for one in split_sentences(text)])
    assert scores["precision"] >= 0.99
    assert scores["recall"] >= recall
