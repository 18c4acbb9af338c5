"""Reader of SQuAD: articles of paragraphs with their questions, or questions that each bring their context.

This module knows the forms that SQuAD has in files, and does not know tokens or models.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.errors import InvalidInput
from app.text.normalizer import refuse_surrogates
from training.config import ContextUnit
from training.data import DataError, QuestionExample, files_under, list_in, read_json, read_jsonl

_TITLE_MARK = " [SEP] "


def read_squad(path: Path, context: ContextUnit = "paragraph") -> list[QuestionExample]:
    """SQuAD JSON (JaQuAD, JSQuAD and a user's own): a file or a folder of files.

    A file holds articles, or questions that each bring their context, as `datasets` holds SQuAD: JSONL or a list.
    With `context="article"` the paragraphs of one title, over all files, are joined by blank lines to one context,
    and the start of every answer is moved accordingly. The `title [SEP] ` of JSQuAD's paragraphs stands once, in front.
    An answer without text is none, as some writers of SQuAD 2 mark questions without an answer.
    """
    articles: dict[str, list[dict[str, Any]]] = {}
    for file in files_under(path, "*.json"):
        for number, article in enumerate(_articles(file)):
            _check_article(article, f"{file}, article {number}")
            # Articles without a title are never joined.
            articles.setdefault(article.get("title") or f"{file} {number}", []).extend(article["paragraphs"])
    examples = []
    for title, paragraphs in articles.items():
        texts = [paragraph["context"] for paragraph in paragraphs]
        joined, moves = _joined(title, texts)
        for paragraph, text, (first, shift) in zip(paragraphs, texts, moves, strict=True):
            for qa in paragraph["qas"]:
                answers = tuple((one["text"], one["answer_start"]) for one in qa.get("answers", []) if one["text"])
                if context == "article":
                    text = joined
                    answers = tuple((answer, at + shift if at >= first else at) for answer, at in answers)
                examples.append(QuestionExample(str(qa["id"]), qa["question"], text, answers, title))
    return examples


def _articles(file: Path) -> list[Any]:
    """What a file has under "data", not yet checked; questions that each bring their context become articles."""
    try:
        content = read_json(file)
    except DataError as error:
        if not isinstance(error.__cause__, json.JSONDecodeError) or error.__cause__.msg != "Extra data":
            raise
        content = [record for _, record in read_jsonl(file)]
    entries = content
    if isinstance(content, dict):
        entries = [content] if "context" in content else content.get("data")
    bring_contexts = isinstance(entries, list) and any(isinstance(one, dict) and "context" in one for one in entries)
    if not isinstance(entries, list) or (entries is content and not bring_contexts):
        raise DataError(f'{file}: SQuAD JSON has a list under "data", or is a list of questions with their "context".')
    if not bring_contexts:
        return entries
    contexts: dict[tuple[str, str], list[dict[str, Any]]] = {}  # the questions about each
    for number, entry in enumerate(entries):
        title, context, qa = _with_its_context(entry, number, f"{file}, question {number}")
        contexts.setdefault((title, context), []).append(qa)
    return [
        {"title": title, "paragraphs": [{"context": context, "qas": qas}]} for (title, context), qas in contexts.items()
    ]


def _with_its_context(entry: Any, number: int, where: str) -> tuple[str, str, dict[str, Any]]:
    """(title, context, entry of "qas") of one question."""
    context, title = (entry.get("context"), entry.get("title") or "") if isinstance(entry, dict) else (None, "")
    if not isinstance(context, str) or not isinstance(title, str) or not isinstance(entry.get("question"), str):
        raise DataError(f'{where}: every question has the texts "question" and "context", and "answers".')
    answers = entry.get("answers")
    if isinstance(answers, dict):
        texts, starts = answers.get("text"), answers.get("answer_start")
        if not isinstance(texts, list) or not isinstance(starts, list) or len(texts) != len(starts):
            raise DataError(f'{where}: "answers" holds two lists of one length, "text" and "answer_start".')
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    return title, context, {"id": entry.get("id", number), "question": entry["question"], "answers": answers or []}


def _joined(title: str, texts: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The paragraphs of one article as one text, and (first, shift) of each: from `first` on, characters move by shift.

    What stands before `first` is the title in front of the paragraph, which stands in front of the article too.
    """
    mark = title + _TITLE_MARK
    bodies = [text.removeprefix(mark) for text in texts]
    head = mark if bodies != list(texts) else ""
    moves = []
    at = len(head)
    for text, body in zip(texts, bodies, strict=True):
        first = len(text) - len(body)
        moves.append((first, at - first))
        at += len(body) + len("\n\n")
    return head + "\n\n".join(bodies), moves


def title_on_its_own(example: QuestionExample) -> QuestionExample:
    """The example with its title as a separate paragraph, when its context begins with JSQuAD's `title [SEP] `.

    JSQuAD means [SEP] as a special token for the encoder. A service reads text, where these characters mean nothing.
    """
    title, mark, body = example.context.partition(_TITLE_MARK)
    if not mark or "\n" in title:
        return example
    moved = len("\n\n") - len(_TITLE_MARK)
    answers = tuple((text, at if at < len(title) else at + moved) for text, at in example.answers)
    return replace(example, context=f"{title}\n\n{body}", answers=answers)


def _check_article(article: Any, where: str) -> None:
    """Refuse records that are not SQuAD, and answers that are not at their `answer_start`."""
    title = article.get("title") if isinstance(article, dict) else None
    if not isinstance(title, str | None):
        raise DataError(f"{where}: the title is a text.")
    _check_characters(title or "", where)
    for paragraph in list_in(article, "paragraphs", where):
        if not isinstance(paragraph, dict) or not isinstance(paragraph.get("context"), str):
            raise DataError(f'{where}: every paragraph is an object with a text under "context".')
        _check_characters(paragraph["context"], where)
        for qa in list_in(paragraph, "qas", where):
            if not isinstance(qa, dict) or not isinstance(qa.get("question"), str) or "id" not in qa:
                raise DataError(f'{where}: every entry of "qas" has "id", "question" and "answers".')
            name = f"{where}, question {qa['id']}"
            _check_characters(qa["question"], name)
            for answer in list_in(qa, "answers", name) if "answers" in qa else []:
                text, start = (answer.get("text"), answer.get("answer_start")) if isinstance(answer, dict) else (0, 0)
                if not isinstance(text, str) or not isinstance(start, int) or (start < 0 and text):
                    raise DataError(f'{name}: an answer has "text" and "answer_start", a count of code points.')
                if paragraph["context"][start : start + len(text)] != text:
                    raise DataError(f"{name}: the answer {text!r} is not at character {start} of its context.")


def _check_characters(text: str, where: str) -> None:
    try:
        refuse_surrogates(text)
    except InvalidInput as error:
        raise DataError(f"{where}: {error}") from error
