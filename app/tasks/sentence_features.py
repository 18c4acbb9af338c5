"""The length and the place of a sentence, as numbers that a summarizer weighs next to the logits of the tokens.

The mean logit of the tokens of a sentence cannot express how long the sentence is or where in the document it stands.
The weights of these features belong to the model and stand in its manifest. This module knows text and sentences, and
does not know tokens, logits or models.
"""

import math
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np

from app.text.sentences import Sentence
from app.types import DoubleArray, SentenceFeature

SENTENCE_FEATURES: tuple[SentenceFeature, ...] = get_args(SentenceFeature)


def sentence_features(text: str, sentences: Sequence[Sentence]) -> DoubleArray:
    """One row of `SENTENCE_FEATURES` for each sentence: see app.types.SentenceFeature. (sentences, features)

    Args:
        sentences: those that a summarizer reads, headings included, in order; at least one.
    """
    logarithms = [math.log(sentence.end - sentence.start) for sentence in sentences]
    mean = sum(logarithms) / len(logarithms)
    prose = sum(sentence.is_prose for sentence in sentences)
    rows = np.zeros((len(sentences), len(SENTENCE_FEATURES)))
    prose_before = line_place = end_before = 0
    after_heading = False
    for index, sentence in enumerate(sentences):
        starts_line = index == 0 or "\n" in text[end_before : sentence.start]
        line_place = 0 if starts_line else line_place + 1
        next_start = sentences[index + 1].start if index + 1 < len(sentences) else len(text)
        rows[index] = (
            logarithms[index],
            (sentence.end - sentence.start) / 100,
            logarithms[index] - mean,
            prose_before / max(prose, 1),
            math.log1p(prose_before),
            prose_before == 0,
            starts_line,
            line_place == 1,
            index + 1 == len(sentences) or "\n" in text[sentence.end : next_start],
            after_heading,
            math.log(max(prose, 1)),
            sentence.kind == "list-item",
            sentence.kind == "clause",
            sentence.kind == "table-row",
            sentence.kind == "note",
        )
        prose_before += sentence.is_prose
        after_heading = sentence.kind in ("heading", "table-head")
        end_before = sentence.end
    return rows


def weights_of_features(weights: Mapping[SentenceFeature, float]) -> DoubleArray:
    """The weights in the order of `SENTENCE_FEATURES`; a feature without one has no weight. (features,)"""
    return np.array([weights.get(name, 0.0) for name in SENTENCE_FEATURES])
