import json
from pathlib import Path

import pytest

from bench import ten_questions
from bench.ten_questions import examples_of, main
from training.data import DataError

PARAGRAPHS = [
    {
        "context": "国崎町は鳥羽市にある。",
        "qas": [{"id": "q1", "question": "国崎町はどこ?", "answers": [{"text": "鳥羽市", "answer_start": 4}]}],
    },
    {
        "context": "八幡祭は1月5日である。",
        "qas": [{"id": "q2", "question": "八幡祭はいつ?", "answers": [{"text": "1月5日", "answer_start": 4}]}],
    },
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    document = {"data": [{"title": "国崎町", "paragraphs": PARAGRAPHS}]}
    (tmp_path / "dev.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    return tmp_path


def test_each_question_has_its_whole_article(data: Path) -> None:
    (example,) = examples_of(data, ["q2"])
    assert example.context == "国崎町は鳥羽市にある。\n\n八幡祭は1月5日である。"
    assert example.answers == (("1月5日", 17),)


def test_a_question_that_is_not_there_is_named(data: Path) -> None:
    with pytest.raises(DataError, match="has no question q3: this is not JaQuAD's development set"):
        examples_of(data, ["q1", "q3"])


def test_the_last_line_holds_every_question_and_how_many_are_right(
    data: Path, tiny_store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ten_questions, "QUESTIONS", ("q1", "q2"))
    assert main(["--data", str(data), "--model-store", str(tiny_store), "--model", "tiny-qa"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    shown = [(item["article"], item["characters"], item["question"], item["wanted"]) for item in report["questions"]]
    assert shown == [("国崎町", 25, "国崎町はどこ?", "鳥羽市"), ("国崎町", 25, "八幡祭はいつ?", "1月5日")]
    assert report["right"] == sum(item["given"] == item["wanted"] for item in report["questions"])
