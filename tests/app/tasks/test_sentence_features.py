"""What is known of a sentence next to its tokens: its length, its place and its kind."""

import math

import numpy as np
import pytest

from app.tasks.sentence_features import SENTENCE_FEATURES, sentence_features, weights_of_features
from app.text.sentences import Sentence
from app.types import DoubleArray, SentenceFeature

TEXT = "第１条　目的\n賃料を定める。毎月払う。\n・敷金は二か月分"
SENTENCES = [Sentence(0, 6, "heading"), Sentence(7, 14), Sentence(14, 19), Sentence(20, 28, "list-item")]


def column(name: SentenceFeature) -> DoubleArray:
    return sentence_features(TEXT, SENTENCES)[:, SENTENCE_FEATURES.index(name)]


def test_lengths_are_in_characters_and_next_to_the_documents_mean() -> None:
    logarithms = np.log([6, 7, 5, 8])
    assert column("log_characters") == pytest.approx(logarithms)
    assert column("hundreds_of_characters") == pytest.approx([0.06, 0.07, 0.05, 0.08])
    assert column("log_characters_less_mean") == pytest.approx(logarithms - logarithms.mean())


def test_places_count_the_sentences_that_a_summary_may_hold() -> None:
    assert column("share_before") == pytest.approx([0, 0, 1 / 3, 2 / 3])
    assert column("log_sentences_before") == pytest.approx([0, 0, math.log(2), math.log(3)])
    assert column("first").tolist() == [1, 1, 0, 0]
    assert column("log_sentences") == pytest.approx([math.log(3)] * 4)


def test_lines_are_those_of_the_text() -> None:
    assert column("starts_line").tolist() == [1, 1, 0, 1]
    assert column("second_of_line").tolist() == [0, 0, 1, 0]
    assert column("ends_line").tolist() == [1, 0, 1, 1]


def test_kinds_are_those_of_the_blocks() -> None:
    assert column("after_heading").tolist() == [0, 1, 0, 0]
    assert column("list_item").tolist() == [0, 0, 0, 1]
    assert not column("clause").any()
    assert not column("table_row").any()
    assert not column("note").any()


def test_a_text_of_headings_alone_has_features_that_are_numbers() -> None:
    assert np.isfinite(sentence_features("目次", [Sentence(0, 2, "heading")])).all()


def test_a_feature_without_weight_adds_nothing() -> None:
    assert weights_of_features({}).tolist() == [0] * len(SENTENCE_FEATURES)
    assert sentence_features(TEXT, SENTENCES) @ weights_of_features({"list_item": 2.0}) == pytest.approx([0, 0, 0, 2])
