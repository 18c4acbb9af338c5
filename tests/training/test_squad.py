"""SQuAD in the forms that files have, by paragraph and by article, and files that are not SQuAD."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.training.conftest import squad, write_json
from training.config import ContextUnit
from training.data import DataError, QuestionExample
from training.squad import read_squad, title_on_its_own

ARTICLES = {
    "京都": [
        ("京都は千年の都。𠮷田神社がある。", [("何年?", "千年"), ("神社は?", "𠮷田神社")]),
        ("鴨川が流れる。千年の橋。", [("川は?", "鴨川"), ("橋は?", "千年の橋"), ("海は?", "")]),
    ],
    "大阪": [("大阪城がある。", [("城は?", "大阪城")])],
}


def _mistakes(examples: list[Any]) -> list[str]:
    return [e.id for e in examples for text, at in e.answers if e.context[at : at + len(text)] != text]


def test_squad_by_paragraph(tmp_path: Path) -> None:
    examples = read_squad(write_json(tmp_path / "a.json", squad(ARTICLES)))
    assert len(examples) == 6
    assert _mistakes(examples) == []
    assert examples[2].context == "鴨川が流れる。千年の橋。"
    assert examples[4].answers == ()


def test_the_title_of_jsquad_is_a_paragraph_of_its_own() -> None:
    context = "梅雨 [SEP] 梅雨は 6月 [SEP] に来る。"
    example = QuestionExample("1", "いつ?", context, (("梅雨", 0), ("6月", 13)), "梅雨")
    assert title_on_its_own(example) == QuestionExample(
        "1", "いつ?", "梅雨\n\n梅雨は 6月 [SEP] に来る。", (("梅雨", 0), ("6月", 8)), "梅雨"
    )
    for without in ("梅雨は6月に来る。", "梅雨は\n6月 [SEP] に来る。"):
        assert title_on_its_own(replace(example, context=without, answers=())).context == without


def test_the_title_in_every_paragraph_of_jsquad_stands_once_in_front_of_the_article(tmp_path: Path) -> None:
    paragraphs = [
        ("梅雨 [SEP] 雨が降る。", [("何?", "雨が")]),
        ("梅雨 [SEP] 6月に来る。", [("いつ?", "6月"), ("名は?", "梅雨")]),
        ("梅の実がなる。", [("何の実?", "梅")]),
    ]
    file = write_json(tmp_path / "a.json", squad({"梅雨": paragraphs}))
    joined = "梅雨\n\n雨が降る。\n\n6月に来る。\n\n梅の実がなる。"
    wanted = [("雨が", 4), ("6月", 11), ("梅雨", 0), ("梅", 19)]
    examples = [title_on_its_own(example) for example in read_squad(file, "article")]
    assert [(example.context, example.answers) for example in examples] == [(joined, (one,)) for one in wanted]
    assert _mistakes(examples) == []


@pytest.mark.parametrize("start", [0, -1])
def test_an_answer_without_text_is_none(start: int, tmp_path: Path) -> None:
    qa = {"id": 1, "question": "何?", "is_impossible": True, "answers": [{"text": "", "answer_start": start}]}
    file = write_json(tmp_path / "a.json", {"data": [{"paragraphs": [{"context": "京都", "qas": [qa]}]}]})
    for unit in get_args(ContextUnit):
        assert [example.answers for example in read_squad(file, unit)] == [()]


@pytest.mark.parametrize(
    ("context", "question", "place"),
    [("京\ud800都", "何?", "article 0"), ("京都", "何\ud800?", "article 0, question 1")],
)
def test_a_lone_surrogate_is_said_with_its_record(context: str, question: str, place: str, tmp_path: Path) -> None:
    record = {"data": [{"paragraphs": [{"context": context, "qas": [{"id": 1, "question": question}]}]}]}
    file = tmp_path / "a.json"
    file.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_squad(file)
    assert str(caught.value).startswith(f"{file}, {place}: The text holds a lone surrogate (U+D800) at character 1; ")


def test_squad_by_article_moves_the_answers(tmp_path: Path) -> None:
    examples = read_squad(write_json(tmp_path / "a.json", squad(ARTICLES)), "article")
    assert _mistakes(examples) == []
    assert {e.context for e in examples[:5]} == {"京都は千年の都。𠮷田神社がある。\n\n鴨川が流れる。千年の橋。"}
    assert [e.answers[0][1] for e in examples if e.question == "橋は?"] == [25]


def _row(number: int, title: str, context: str, answer: str) -> dict[str, object]:
    starts = [context.index(answer)] if answer else []
    lists = {"text": [answer] if answer else [], "answer_start": starts}
    return {"id": f"q{number}", "title": title, "context": context, "question": f"{number}?", "answers": lists}


ROWS = [
    _row(0, "京都", "京都は千年の都。𠮷田神社がある。", "𠮷田神社"),
    _row(1, "大阪", "大阪城がある。", "大阪城"),
    _row(2, "京都", "鴨川が流れる。", ""),
    _row(3, "京都", "京都は千年の都。𠮷田神社がある。", "千年"),
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("a.json", "\n".join(map(json.dumps, ROWS))),  # as datasets.Dataset.to_json writes it
        ("a.json", json.dumps(ROWS)),
        ("a.json", "\ufeff" + json.dumps({"version": "v2.0", "data": ROWS}, ensure_ascii=False)),
    ],
)
def test_questions_may_bring_their_contexts(name: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    kyoto, kamo = "京都は千年の都。𠮷田神社がある。", "鴨川が流れる。"
    assert read_squad(file) == [
        QuestionExample("q0", "0?", kyoto, (("𠮷田神社", 8),), "京都"),
        QuestionExample("q3", "3?", kyoto, (("千年", 3),), "京都"),
        QuestionExample("q2", "2?", kamo, (), "京都"),
        QuestionExample("q1", "1?", "大阪城がある。", (("大阪城", 0),), "大阪"),
    ]
    assert {(e.id, e.context) for e in read_squad(file, "article")} == {
        *((f"q{number}", f"{kyoto}\n\n{kamo}") for number in (0, 2, 3)),
        ("q1", "大阪城がある。"),
    }


def test_one_question_is_a_file_too(tmp_path: Path) -> None:
    row = {"question": "何?", "context": "京都", "answers": {"text": [], "answer_start": []}}
    file = write_json(tmp_path / "a.json", row)
    assert read_squad(file) == [QuestionExample("0", "何?", "京都", (), f"{file} 0")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": 1}, 'question 3: every question has the texts "question" and "context", and "answers".'),
        ({"question": None}, 'question 3: every question has the texts "question" and "context", and "answers".'),
        ({"title": 5}, "question 3: "),
        ({"answers": {"text": ["千年"], "answer_start": []}}, 'question 3: "answers" holds two lists of one length'),
        ({"answers": {"text": "千年", "answer_start": 3}}, 'question 3: "answers" holds two lists of one length'),
        ({"answers": {"text": ["千年"], "answer_start": [4]}}, "question q3: the answer '千年' is not at character 4"),
        ({"answers": [{"text": "千年", "answer_start": 4}]}, "question q3: the answer '千年' is not at character 4"),
    ],
)
def test_a_question_that_is_wrong_is_named(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_squad(write_json(tmp_path / "a.json", [*ROWS[:3], {**ROWS[3], **change}]))
    assert message in str(caught.value)


def test_an_article_may_go_on_in_another_file(tmp_path: Path) -> None:
    first, second = ARTICLES["京都"]
    write_json(tmp_path / "1.json", squad({"京都": [first]}))
    write_json(tmp_path / "2.json", squad({"京都": [second]}))
    examples = read_squad(tmp_path, "article")
    assert len({e.context for e in examples}) == 1
    assert _mistakes(examples) == []


def test_articles_without_a_title_stay_apart(tmp_path: Path) -> None:
    content: Any = squad(ARTICLES)
    for article in content["data"]:
        del article["title"]
    assert len({e.context for e in read_squad(write_json(tmp_path / "a.json", content), "article")}) == 2


def test_an_answer_that_stands_elsewhere_is_an_error(tmp_path: Path) -> None:
    content: Any = squad(ARTICLES)
    content["data"][0]["paragraphs"][0]["qas"][1]["answers"][0]["answer_start"] += 1
    with pytest.raises(DataError, match="question 京都-0-1: the answer '𠮷田神社' is not at character 9"):
        read_squad(write_json(tmp_path / "a.json", content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], 'a list under "data"'),
        ({"data": {}}, 'a list under "data"'),
        ({"data": [1]}, 'article 0: there is no list under "paragraphs"'),
        ({"data": [{"paragraphs": [{"qas": []}]}]}, 'a text under "context"'),
        ({"data": [{"paragraphs": [{"context": "c"}]}]}, 'no list under "qas"'),
        ({"data": [{"paragraphs": [{"context": "c", "qas": [{"id": 1}]}]}]}, '"question"'),
        (
            {"data": [{"paragraphs": [{"context": "c", "qas": [{"id": 1, "question": "q", "answers": ["c"]}]}]}]},
            'question 1: an answer has "text" and "answer_start"',
        ),
    ],
)
def test_a_file_that_is_not_squad_gets_a_sentence(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_squad(write_json(tmp_path / "a.json", content))
    assert message in str(caught.value)
