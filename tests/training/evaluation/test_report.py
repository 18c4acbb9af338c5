import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from app.errors import InvalidInput
from tests.training.items import item
from training.data import SummaryExample
from training.evaluation.predictions import Choice
from training.evaluation.report import FAILURES_KEPT, failures, write_failures, write_report
from training.evaluation.scores import Scores, label_scores, question_scores
from training.evaluation.style_scores import questions_by_style
from training.evaluation.summary_scores import mark_scores, summary_scores
from training.reading_set import MarkedText

QUESTIONS = [
    item(document="文書0", position=0.1, characters=300, score=0.8),
    item("誤", document="文書0", position=0.6, characters=1200, score=0.7, measure=0.5, passage="…答…"),
    item("誤|<b>*", document="文書2", position=0.9, characters=1200, score=0.2),
]
OTHERS = [item(score=0.1), item(score=0.3), item(score=0.75)]


def test_the_report_of_questions(tmp_path: Path) -> None:
    scores = question_scores(QUESTIONS, OTHERS, None)
    write_report(tmp_path / "new" / "report", "qa", "nagayomi evaluate", scores, QUESTIONS, OTHERS)
    report = tmp_path / "new" / "report"
    plots = ["by_length.png", "by_position.png", "null_roc.png", "reliability.png"]
    assert sorted(path.name for path in report.iterdir()) == ["README.md", *plots[:2], "figures.json", *plots[2:]]
    for name in plots:
        assert imread(report / name).shape == (360, 450, 4)
        assert (report / name).stat().st_size < 40_000
    content = json.loads((report / "figures.json").read_text(encoding="utf-8"))
    assert content["figures"] == scores.values
    assert {name: tuple(interval) for name, interval in content["intervals"].items()} == scores.intervals
    assert content["command"] == "nagayomi evaluate"
    assert content["by_length"] == [
        {"name": "under_500", "n": 1, "measure": 1.0},
        {"name": "1000_to_2000", "n": 2, "measure": 0.25},
    ]
    assert [part["name"] for part in content["by_position"]] == ["quarter_1", "quarter_3", "quarter_4"]
    assert [b["n"] for b in content["reliability"]] == [1, 1, 1]
    # Null scores 0.2, 0.3, 0.8 with the own document, 0.9, 0.7, 0.25 with another.
    assert content["null_roc"] == {
        "false_positive_rate": [0.0, 0.0, 0.3333, 0.3333, 0.6667, 0.6667, 1.0],
        "true_positive_rate": [0.0, 0.3333, 0.3333, 0.6667, 0.6667, 1.0, 1.0],
    }
    text = (report / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# 3 items\n\n```sh\nnagayomi evaluate\n```\n\n|  | model |\n")
    low, high = scores.intervals["f1"]
    assert f"| f1 | 0.500 ({low:.3f}–{high:.3f}) |" in text
    assert "In brackets: 95 % bootstrap intervals, 1,000 draws of documents." in text
    assert all(f"]({name})" in text for name in plots)
    assert text.endswith(
        "| question | expected | given | score | f1 |\n|---|---|---|---|---|\n"
        "| 問 | 答 | 誤\\|\\<b\\>\\* | 0.2 | 0.0 |\n| 問 | 答 | 誤 | 0.7 | 0.5 |\n"
    )


def test_the_report_of_labels_in_any_language(tmp_path: Path) -> None:
    items = [item("寺", "寺"), item("寺", "駅"), item("HST", "HST"), item("駅", "駅", document="文書0")]
    write_report(tmp_path, "classify", "c", label_scores(items), items, [])
    assert imread(tmp_path / "confusion.png").shape == (360, 450, 4)
    content = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert content["confusion"] == {"labels": ["HST", "寺", "駅"], "wanted_by_given": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]}


def test_the_report_of_summaries(tmp_path: Path) -> None:
    # A summary has no probability to bin.
    items = [item("寺。", "寺。山。", probabilities=(), measure=0.5, document=f"文書{number}") for number in range(4)]
    examples = [SummaryExample(("寺。", "山。"), "寺。山。")] * 4
    write_report(tmp_path, "summarize", "c", summary_scores(items, examples), items, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "by_length.png", "figures.json"]
    assert "| 問 | 寺。山。 | 寺。 | 0.5 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_report_of_marked_sentences(tmp_path: Path) -> None:
    chosen = Choice(MarkedText("契約/1", "賃料は八万円です。礼金はない。", (0,)), ((9, 15),), ((0, 9), (9, 15)))
    items = [chosen.scored()]
    write_report(tmp_path, "marks", "c", mark_scores([chosen], items), items, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "by_length.png", "figures.json"]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| marks found | 0.000 |" in text
    assert "In brackets" not in text
    assert text.endswith("| 賃料は八万円です。礼金はない。 | 賃料は八万円です。 | 礼金はない。 | 0.0 |\n")


def test_the_report_has_a_table_by_style_where_the_data_has_styles(tmp_path: Path) -> None:
    items = [item(document="1"), item("誤", document="2"), item(document="3")]
    styles = questions_by_style(items, {"tables": {"1", "2"}, "other": {"3"}})
    write_report(tmp_path, "qa", "c", question_scores(items, [], None), items, [], styles)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert (
        "## By style\n\n| style | documents | questions | em | f1 |\n|---|---|---|---|---|\n"
        "| tables | 2 | 2 | 0.500 (0.000–1.000) | 0.500 (0.000–1.000) |\n| other | 1 | 1 | 1.000 | 1.000 |\n\n!["
    ) in text
    content = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert content["by_style"] == {
        "tables": {
            **{"documents": 2, "n": 2, "em": 0.5, "f1": 0.5},
            "intervals": {"em": [0.0, 1.0], "f1": [0.0, 1.0]},
        },
        "other": {"documents": 1, "n": 1, "em": 1.0, "f1": 1.0, "intervals": {}},
    }


def test_questions_without_an_answer_have_a_curve_of_their_own(tmp_path: Path) -> None:
    items = [item(score=0.9, position=0.5), item("余計", wanted=(), score=0.2, right=False, measure=0.0)]
    write_report(tmp_path, "qa", "c", question_scores(items, [], None), items, [])
    content = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert content["answerability_roc"] == {
        "false_positive_rate": [0.0, 0.0, 1.0],
        "true_positive_rate": [0.0, 1.0, 1.0],
    }
    assert content["by_length"] == [{"name": "under_500", "n": 1, "measure": 1.0}]
    assert (tmp_path / "answerability_roc.png").exists()
    assert "| 問 |  | 余計 | 0.2 | 0.0 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_worst_come_first_and_of_those_the_surest(tmp_path: Path) -> None:
    items = [item("甲", score=0.2), item("乙", score=0.9), item(), item("丙", measure=0.4, passage="前 答 後")]
    write_failures(tmp_path / "failures.jsonl", "qa", items)
    lines = (tmp_path / "failures.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"question": "問", "expected": ["答"], "given": "乙", "score": 0.9, "f1": 0.0},
        {"question": "問", "expected": ["答"], "given": "甲", "score": 0.2, "f1": 0.0},
        {"question": "問", "passage": "前 答 後", "expected": ["答"], "given": "丙", "score": 0.5, "f1": 0.4},
    ]
    assert failures("classify", [item("A", "B")] * 99)[FAILURES_KEPT - 1 :] == [
        {"text": "問", "expected": ["B"], "given": "A", "score": 0.5, "accuracy": 0.0}
    ]


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"The report cannot be written: .*file"):
        write_report(tmp_path / "file", "qa", "c", Scores({}), QUESTIONS, [])
    with pytest.raises(InvalidInput, match=r"The failures cannot be written: .*nowhere"):
        write_failures(tmp_path / "nowhere" / "failures.jsonl", "qa", QUESTIONS)
