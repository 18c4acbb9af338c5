"""Figures of summaries: against references that a person wrote, or by the sentences that a person marked.

This module knows texts and choices, and does not know requests or files.
"""

from collections.abc import Callable, Sequence

import numpy as np

from app.types import LongArray
from training.data import SUMMARY_SENTENCES, SummaryExample
from training.evaluation.baselines import centroid, lead_sentences, lexrank, random_sentences, textrank
from training.evaluation.intervals import Statistic, bootstrap, measured
from training.evaluation.predictions import Choice, Scored, Span
from training.evaluation.scores import Figures, Scores, by_length, mean
from training.evaluation.scraps import is_scrap
from training.metrics import greedy_oracle, rouge_l, rouge_n

_MARK_BASELINES = {"lead": lead_sentences, "centroid": centroid, "random": random_sentences}


def summary_scores(items: Sequence[Scored], examples: Sequence[SummaryExample]) -> Scores:
    """Character-bigram F1 and ROUGE of the model, the first three sentences (`lead`) and the greedy oracle's three.

    `share_to_oracle` places the model between the lead (0) and the oracle (1) in bigram F1.
    """
    summaries = [item.given for item in items]
    ends = {
        "lead": [lead_sentences(example.sentences, SUMMARY_SENTENCES) for example in examples],
        "oracle": [greedy_oracle(example.sentences, example.summary, SUMMARY_SENTENCES) for example in examples],
    }
    own = np.array(_bigram_f1(summaries, examples))
    lead, oracle = (np.array(_bigram_f1(_joined(examples, ends[name]), examples)) for name in ("lead", "oracle"))
    references = [example.summary for example in examples]

    def rouge(measure: Callable[[str, str], float]) -> float:
        return mean(measure(summary, reference) for summary, reference in zip(summaries, references, strict=True))

    def share(places: LongArray) -> float:
        return _share(*(float(values[places].mean()) for values in (own, lead, oracle)))

    statistics: dict[str, Statistic] = {"bigram_f1": lambda places: float(own[places].mean()), "share_to_oracle": share}
    documents = [item.document for item in items]
    values = {
        "n": len(items),
        **measured(documents, statistics),
        "rouge1": rouge(lambda summary, reference: rouge_n(summary, reference, 1)),
        "rougeL": rouge(rouge_l),
        **{f"bigram_f1_{part.name}": part.measure for part in by_length(items)},
        "lead.bigram_f1": mean(lead),
        "oracle.bigram_f1": mean(oracle),
    }
    return Scores(values, bootstrap(documents, statistics))


def summary_baselines(examples: Sequence[SummaryExample], model: Figures) -> Figures:
    """LexRank, TextRank and chance; `model` holds the figures of the lead and the oracle."""
    figures: Figures = {}
    for name, method in {"lexrank": lexrank, "textrank": textrank, "random": random_sentences}.items():
        chosen = [method(example.sentences, SUMMARY_SENTENCES) for example in examples]
        value = mean(_bigram_f1(_joined(examples, chosen), examples))
        share = _share(value, model["lead.bigram_f1"], model["oracle.bigram_f1"])
        figures[f"{name}.bigram_f1"] = value
        if not np.isnan(share):
            figures[f"{name}.share_to_oracle"] = round(share, 4)
    return figures


def mark_scores(choices: Sequence[Choice], items: Sequence[Scored]) -> Scores:
    """The share of the marked sentences in summaries of as many sentences, and the share of scraps in them.

    `marks_found`, the headline, is the mean over all marks; `marks_found_by_document` is the mean over documents.
    `scraps` is the share of the chosen sentences that are scraps by the definition in scraps.py.
    """
    documents = [choice.document.document for choice in choices]
    statistics = _mark_statistics(choices, [choice.chosen for choice in choices])
    lengths = {f"marks_found_by_document_{part.name}": part.measure for part in by_length(items)}
    values = {"n": len(choices), **measured(documents, statistics), **lengths}
    return Scores(values, bootstrap(documents, statistics))


def mark_baselines(choices: Sequence[Choice]) -> Figures:
    """Figures of the first sentences, the most central ones, and chance, among those that a summary may hold."""
    documents = [choice.document.document for choice in choices]
    figures: Figures = {}
    for name, method in _MARK_BASELINES.items():
        chosen = []
        for choice in choices:
            sentences = [choice.document.text[start:end] for start, end in choice.available]
            chosen.append(tuple(choice.available[index] for index in method(sentences, len(choice.document.marks))))
        own = measured(documents, _mark_statistics(choices, chosen))
        figures |= {f"{name}.{measure}": value for measure, value in own.items()}
    return figures


def _mark_statistics(choices: Sequence[Choice], chosen: Sequence[Sequence[Span]]) -> dict[str, Statistic]:
    pairs = list(zip(choices, chosen, strict=True))
    marks, found = _marks(choices, chosen)
    sizes = np.array([len(spans) for spans in chosen])
    scraps = np.array([sum(is_scrap(choice.document.text, *span) for span in spans) for choice, spans in pairs])

    def share_of_scraps(places: LongArray) -> float:
        taken = sizes[places].sum()
        return float(scraps[places].sum() / taken) if taken else np.nan

    return {
        "marks_found": share_of_marks(choices, chosen),
        "marks_found_by_document": lambda places: float((found[places] / marks[places]).mean()),
        "scraps": share_of_scraps,
    }


def share_of_marks(choices: Sequence[Choice], chosen: Sequence[Sequence[Span]]) -> Statistic:
    """The share of the marked sentences of these documents that the chosen sentences hold."""
    marks, found = _marks(choices, chosen)
    return lambda places: float(found[places].sum() / marks[places].sum())


def _marks(choices: Sequence[Choice], chosen: Sequence[Sequence[Span]]) -> tuple[LongArray, LongArray]:
    """(marks, marks that the chosen sentences hold) of each document."""
    found = [choice.found(spans) for choice, spans in zip(choices, chosen, strict=True)]
    return np.array([len(choice.document.marks) for choice in choices]), np.array(found)


def _joined(examples: Sequence[SummaryExample], chosen: Sequence[Sequence[int]]) -> list[str]:
    return [
        "".join(example.sentences[index] for index in indices)
        for example, indices in zip(examples, chosen, strict=True)
    ]


def _bigram_f1(summaries: Sequence[str], examples: Sequence[SummaryExample]) -> list[float]:
    return [rouge_n(summary, example.summary, 2) for summary, example in zip(summaries, examples, strict=True)]


def _share(value: float, lead: float, oracle: float) -> float:
    return (value - lead) / (oracle - lead) if oracle > lead else np.nan
