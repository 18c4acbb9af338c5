import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import livedoor_archive, write_jsonl
from training.data import (
    DataError,
    LabelledText,
    SummaryExample,
    in_held_out_split,
    kyoto_articles,
    kyoto_sections,
    kyoto_text,
    livedoor_articles,
    read_json,
    read_jsonl,
    read_labelled,
    read_summaries,
)
from training.squad import read_squad

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
