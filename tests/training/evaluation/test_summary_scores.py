"""Figures of choices that are known."""

import pytest

from tests.training.items import item
from training.data import SummaryExample
from training.evaluation.predictions import Choice, Scored
from training.evaluation.summary_scores import mark_baselines, mark_scores, summary_baselines, summary_scores
from training.metrics import greedy_oracle
from training.reading_set import MarkedText

SUMMARIES = [
    SummaryExample(("寺は古い。", "山がある。", "海もある。", "川が流れる。", "都であった。"), "川が流れる都であった"),
    SummaryExample(("甲。", "乙。"), "乙"),
]


def _summaries(chosen: list[list[int]]) -> list[Scored]:
    texts = ["".join(e.sentences[i] for i in indices) for e, indices in zip(SUMMARIES, chosen, strict=True)]
    return [item(text, document=f"{n}", probabilities=()) for n, text in enumerate(texts)]


def test_a_summary_that_is_the_oracles_has_come_all_the_way() -> None:
    scores = summary_scores(_summaries([greedy_oracle(e.sentences, e.summary, 3) for e in SUMMARIES]), SUMMARIES)
    oracle = scores.values
    assert list(oracle) == [
        *("n", "bigram_f1", "share_to_oracle", "rouge1", "rougeL"),
        *("bigram_f1_under_500", "lead.bigram_f1", "oracle.bigram_f1"),
    ]
    assert oracle["share_to_oracle"] == 1.0
    assert oracle["bigram_f1"] == oracle["oracle.bigram_f1"] > oracle["lead.bigram_f1"]
    assert scores.intervals.keys() == {"bigram_f1", "share_to_oracle"}
    lead = summary_scores(_summaries([[0, 1, 2], [0, 1]]), SUMMARIES).values
    assert (lead["share_to_oracle"], lead["bigram_f1"]) == (0.0, lead["lead.bigram_f1"])


def test_where_the_lead_is_the_oracle_there_is_no_way_to_share() -> None:
    examples = [SummaryExample(("京都。",), "京都。")]
    figures = summary_scores([item("京都。", probabilities=())], examples).values
    assert "share_to_oracle" not in figures
    assert summary_baselines(examples, figures) == {
        "lexrank.bigram_f1": 1.0,
        "textrank.bigram_f1": 1.0,
        "random.bigram_f1": 1.0,
    }


def choice(name: str, sentences: list[str], marked: list[int], chosen: list[int], scraps: str = "") -> Choice:
    """A document of these sentences, of which some are marked and some chosen; `scraps` stands before them."""
    text, spans = scraps, []
    for sentence in sentences:
        spans.append((len(text), len(text) + len(sentence)))
        text += sentence
    marks = tuple(spans[index][0] + 1 for index in marked)
    return Choice(MarkedText(name, text, marks), tuple(spans[index] for index in chosen), tuple(spans))


FIVE = ["犬が走る。", "京都の寺は古い。", "京都の寺は多い。", "猫が寝る。", "鳥が鳴く。"]


def test_the_mean_over_marks_is_not_that_over_documents() -> None:
    choices = [choice("1", FIVE, [0, 1, 2], [0, 1, 4]), choice("2", FIVE, [4], [3])]
    scores = mark_scores(choices, [one.scored() for one in choices])
    assert scores.values == {
        "n": 2,
        "marks_found": 0.5,  # two of four
        "marks_found_by_document": 0.3333,  # two thirds and none
        "scraps": 0.0,
        "marks_found_by_document_under_500": 0.3333,
    }
    assert scores.intervals == {
        "marks_found": (0.0, 0.6667),
        "marks_found_by_document": (0.0, 0.6667),
        "scraps": (0.0, 0.0),
    }


def test_two_marks_in_one_sentence_are_two_marks_and_a_mark_outside_is_missed() -> None:
    one = choice("1", FIVE, [1, 1], [1])
    second = Choice(MarkedText("2", "見出し\n" + one.document.text, (1,)), ((4, 9),), ((4, 9),))
    assert mark_scores([one, second], [one.scored(), second.scored()]).values["marks_found"] == 0.6667
    assert one.scored().wanted == (FIVE[1], FIVE[1])
    assert second.scored().wanted == (second.document.text[1:61],)
    assert (one.scored().measure, one.scored().right, second.scored().measure) == (1.0, True, 0.0)


def test_scraps_among_the_chosen() -> None:
    one = choice("1", ["本文です。"], [0], [0], scraps="お知らせ\n\n")
    both = Choice(one.document, ((0, 4), *one.chosen), one.available)
    assert mark_scores([both], [both.scored()]).values["scraps"] == 0.5


def test_a_summary_may_be_empty_handed() -> None:
    none = Choice(MarkedText("1", "犬。", (0,)), (), ((0, 2),))
    assert mark_scores([none], [none.scored()]).values == {
        "n": 1,
        "marks_found": 0.0,
        "marks_found_by_document": 0.0,
        "marks_found_by_document_under_500": 0.0,
    }


def test_baselines_choose_as_many_sentences_as_are_marked() -> None:
    figures = mark_baselines([choice("1", FIVE, [0, 1], []), choice("2", FIVE, [1], [])])
    assert list(figures) == [
        f"{name}.{measure}"
        for name in ("lead", "centroid", "random")
        for measure in ("marks_found", "marks_found_by_document", "scraps")
    ]
    assert figures["lead.marks_found"] == pytest.approx(2 / 3, abs=1e-4)  # both of the first, not that of the second
    assert figures["lead.marks_found_by_document"] == 0.5
    assert figures["centroid.marks_found_by_document"] == 0.75  # the sentences about temples are the middle
    assert figures["lead.scraps"] == 0.0
