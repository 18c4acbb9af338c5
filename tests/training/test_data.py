import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.training.conftest import livedoor_archive, squad, write_json, write_jsonl
from training.config import ContextUnit
from training.data import (
    DataError,
    LabelledText,
    QuestionExample,
    SummaryExample,
    in_held_out_split,
    kyoto_articles,
    kyoto_sections,
    kyoto_text,
    livedoor_articles,
    read_json,
    read_jsonl,
    read_labelled,
    read_squad,
    read_summaries,
    title_on_its_own,
)

ARTICLES = {
    "京都": [
        ("京都は千年の都。𠮷田神社がある。", [("何年?", "千年"), ("神社は?", "𠮷田神社")]),
        ("鴨川が流れる。千年の橋。", [("川は?", "鴨川"), ("橋は?", "千年の橋"), ("海は?", "")]),
    ],
    "大阪": [("大阪城がある。", [("城は?", "大阪城")])],
}
ARTICLE = {
    "id": "BDS00001",
    "category": "BDS",
    "paragraphs": [
        {"sentences": ["寺は古い。", "山にある。"]},
        {"heading": "歴史"},
        {"sentences": ["昔に建った。"]},
        {"sentences": ["焼けた。", "また建った。"]},
    ],
}


_CUT_OFF = gzip.compress(b"{}\n" * 99, mtime=0)[:-12]  # without the time, which would be in the name of the case


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
    file = _bytes(tmp_path / name, content.encode())
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


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("read", "name", "content", "message"),
    [
        (read_json, "a.json", b'{"data": [', "is not JSON"),
        (read_json, "a.json", "京都".encode("cp932"), "is not UTF-8"),
        (lambda path: list(read_jsonl(path)), "a.jsonl", b'{}\n\n{"a"\n', "line 3: not JSON"),
        (lambda path: list(read_jsonl(path)), "a.jsonl.gz", b"no gzip", "cannot be read"),
        (lambda path: list(read_jsonl(path)), "a.jsonl.gz", _CUT_OFF, "cannot be read"),
        (
            lambda path: list(read_jsonl(path)),
            "a.jsonl",
            b'\n{"a": ["\\ud83d\\ude00", "\\uDC00"]}\n',
            "line 2: a text holds a lone surrogate; only Unicode characters are allowed.",
        ),
        (read_labelled, "a.jsonl", b'{"text": "a"}\n', '"text" and "label"'),
        (
            read_labelled,
            "a.jsonl",
            b'{"text": "a", "label": 1}\n\n{"text": 1, "label": 1}\n',
            'line 3: every line is an object with "text" and "label".',
        ),
        (
            read_labelled,
            "a.jsonl",
            b'{"text": "a", "label": null}\n',
            "line 1: the label is null; it must be a text or a whole number.",
        ),
        (read_labelled, "a.jsonl", b'{"text": "a", "label": true}\n', "the label is true"),
        (read_labelled, "a.jsonl", b"[]\n", '"text" and "label"'),
        (read_summaries, "a.jsonl", b'{"text": "a"}\n', '"summary"'),
        (read_summaries, "a.jsonl", b'{"summary": "a"}\n', '"sentences" is a list'),
        (read_summaries, "a.jsonl", b'{"summary": "a", "sentences": [1]}\n', '"sentences" is a list'),
        (lambda path: list(kyoto_articles(path)), "a.jsonl", b"{}\n", 'line 1: there is no list under "paragraphs"'),
        (lambda path: list(kyoto_articles(path)), "a.jsonl", b'{"paragraphs": [{}]}\n', 'a "heading" or a list'),
        (lambda path: list(kyoto_articles(path)), "a.jsonl", b'{"paragraphs": []}\n', 'an "id" and a "category"'),
        (lambda path: list(livedoor_articles(path)), "a.tar.gz", b"no archive", "cannot be read as a tar archive"),
    ],
)
def test_malformed_files_are_said_in_words(
    read: Callable[[Path], object], name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read(_bytes(tmp_path / name, content))
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_missing_files_are_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_squad(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no file that matches \*\.json"):
        read_squad(tmp_path)
    for read in (read_labelled, read_summaries, lambda path: list(livedoor_articles(path))):
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path / "nowhere")


def test_labelled_texts(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [{"text": "甲", "label": "A"}, {"text": "乙", "label": 1}])
    assert read_labelled(file) == [LabelledText("甲", "A"), LabelledText("乙", "1")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,label\n甲,A\n"乙、""丙""\n丁",1\n'),
        ("a.csv", '\ufefflabel,id,text\r\nA,1,甲\r\n1,2,"乙、""丙""\r\n丁"\r\n'),
        ("a.tsv", 'text\tlabel\n甲\tA\n"乙、""丙""\n丁"\t1\n'),
        ("a.jsonl", '\ufeff{"text": "甲", "label": "A"}\n{"text": "乙、\\"丙\\"\\n丁", "label": 1}\n'),
    ],
)
def test_labelled_texts_of_a_table_or_with_a_byte_order_mark(name: str, content: str, tmp_path: Path) -> None:
    texts = [LabelledText("甲", "A"), LabelledText('乙、"丙"\n丁', "1")]
    assert read_labelled(_bytes(tmp_path / name, content.encode())) == texts
    assert read_labelled(_bytes(tmp_path / f"{name}.gz", gzip.compress(content.encode()))) == texts


def test_a_cell_may_hold_a_whole_document(tmp_path: Path) -> None:
    file = _bytes(tmp_path / "a.csv", f"text,label\n{'長' * 200_000},A\n".encode())
    assert [len(example.text) for example in read_labelled(file)] == [200_000]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "本文,分類\n甲,A\n", 'a.csv, line 2: every row has the columns "text" and "label".'),
        ("a.csv", "text,label\n甲\n", 'a.csv, line 2: every row has the columns "text" and "label".'),
        ("a.csv", "text,label\n甲,A\n乙,\n", 'a.csv, line 3: every row has the columns "text" and "label".'),
        ("a.csv", 'text,label\n甲,A\n"乙"丙,B\n', "a.csv, line 3: not a table ("),
        ("a.csv", 'text,label\n"甲,A\n', "a.csv, line 2: not a table ("),
        ("a.csv", "text,label\n　,A\n", "a.csv, line 2: the text is empty."),
        ("a.jsonl", '{"text": "甲", "label": "A"}\n{"text": "\\n", "label": "A"}\n', "line 2: the text is empty."),
    ],
)
def test_rows_that_are_no_labelled_texts_are_said_with_their_line(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        read_labelled(_bytes(tmp_path / name, content.encode()))
    assert message in str(caught.value)


def test_a_table_in_another_encoding_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.csv is not UTF-8"):
        read_labelled(_bytes(tmp_path / "a.csv", "text,label\n甲,A\n".encode("cp932")))


def test_summaries_from_sentences_or_text(tmp_path: Path) -> None:
    records: list[object] = [
        {"sentences": ["甲。", "乙。"], "summary": "甲"},
        {"text": "甲。「乙。」と言う。\n丙", "summary": "乙"},
    ]
    assert read_summaries(write_jsonl(tmp_path / "a.jsonl", records)) == [
        SummaryExample(("甲。", "乙。"), "甲"),
        SummaryExample(("甲。", "「乙。」と言う。", "丙"), "乙"),
    ]


def test_files_may_be_compressed(tmp_path: Path) -> None:
    file = _bytes(tmp_path / "a.jsonl.gz", gzip.compress('{"text": "甲", "label": "A"}\n'.encode()))
    assert read_labelled(file) == [LabelledText("甲", "A")]


def test_the_held_out_split_is_the_same_for_ever() -> None:
    ids = [f"BDS{number:05}" for number in range(1, 1001)]
    held_out = [name for name in ids if in_held_out_split(name, 10)]
    assert held_out[:4] == ["BDS00021", "BDS00041", "BDS00045", "BDS00048"]
    assert 70 < len(held_out) < 130
    assert not any(in_held_out_split(name, 0) for name in ids)
    assert all(in_held_out_split(name, 100) for name in ids)
    assert {name for name in ids if in_held_out_split(name, 5)} < set(held_out)


def test_kyoto_sections(tmp_path: Path) -> None:
    (article,) = kyoto_articles(write_jsonl(tmp_path / "a.jsonl", [ARTICLE]))
    assert kyoto_sections(article) == (["寺は古い。", "山にある。"], [["昔に建った。"], ["焼けた。", "また建った。"]])
    assert kyoto_text(article) == "寺は古い。山にある。\n歴史\n昔に建った。\n焼けた。また建った。"


def test_without_a_heading_the_first_paragraph_is_the_lead() -> None:
    paragraphs = [{"sentences": ["甲。"]}, {"sentences": ["乙。"]}]
    assert kyoto_sections({"paragraphs": paragraphs}) == (["甲。"], [["乙。"]])


def test_an_article_may_begin_with_a_heading() -> None:
    paragraphs = [{"heading": "歴史"}, {"sentences": ["甲。"]}]
    assert kyoto_sections({"paragraphs": paragraphs}) == ([], [["甲。"]])


def test_livedoor_without_headers_and_boilerplate(tmp_path: Path) -> None:
    body = (
        "http://news.example/1\n2011-01-01\n題\n本文。\n・関連リンク\n■写真\n続き・本文。\n"
        "関連記事\nhttp://x\nSports Watchより\n終わり。\n"
    )
    archive = livedoor_archive(
        tmp_path / "ldcc.tar.gz",
        {
            "text/sports-watch/LICENSE.txt": b"licence",
            "text/README.txt": b"readme",
            "text/sports-watch/sports-watch-1.txt": body.encode(),
        },
    )
    assert list(livedoor_articles(archive)) == [
        ("sports-watch-1.txt", "sports-watch", "題\n本文。\n続き・本文。\n終わり。")
    ]


def test_livedoor_in_another_encoding_is_said_in_words(tmp_path: Path) -> None:
    archive = livedoor_archive(tmp_path / "ldcc.tar.gz", {"text/a/a-1.txt": "\n\n本文".encode("cp932")})
    with pytest.raises(DataError, match=r"text/a/a-1\.txt: not UTF-8"):
        list(livedoor_articles(archive))
