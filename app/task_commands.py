"""`nagayomi qa`, `summarize`, `classify`, `rerank` and `evidence`: the service in this process, over files.

Answers go to standard output; files that could not be read, warnings and the cost go to standard error. The other files
are still answered from, and the exit code is then 2. A command has only one request, so its length and time have no
limit.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from app.arguments import add_model_store
from app.errors import FileError, InvalidInput
from app.files.extraction import Extracted, Extractor
from app.files.inputs import STANDARD_INPUT, named_files, read_named
from app.files.limits import COMMAND_LIMITS
from app.files.sniff import ACCEPTED
from app.service import Service
from app.settings import Settings, flag, settings_from
from app.store import with_one_model
from app.tasks.base import DocumentsResponse, Fields, TaskSpec
from app.tasks.registry import ANSWERED
from app.tasks.sources import Source, sources_of_files
from app.terminal import show_answers, show_evidence, show_labels, show_scores, show_summaries, show_usage, shown_name
from app.types import AnsweredTask
from app.validation import explain

REQUEST_TIMEOUT_S = 24 * 3600.0
_ENDLESS = 1 << 60


@dataclass(frozen=True)
class _Asking:
    """The arguments that one command adds, and how it shows the response."""

    options: tuple[str, ...]  # of the request, as arguments
    show: Callable[[Any, Sequence[Source], bool], str]  # response, sources, colour


_ASKING: dict[AnsweredTask, _Asking] = {
    "qa": _Asking(
        ("model", "question", "top_k", "max_answer_length", "null_score_diff_threshold", "doc_stride"),
        lambda response, sources, colour: show_answers(response, sources, colour=colour),
    ),
    "summarize": _Asking(
        ("model", "max_sentences", "ratio", "max_characters", "diversity"),
        lambda response, sources, _: show_summaries(response, sources),
    ),
    "classify": _Asking(
        ("model", "top_k"),
        lambda response, _, colour: show_labels(response, colour=colour),
    ),
    "rerank": _Asking(("model", "query"), lambda response, _sources, _colour: show_scores(response)),
    "evidence": _Asking(
        ("model", "query", "threshold"),
        lambda response, sources, _: show_evidence(response, sources),
    ),
}


def add_arguments(task: AnsweredTask, parser: argparse.ArgumentParser) -> None:
    """The arguments of one command."""
    if task == "qa":
        parser.add_argument("question", metavar="QUESTION")
    elif task in ("rerank", "evidence"):
        parser.add_argument("query", metavar="QUERY")
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="*",
        default=[],
        help=f"{ACCEPTED}; a folder; a pattern such as '*.pdf'; without any, or with -, standard input",
    )
    if task == "qa":
        _add_qa_arguments(parser)
    elif task == "summarize":
        _add_summarize_arguments(parser)
    elif task == "classify":
        parser.add_argument("--top-k", type=int, metavar="N", help="maximum number of labels (default: all)")
    elif task == "evidence":
        parser.add_argument(
            "--threshold", type=float, metavar="X", help="keep sentences with a score above this (default: 0.1)"
        )
    parser.add_argument(
        "--charset", metavar="NAME", help="the encoding of text files (default: found from their bytes)"
    )
    parser.add_argument("--json", action="store_true", help="print the answer of the HTTP interface")
    parser.add_argument(
        "--model", metavar="NAME", help="a model of the store (default: the first for the task by name)"
    )
    add_model_store(parser)


def _add_qa_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--top-k", type=int, metavar="N", help="maximum number of answers, best first (default: 1)")
    parser.add_argument(
        "--max-answer-length", type=int, metavar="N", help="maximum number of tokens of an answer (default: 30)"
    )
    parser.add_argument(
        "--null-score-diff-threshold",
        type=float,
        metavar="X",
        help="no answer when the null logit exceeds the best answer's by more than this (default: always answer)",
    )
    parser.add_argument("--doc-stride", type=int, metavar="N", help="tokens between the starts of two windows")


def _add_summarize_arguments(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--max-sentences", type=int, metavar="N", help="maximum number of sentences (default: 3)")
    length.add_argument("--ratio", type=float, metavar="X", help="share of the text's sentences")
    length.add_argument("--max-characters", type=int, metavar="N", help="maximum number of characters")
    parser.add_argument("--diversity", type=float, metavar="X", help="0 to 1: avoid sentences that repeat one another")


def run(task: AnsweredTask, args: argparse.Namespace) -> int:
    """Answer one request over all files; return 2 if any of them could not be read.

    Raises:
        InvalidInput: an argument is wrong, or there is nothing to read.
        NagayomiError: one of app/errors.py.
    """
    spec, asking = ANSWERED[task], _ASKING[task]
    request = _request(spec, args, asking.options)
    return asyncio.run(_answer(spec, asking, request, args))


async def _answer(spec: TaskSpec[Any, Any, Any], asking: _Asking, request: Fields, args: argparse.Namespace) -> int:
    files, all_read = await _read(args.files or [STANDARD_INPUT], args.charset)
    if not files:
        return 2
    sources = sources_of_files(files)
    settings = with_one_model(_settings(args), spec.name, args.model)  # other models are not needed
    async with Service.open(settings, [spec.name]) as service:
        response = await service.answer_documents(spec, request, sources)
    _print(response, sources, asking, as_json=args.json)
    return 0 if all_read else 2


async def _read(names: Sequence[str], charset: str | None) -> tuple[list[Extracted], bool]:
    """The contents of the files, and whether all of them could be read."""
    limits = COMMAND_LIMITS
    extractor = Extractor(limits, at_once=1)
    found: list[Extracted] = []
    all_read = True
    if STANDARD_INPUT in names and sys.stdin is not None and sys.stdin.isatty():
        print("Reading from the terminal; Ctrl-D ends the text.", file=sys.stderr)
    for name in named_files(names):
        try:
            file = await asyncio.to_thread(read_named, name, limits)
            found.append(await extractor.read(replace(file, charset=charset)))
        except (FileError, InvalidInput) as error:
            print(f"nagayomi: {shown_name(name)}: {error}", file=sys.stderr)
            all_read = False
            continue
        for warning in found[-1].document.warnings:
            print(f"nagayomi: {shown_name(name)}: {warning}", file=sys.stderr)
    return found, all_read


def _settings(args: argparse.Namespace) -> Settings:
    given: dict[str, Any] = {
        "request_timeout_s": REQUEST_TIMEOUT_S,
        "max_request_timeout_s": REQUEST_TIMEOUT_S,
        "text_threads": 1,
        "warm_up": False,  # there is one request, and its own batches are the first
        **dict.fromkeys(
            (
                *("max_text_characters", "max_waiting_characters", "max_client_batch_size"),
                *("max_request_tokens", "max_queue_tokens", "max_key_tokens"),
            ),
            _ENDLESS,
        ),
    }
    if args.model_store is not None:
        given["model_store"] = args.model_store
    return settings_from(given)


def _request(spec: TaskSpec[Any, Any, Any], args: argparse.Namespace, options: Sequence[str]) -> Fields:
    """The request that the arguments describe. Arguments that are not given have the schema's defaults.

    Raises:
        InvalidInput: an argument is wrong; the message names it and says what is allowed.
    """
    given = {option: value for option in options if (value := getattr(args, option)) is not None}
    try:
        return spec.fields(**given)
    except ValidationError as error:
        raise InvalidInput(explain(error, flag)) from error


def _print(response: DocumentsResponse, sources: Sequence[Source], asking: _Asking, *, as_json: bool) -> None:
    if as_json:
        print(response.model_dump_json(exclude_none=True))
        return
    print(asking.show(response, sources, _wants_colour()))
    print(show_usage(response.model, response.usage, response.timings), file=sys.stderr)


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
