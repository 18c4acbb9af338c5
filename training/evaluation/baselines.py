"""Simple methods on the same items: a model should score above them.

None uses a model, and all give the same results in every run. This module knows texts, and does not know the service.
"""

import random
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from app.text.sentences import split_sentences
from training.data import LabelledText

# The characters of most answers: no particles, no punctuation.
_RUN = re.compile("[0-9A-Za-z０-９Ａ-Ｚａ-ｚァ-ヺー・々〇一-鿿]+")

DAMPING = 0.85  # damping of PageRank, as in the papers
LEXICON = 200_000  # the largest number of n-grams; more changes the third digit


@lru_cache(maxsize=4096)
def _sentences(context: str) -> tuple[tuple[str, frozenset[str]], ...]:
    sentences = [context[span.start : span.end] for span in split_sentences(context)] or [context]
    return tuple((sentence, _bigrams(sentence)) for sentence in sentences)


def _bigrams(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def overlap_answer(question: str, context: str) -> tuple[str, float]:
    """(answer, share of the question's bigrams in its sentence).

    Takes the sentence that shares most character bigrams with the question. The answer is its longest run of kanji,
    katakana, letters and digits that the question does not contain, or the whole sentence when there is none.
    """
    wanted = _bigrams(question)
    sentence, bigrams = max(_sentences(context), key=lambda pair: len(pair[1] & wanted))
    runs = [run for run in _RUN.findall(sentence) if run not in question]
    return max(runs, key=len, default=sentence), len(bigrams & wanted) / max(len(wanted), 1)


def random_answer(seed: str, context: str) -> str:
    """A random run of kanji, katakana, letters and digits of the context."""
    runs: list[str] = _RUN.findall(context)
    return random.Random(seed).choice(runs or [context])


def tfidf_labels(training: Sequence[LabelledText], texts: Sequence[str]) -> list[str]:
    """Labels of a logistic regression on TF-IDF of character 2- and 3-grams, trained on the whole training split."""
    labels = {example.label for example in training}
    if len(labels) < 2:  # a regression needs two classes
        return [*labels] * len(texts)
    classifier = make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(2, 3), sublinear_tf=True, max_features=LEXICON, dtype=np.float32),
        LogisticRegression(C=10, max_iter=1000),
    )
    classifier.fit([example.text for example in training], [example.label for example in training])
    return [str(label) for label in classifier.predict(texts)]


def random_labels(training: Sequence[str], count: int) -> list[str]:
    """Random labels with the frequencies of the training split."""
    return random.Random(0).choices(training, k=count)


def lead_sentences(sentences: Sequence[str], limit: int) -> list[int]:
    return list(range(min(limit, len(sentences))))


def centroid(sentences: Sequence[str], limit: int) -> list[int]:
    """Indices of the sentences nearest the mean of all in TF-IDF of characters (Radev et al. 2004)."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit_transform(sentences)
    nearness = np.asarray(vectors @ vectors.mean(axis=0).T).ravel()
    return sorted(np.argsort(-nearness.round(12), kind="stable")[:limit].tolist())


def random_sentences(sentences: Sequence[str], limit: int) -> list[int]:
    return sorted(random.Random(sentences[0]).sample(range(len(sentences)), min(limit, len(sentences))))


def lexrank(sentences: Sequence[str], limit: int) -> list[int]:
    """Indices of the most central sentences: PageRank over TF-IDF cosines (LexRank, Erkan and Radev 2004)."""
    vectors = TfidfVectorizer(analyzer="char", ngram_range=(1, 2)).fit_transform(sentences)
    return _most_central((vectors @ vectors.T).toarray(), limit)


def textrank(sentences: Sequence[str], limit: int) -> list[int]:
    """As LexRank, over the n-grams shared by two sentences and the logarithms of their counts (Mihalcea, Tarau
    2004)."""
    held = CountVectorizer(analyzer="char", ngram_range=(1, 2), binary=True, dtype=np.float64).fit_transform(sentences)
    shared = (held @ held.T).toarray()
    lengths = np.log(np.maximum(np.diag(shared), 2))
    similarity = shared / (lengths[:, None] + lengths[None, :])
    np.fill_diagonal(similarity, 0)
    return _most_central(similarity, limit)


def _most_central(similarity: npt.NDArray[np.float64], limit: int) -> list[int]:
    """Indices of the highest PageRank, in order; ties keep their order. A sentence like no other votes for all."""
    count = len(similarity)
    sums = similarity.sum(axis=1, keepdims=True)
    votes = np.where(sums > 0, similarity / np.where(sums > 0, sums, 1), 1 / count)
    ranks = np.linalg.solve(np.eye(count) - DAMPING * votes.T, np.full(count, (1 - DAMPING) / count))
    return sorted(np.argsort(-ranks.round(12), kind="stable")[:limit].tolist())
