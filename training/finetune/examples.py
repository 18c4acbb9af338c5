"""Examples as sequences: what one training step reads, and what it should answer.

Text goes through the tokenizer and windows of the service, so a model is trained on exactly what it will be served.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from app.packing import Document
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import question_windows, sentence_windows, text_windows
from training.config import ConfigError, FinetuneConfig
from training.data import (
    LabelledText,
    QuestionExample,
    SummaryExample,
    in_held_out_split,
    kyoto_articles,
    kyoto_sections,
    kyoto_text,
    livedoor_articles,
    read_labelled,
    read_squad,
    read_summaries,
    title_on_its_own,
)
from training.metrics import kept_bigrams

IntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float32]
ORACLE_SENTENCES = 3


@dataclass(frozen=True)
class Target:
    """The right answer to one sequence: a token span, a class, or how much of each token of text a summary keeps."""

    start: int = 0
    end: int = 0
    label: int = 0
    positions: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))  # of the tokens of text
    kept: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))  # share of each, in [0, 1]
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))  # their characters


@dataclass(frozen=True)
class TrainingSequence:
    document: Document
    target: Target


class ExampleSource:
    """All examples of a run. `draw(index, rng)` makes one sequence, cropping at random where a text is too long."""

    labels: tuple[str, ...] = ()
    label_weights: FloatArray | None = None  # of each label in the loss; None: all alike

    def __init__(self, size: int, draw: Callable[[int, np.random.Generator], TrainingSequence]) -> None:
        self.size = size
        self.draw = draw


def build_source(config: FinetuneConfig, data: Path, tokenizer: Tokenizer) -> ExampleSource:
    """Read and tokenise the data of a run.

    Raises:
        ConfigError: the reader does not exist or does not fit the task.
        DataError: the data cannot be read.
    """
    path = data / config.data
    if config.task == "qa" and config.reader == "squad":
        return _questions(config, [*map(title_on_its_own, read_squad(path, config.context))], tokenizer)
    if config.task == "classify" and config.reader in ("kyoto-categories", "livedoor", "labelled"):
        return _labelled(config, labelled_split(config.reader, path, config.held_out_percent)[0], tokenizer)
    if config.task == "summarize" and config.reader in ("kyoto-leads", "summaries"):
        return _summaries(config, summary_split(config.reader, path, config.held_out_percent)[0], tokenizer)
    raise ConfigError(f"The reader {config.reader!r} does not give examples for the task {config.task!r}.")


def labelled_split(reader: str, path: Path, percent: int) -> tuple[list[LabelledText], list[LabelledText]]:
    """(training, held-out) texts, split by document."""
    split: tuple[list[LabelledText], list[LabelledText]] = ([], [])
    if reader == "labelled":
        for index, example in enumerate(read_labelled(path)):
            split[in_held_out_split(str(index), percent)].append(example)
    elif reader == "livedoor":
        for name, label, text in livedoor_articles(path):
            split[in_held_out_split(name, percent)].append(LabelledText(text, label))
    else:
        for article in kyoto_articles(path):
            text = kyoto_text(article)
            if text.strip():
                held_out = in_held_out_split(article["id"], percent)
                split[held_out].append(LabelledText(text, article["category"]))
    return split


def summary_split(reader: str, path: Path, percent: int) -> tuple[list[SummaryExample], list[SummaryExample]]:
    """(training, held-out) documents; of Kyoto, the body to summarise and the lead as the reference summary."""
    split: tuple[list[SummaryExample], list[SummaryExample]] = ([], [])
    if reader == "summaries":
        for index, example in enumerate(read_summaries(path)):
            split[in_held_out_split(str(index), percent)].append(example)
        return split
    for article in kyoto_articles(path):
        lead, body = kyoto_sections(article)
        sentences = tuple(sentence for paragraph in body for sentence in paragraph if sentence.strip())
        if len(sentences) > 2 * ORACLE_SENTENCES and len("".join(lead)) >= 40:
            held_out = in_held_out_split(article["id"], percent)
            split[held_out].append(SummaryExample(sentences, "".join(lead)))
    return split


def _encode_all(texts: Iterable[str], tokenizer: Tokenizer, what: str) -> dict[str, Tokens]:
    return {text: tokenizer.encode(text) for text in tqdm(sorted(set(texts)), desc=f"tokenising {what}")}


def _questions(config: FinetuneConfig, examples: Sequence[QuestionExample], tokenizer: Tokenizer) -> ExampleSource:
    contexts = _encode_all((example.context for example in examples), tokenizer, "contexts")
    prepared: list[tuple[Tokens, Tokens, int, int]] = []
    for example in tqdm(examples, desc="tokenising questions"):
        context = contexts[example.context]
        if not example.answers or not len(context):
            continue
        text, at = example.answers[0]
        first = int(np.searchsorted(context.ends, at, side="right"))
        last = int(np.searchsorted(context.starts, at + len(text), side="left")) - 1
        question = tokenizer.encode(example.question)
        # A question that leaves no room for its answer and some context cannot be learned from at this length.
        if first <= last and len(question) + (last - first) < config.max_tokens // 2:
            prepared.append((question, context, first, last))

    def draw(index: int, rng: np.random.Generator) -> TrainingSequence:
        question, context, first, last = prepared[index]
        unanswerable = rng.random() < config.unanswerable_share
        if unanswerable:
            other = prepared[int(rng.integers(len(prepared)))]
            unanswerable = other[1] is not context  # two questions about one text: it may answer both
            if unanswerable:
                _, context, first, last = other
        room = config.max_tokens - len(question) - 3
        start = 0
        if len(context) > room:
            lowest, highest = max(0, last + 1 - room), min(first, len(context) - room)
            start = int(rng.integers(lowest, highest + 1)) if highest > lowest else max(0, lowest)
        cropped = context.slice(start, min(start + room, len(context)))
        (window,) = question_windows(
            question,
            cropped,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=config.max_tokens,
            doc_stride=max(1, len(cropped)),
            overlap_token_type=2 if config.question_overlap else None,
        )
        shift = window.context_start - start
        document = Document(window.input_ids, window.token_type_ids, window.question_length)
        if unanswerable:
            return TrainingSequence(document, Target())  # [CLS], which is the null answer
        end = min(last + shift, len(window.input_ids) - 2)
        return TrainingSequence(document, Target(start=first + shift, end=end))

    return ExampleSource(len(prepared), draw)


def _labelled(config: FinetuneConfig, examples: Sequence[LabelledText], tokenizer: Tokenizer) -> ExampleSource:
    labels = tuple(sorted({example.label for example in examples}))
    tokens = [tokenizer.encode(example.text) for example in tqdm(examples, desc="tokenising texts")]

    def draw(index: int, rng: np.random.Generator) -> TrainingSequence:
        text, room = tokens[index], config.max_tokens - 2
        # Half of the crops are the beginning, which is what a reader sees first; the others teach the rest.
        start = int(rng.integers(0, len(text) - room + 1)) if len(text) > room and rng.random() < 0.5 else 0
        (window,) = text_windows(
            text.slice(start, start + room),
            None,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=config.max_tokens,
            doc_stride=room,
        )
        document = Document(window.input_ids, window.token_type_ids)
        return TrainingSequence(document, Target(label=labels.index(examples[index].label)))

    source = ExampleSource(len(examples), draw)
    source.labels = labels
    if config.class_balance:
        counts = np.array([sum(example.label == label for example in examples) for label in labels])
        source.label_weights = ((counts.mean() / counts) ** config.class_balance).astype(np.float32)
    return source


def _summaries(config: FinetuneConfig, examples: Sequence[SummaryExample], tokenizer: Tokenizer) -> ExampleSource:
    sequences: list[TrainingSequence] = []
    for example in tqdm(examples, desc="tokenising and labelling documents"):
        tokens = [tokenizer.encode(sentence) for sentence in example.sentences]
        kept = np.concatenate([_kept(*pair, example.summary) for pair in zip(tokens, example.sentences, strict=True)])
        weights = np.concatenate([one.ends - one.starts for one in tokens]).astype(np.float32)
        windows = sentence_windows(
            tokens,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=config.max_tokens,
            frequency_token_types=config.frequency_types or None,
        )
        for window in windows:
            text = window.token_indices
            target = Target(positions=window.token_positions, kept=kept[text], weights=weights[text])
            sequences.append(TrainingSequence(Document(window.input_ids, window.token_type_ids), target))
    return ExampleSource(len(sequences), lambda index, rng: sequences[index])


def _kept(tokens: Tokens, sentence: str, summary: str) -> FloatArray:
    """Of the bigrams that begin in each token, the share that the summary holds. (tokens,)"""
    before = np.cumsum([0, *kept_bigrams(sentence, summary)])
    lengths = np.maximum(tokens.ends - tokens.starts, 1)
    return np.asarray((before[tokens.ends] - before[tokens.starts]) / lengths, dtype=np.float32)
