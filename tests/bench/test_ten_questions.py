import json
from pathlib import Path

import pytest

from bench.ten_questions import QUESTIONS, SAMPLES, Question, main


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.text)
def test_every_answer_stands_in_its_document(question: Question) -> None:
    text = (SAMPLES / f"{question.document}.txt").read_text(encoding="utf-8")
    assert all(answer in text for answer in question.wanted)


def test_one_question_has_no_answer() -> None:
    assert [question.text for question in QUESTIONS if not question.wanted] == ["連帯保証人は誰ですか"]


def test_the_last_line_holds_every_question_and_how_many_are_right(
    tiny_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model-store", str(tiny_store), "--model", "tiny-qa"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [item["question"] for item in last["questions"]] == [question.text for question in QUESTIONS]
    assert last["right"] == sum(item["right"] for item in last["questions"])
