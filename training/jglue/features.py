"""The examples of a JGLUE task as sequences for an encoder, and its logits as scores.

Windows and answers are those of the service (`app.text.windows`, `app.tasks.qa`). This module knows tasks and tokens,
and does not know training.
"""

import dataclasses
import sys
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from app.tasks.answer_bounds import AnswerBounds
from app.tasks.answers import best_answers
from app.tasks.qa import bounds_in_turn
from app.text.structure import structure_of
from app.text.tokenizer import Tokens
from app.text.windows import Window, context_room, question_windows
from training.config import ConfigError
from training.data import QuestionExample
from training.jglue.encoder import Encoder, Features, predict
from training.jglue.tasks import (
    TASKS,
    ChoiceExample,
    Example,
    TextExample,
    measured,
    score_answers,
    score_classes,
    score_similarities,
)

SQUAD_ANSWER_TOKENS = 30  # as in the SQuAD scripts


@dataclasses.dataclass(frozen=True)
class WindowedQuestion:
    """A question, the tokens of its context, and the windows over both."""

    example: QuestionExample
    context: Tokens
    windows: list[Window]
    bounds: Sequence[AnswerBounds]


def training_features(encoder: Encoder, examples: Sequence[Example], doc_stride: int) -> list[Features]:
    """Inputs and targets of the model, as arguments of its `forward`."""
    if TASKS[encoder.task].kind != "span":
        return _labelled(encoder, examples)
    return [
        encoder.features(window.input_ids, window.token_type_ids) | _span(question, window)
        for question in windowed_questions(encoder, examples, doc_stride)
        for window in question.windows
        if question.example.answers
    ]


def score(encoder: Encoder, examples: Sequence[Example], doc_stride: int) -> dict[str, float]:
    """The measures of the encoder's task, rounded to four places, and the number of examples as "n"."""
    task, what = TASKS[encoder.task], f"reading {encoder.task}"
    if task.kind == "span":
        questions = windowed_questions(encoder, examples, doc_stride)
        scores = score_answers(_answers(encoder, questions, what), [question.example for question in questions])
    else:
        features = _labelled(encoder, examples)
        logits = np.stack(predict(encoder, features, what))  # (examples, classes or choices or 1)
        wanted = [feature["labels"] for feature in features]
        if task.kind == "similarity":
            scores = score_similarities(logits[:, 0].astype(np.float64), np.array(wanted))
        else:
            scores = score_classes(logits.argmax(axis=1).tolist(), wanted)
    return measured(encoder.task, len(examples), scores)


def windowed_questions(encoder: Encoder, examples: Sequence[Example], doc_stride: int) -> list[WindowedQuestion]:
    """Every question over its context in windows of `max_tokens`, which start every `doc_stride` tokens.

    Raises:
        ConfigError: a question leaves no room for context in a window.
    """
    tokenizer = encoder.tokenizer
    template = tokenizer.template
    contexts: dict[str, tuple[Tokens, Sequence[AnswerBounds]]] = {}
    found = []
    for example in tqdm(examples, desc=f"tokenizing {encoder.task}", file=sys.stderr):
        assert isinstance(example, QuestionExample)
        if example.context not in contexts:
            structure = structure_of(example.context)
            tokens = tokenizer.encode(example.context, structure)
            contexts[example.context] = tokens, bounds_in_turn(structure, tokens, segmented=encoder.is_segmented)
        context, bounds = contexts[example.context]
        question = tokenizer.encode(example.question)
        room = context_room(question, encoder.max_tokens, template)
        if room < 1:
            raise ConfigError(
                f"max_tokens is {encoder.max_tokens}; the question {example.id} has {len(question)} tokens and leaves "
                "no room for its context."
            )
        windows = question_windows(
            question,
            context,
            template=template,
            max_tokens=encoder.max_tokens,
            doc_stride=min(doc_stride, room),  # with a longer stride, tokens would be left out
            overlap_token_type=None,
        )
        found.append(WindowedQuestion(example, context, windows, bounds))
    return found


def _span(question: WindowedQuestion, window: Window) -> Features:
    """The span of the first answer in a window; the first token, which means no answer, when it is not wholly
    inside."""
    context = question.context
    text, at = question.example.answers[0]
    first = int(np.searchsorted(context.ends, at, side="right")) - window.first_token
    last = int(np.searchsorted(context.starts, at + len(text), side="left")) - 1 - window.first_token
    inside = 0 <= first <= last < window.context_length
    return {
        "start_positions": window.context_start + first if inside else 0,
        "end_positions": window.context_start + last if inside else 0,
    }


def _answers(encoder: Encoder, questions: Sequence[WindowedQuestion], what: str) -> list[str]:
    """The best answer to each question; empty where the context has no token."""
    windows = [window for question in questions for window in question.windows]
    logits = iter(predict(encoder, [encoder.features(one.input_ids, one.token_type_ids) for one in windows], what))
    answers = []
    for question in questions:
        own = [next(logits) for _ in question.windows]
        context = question.example.context
        best = best_answers(
            [context],
            [question.bounds],
            [question.windows],
            [[both[0] for both in own]],
            [[both[1] for both in own]],
            max_answer_tokens=SQUAD_ANSWER_TOKENS,
            temperature=1.0,
        )
        answers.append(context[best.spans[0].start : best.spans[0].end] if best.spans else "")
    return answers


def _labelled(encoder: Encoder, examples: Sequence[Example]) -> list[Features]:
    """Sequences for classes and similarities, lists of sequences for choices, each with its "labels"."""
    texts = [example for example in examples if isinstance(example, TextExample)]
    if texts:
        pairs = [example.pair for example in texts if example.pair is not None]
        encoded = encoder.encode([example.text for example in texts], pairs or None)
        target = float if TASKS[encoder.task].kind == "similarity" else int
        return [feature | {"labels": target(example.target)} for feature, example in zip(encoded, texts, strict=True)]
    features = []
    for example in examples:
        assert isinstance(example, ChoiceExample)
        choices = encoder.encode([example.question] * len(example.choices), example.choices)
        columns = {name: [choice[name] for choice in choices] for name in choices[0]}
        features.append(columns | {"labels": example.target})
    return features
