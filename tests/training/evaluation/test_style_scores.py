"""Figures by style of items that are known."""

from tests.training.items import item
from training.evaluation.predictions import Choice
from training.evaluation.style_scores import StyleScores, marks_by_style, questions_by_style
from training.reading_set import MarkedText


def test_answers_are_scored_in_each_style_of_their_document() -> None:
    items = [item(document="1"), item("誤", document="1", measure=0.5), item("誤", document="2"), item(document="3")]
    assert questions_by_style(items, {"tables": {"1", "2"}, "lists": {"1"}, "other": {"3"}}) == [
        StyleScores("tables", 2, 3, {"em": 0.3333, "f1": 0.5}, {"em": (0.0, 0.5), "f1": (0.0, 0.75)}),
        StyleScores("lists", 1, 2, {"em": 0.5, "f1": 0.75}, {}),
        StyleScores("other", 1, 1, {"em": 1.0, "f1": 1.0}, {}),
    ]


def test_questions_without_an_answer_and_styles_without_questions_are_left_out() -> None:
    items = [item(document="1"), item("余計", (), document="1", right=False), item("", (), document="2")]
    assert questions_by_style(items, {"tables": {"1"}, "lists": {"2"}, "other": {"3"}}) == [
        StyleScores("tables", 1, 1, {"em": 1.0, "f1": 1.0}, {})
    ]


def choice(name: str, marks: tuple[int, ...], chosen: tuple[tuple[int, int], ...]) -> Choice:
    """A document of three sentences, two characters each."""
    return Choice(MarkedText(name, "一。二。三。", marks), chosen, ((0, 2), (2, 4), (4, 6)))


def test_marks_are_counted_in_each_style_of_their_document() -> None:
    choices = [choice("1", (0, 2), ((0, 2),)), choice("2", (4,), ((0, 2),))]
    assert marks_by_style(choices, {"pages": {"1", "2"}, "speech": {"1"}, "other": {"3"}}) == [
        StyleScores("pages", 2, 3, {"marks_found": 0.3333}, {"marks_found": (0.0, 0.5)}),
        StyleScores("speech", 1, 2, {"marks_found": 0.5}, {}),
    ]
