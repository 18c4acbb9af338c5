"""Asks questions about documents that do not answer them, to measure the null score.

This module knows texts, and does not know models.
"""

import bisect
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from training.data import DataError, QuestionExample

NEAREST = 10  # one text is drawn from this many of similar length


def unrelated(examples: Sequence[QuestionExample], pool: Sequence[QuestionExample]) -> list[QuestionExample]:
    """Every question with the text of another document instead of its own, and so without an answer.

    The text is one of the `NEAREST` in length among the contexts of other documents in the pool. The question's id
    decides the draw, so the other items do not matter. The text may answer the question by chance.

    Raises:
        DataError: the pool has no second document.
    """
    texts = sorted({(len(example.context), example.context, example.document) for example in pool})
    return [
        replace(example, context=context, answers=(), document=document)
        for example in examples
        for context, document in [random.Random(example.id).choice(_nearest(example, texts))]
    ]


def _nearest(example: QuestionExample, texts: Sequence[tuple[int, str, str]]) -> list[tuple[str, str]]:
    """(context, document) of the texts of other documents that are nearest in length."""
    length = len(example.context)
    right = bisect.bisect_left(texts, (length, "", ""))
    left = right - 1
    found: list[tuple[str, str]] = []
    while len(found) < NEAREST and (left >= 0 or right < len(texts)):
        if right == len(texts) or (left >= 0 and length - texts[left][0] <= texts[right][0] - length):
            _, context, document = texts[left]
            left -= 1
        else:
            _, context, document = texts[right]
            right += 1
        if document != example.document:
            found.append((context, document))
    if not found:
        raise DataError("--null pairs a question with another document; the data holds only one.")
    return found


def auroc(own: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """The chance that a null score of `other`, without an answer, is above one of `own`; ties count half.

    By the sum of ranks (Mann and Whitney 1947). 0.5 is chance; nan where one of the two is empty.
    """
    scores = np.concatenate([np.asarray(own, dtype=np.float64), np.asarray(other, dtype=np.float64)])
    count = len(np.asarray(other))
    if not 0 < count < len(scores):
        return float("nan")
    ranks = float(rankdata(scores)[-count:].sum())
    return (ranks - count * (count + 1) / 2) / (count * (len(scores) - count))
