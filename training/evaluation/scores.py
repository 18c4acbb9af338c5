"""From scored items to figures: the measures of a data set, of parts of it, and of simple methods beside the model.

A figure that the data cannot give (F1 of long documents where all are short) is left out. Figures of a baseline bear
its name: `overlap.f1` stands beside `f1`. Knows nothing of requests or files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sklearn.metrics import f1_score

from training.data import LabelledText, QuestionExample, SummaryExample
from training.evaluation.baselines import (
    lexrank,
    overlap_answer,
    random_answer,
    random_labels,
    random_sentences,
    textrank,
    tfidf_labels,
)
from training.evaluation.calibration import expected_calibration_error, halves
from training.evaluation.predictions import Scored
from training.evaluation.unanswerable import auroc
from training.finetune.examples import ORACLE_SENTENCES
from training.metrics import best_over_references, greedy_oracle, rouge_l, rouge_n

Figures = dict[str, float]

QUARTERS = 4
LENGTH_EDGES = (500, 1000, 2000, 4000, 8000, 16000)  # characters


@dataclass(frozen=True)
class Part:
    """Some of the items: those of one length, or with the answer in one quarter of the document."""

    name: str
    n: int
    measure: float  # mean


def by_length(items: Sequence[Scored]) -> list[Part]:
    """Mean measure by length of the document, shortest first."""
    bounds = zip((0, *LENGTH_EDGES), (*LENGTH_EDGES, None), strict=True)
    return list(
        _parts(
            (
                f"under_{high}" if low == 0 else f"{low}_to_{high}" if high else f"from_{low}",
                [item for item in items if low <= item.characters and (high is None or item.characters < high)],
            )
            for low, high in bounds
        )
    )


def by_position(items: Sequence[Scored]) -> list[Part]:
    """Mean measure by the quarter of the document in which the wanted answer begins."""
    return list(
        _parts(
            (
                f"quarter_{quarter + 1}",
                [i for i in items if i.position is not None and int(i.position * QUARTERS) == quarter],
            )
            for quarter in range(QUARTERS)
        )
    )


def _parts(named: Iterable[tuple[str, list[Scored]]]) -> Iterator[Part]:
    for name, items in named:
        if items:
            yield Part(name, len(items), mean(item.measure for item in items))


def question_figures(items: Sequence[Scored], beside_others: Sequence[Scored]) -> Figures:
    """Exact match and character F1, whole, by quarter and by length; calibration; and the AUROC of the null score.

    `beside_others` are the same questions beside documents that do not answer them; empty: not asked.
    """
    figures = {
        "n": len(items),
        "em": mean(item.right for item in items),
        "f1": mean(item.measure for item in items),
        **_calibration(items),
        **{f"f1_{part.name}": part.measure for part in (*by_position(items), *by_length(items))},
    }
    quarters = [part.measure for part in by_position(items)]
    if len(quarters) == QUARTERS and max(quarters) > 0:
        figures["worst_best_quarter"] = round(min(quarters) / max(quarters), 4)
    if beside_others:
        for name in ("null_score", "score_diff"):
            own, other = ([getattr(item, name) for item in half] for half in (items, beside_others))
            figures[f"{name}_auroc"] = round(auroc(own, other), 4)
    return figures


def question_baselines(examples: Sequence[QuestionExample], beside_others: Sequence[QuestionExample]) -> Figures:
    """The sentence most like the question, and chance."""
    overlap = [overlap_answer(example.question, example.context) for example in examples]
    methods = {
        "overlap": [answer for answer, _ in overlap],
        "random": [random_answer(example.id, example.context) for example in examples],
    }
    figures: Figures = {}
    for name, answers in methods.items():
        scores = [
            best_over_references(answer, [text for text, _ in example.answers])
            for answer, example in zip(answers, examples, strict=True)
        ]
        figures[f"{name}.em"] = mean(em for em, _ in scores)
        figures[f"{name}.f1"] = mean(f1 for _, f1 in scores)
    if beside_others:
        others = [overlap_answer(example.question, example.context) for example in beside_others]
        unlike = [[1 - share for _, share in answers] for answers in (overlap, others)]
        figures["overlap.null_score_auroc"] = round(auroc(*unlike), 4)
    return figures


def label_figures(items: Sequence[Scored]) -> Figures:
    """Accuracy and macro-F1, calibration, accuracy by length, and the share of the commonest class."""
    wanted = [item.wanted[0] for item in items]
    return {
        "n": len(items),
        "accuracy": mean(item.right for item in items),
        "macro_f1": _macro_f1([item.given for item in items], wanted),
        **_calibration(items),
        **{f"accuracy_{part.name}": part.measure for part in by_length(items)},
        "majority.accuracy": round(max(wanted.count(label) for label in set(wanted)) / len(wanted), 4),
    }


def _macro_f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    """Mean F1 of the classes of the references: a class that only the predictions name has no mean of its own."""
    return round(float(f1_score(wanted, given, labels=sorted(set(wanted)), average="macro", zero_division=0)), 4)


def label_baselines(examples: Sequence[LabelledText], training: Sequence[LabelledText]) -> Figures:
    """TF-IDF with logistic regression, and chance; both from the training split."""
    wanted = [example.label for example in examples]
    methods = {
        "tfidf": tfidf_labels(training, [example.text for example in examples]),
        "random": random_labels([example.label for example in training], len(examples)),
    }
    figures: Figures = {}
    for name, labels in methods.items():
        figures[f"{name}.accuracy"] = mean(given == label for given, label in zip(labels, wanted, strict=True))
        figures[f"{name}.macro_f1"] = _macro_f1(labels, wanted)
    return figures


def summary_figures(items: Sequence[Scored], examples: Sequence[SummaryExample]) -> Figures:
    """Character-bigram F1 and ROUGE, beside the first three sentences (`lead`) and the greedy oracle's three.

    `share_to_oracle` is how far the model comes on the way from the lead (0) to the oracle (1) in bigram F1.
    """
    summaries = [item.given for item in items]
    ends = {
        "lead": [list(range(min(ORACLE_SENTENCES, len(example.sentences)))) for example in examples],
        "oracle": [greedy_oracle(example.sentences, example.summary, ORACLE_SENTENCES) for example in examples],
    }
    bigram_f1 = {name: _bigram_f1(_joined(examples, chosen), examples) for name, chosen in ends.items()}
    references = [example.summary for example in examples]

    def rouge(measure: Callable[[str, str], float]) -> float:
        return mean(measure(summary, reference) for summary, reference in zip(summaries, references, strict=True))

    own = _bigram_f1(summaries, examples)
    return {
        "n": len(items),
        "bigram_f1": own,
        **_share(own, **bigram_f1),
        "rouge1": rouge(lambda summary, reference: rouge_n(summary, reference, 1)),
        "rougeL": rouge(rouge_l),
        **{f"bigram_f1_{part.name}": part.measure for part in by_length(items)},
        **{f"{name}.bigram_f1": value for name, value in bigram_f1.items()},
    }


def summary_baselines(examples: Sequence[SummaryExample], model: Figures) -> Figures:
    """LexRank, TextRank and chance; `model` holds the figures of the lead and the oracle."""
    figures: Figures = {}
    for name, method in {"lexrank": lexrank, "textrank": textrank, "random": random_sentences}.items():
        chosen = [method(example.sentences, ORACLE_SENTENCES) for example in examples]
        value = _bigram_f1(_joined(examples, chosen), examples)
        share = _share(value, lead=model["lead.bigram_f1"], oracle=model["oracle.bigram_f1"])
        figures |= {f"{name}.bigram_f1": value, **{f"{name}.{key}": number for key, number in share.items()}}
    return figures


def _joined(examples: Sequence[SummaryExample], chosen: Sequence[Sequence[int]]) -> list[str]:
    return [
        "".join(example.sentences[index] for index in indices)
        for example, indices in zip(examples, chosen, strict=True)
    ]


def _bigram_f1(summaries: Sequence[str], examples: Sequence[SummaryExample]) -> float:
    return mean(rouge_n(summary, example.summary, 2) for summary, example in zip(summaries, examples, strict=True))


def _share(value: float, lead: float, oracle: float) -> Figures:
    return {"share_to_oracle": round((value - lead) / (oracle - lead), 4)} if oracle > lead else {}


def _calibration(items: Sequence[Scored]) -> Figures:
    """Expected calibration error over the half of the documents on which no temperature is fitted."""
    measured = [item for item in halves(items)[1] if item.given]
    return {"ece": round(expected_calibration_error(measured), 4)} if measured else {}


def mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return round(sum(numbers) / len(numbers), 4)
