"""The `nagayomi` command.

`qa`, `summarize` and `classify` run the service in this process on a file or on standard input; `extract` prints the
text of files of many kinds; `batch` answers many texts, here or on a Ray cluster; `serve` starts it behind HTTP and
`keys` makes a key for it; `export`, `engine`, `evaluate`, `pretrain`, `finetune`, `warm-start` and `vocabulary` hand
over to the packages export and training, which need more installed. Only what the chosen command needs is imported.
Exit codes: 0 done, 1 it failed, 2 the input or the arguments are wrong.
"""

import argparse
import asyncio
import codecs
import contextlib
import importlib
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from app import __version__
from app.arguments import CommandParser
from app.errors import InvalidInput, NagayomiError, missing_extra

if TYPE_CHECKING:
    from pydantic import BaseModel

    from app.schemas import (
        ClassifyRequest,
        ClassifyResponse,
        QaRequest,
        QaResponse,
        SummarizeRequest,
        SummarizeResponse,
    )
    from app.tasks.base import TaskSpec

RequestT = TypeVar("RequestT", "QaRequest", "SummarizeRequest", "ClassifyRequest")
ResponseT = TypeVar("ResponseT", "QaResponse", "SummarizeResponse", "ClassifyResponse")
Parser = argparse.ArgumentParser

# Nobody else waits for a command's one request: it may take its time.
REQUEST_TIMEOUT_S = 3600.0


@dataclass(frozen=True)
class Command:
    """One sub-command. `add_arguments` runs only when the command was chosen, so it may import."""

    help: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Results are UTF-8 like the texts that come in, whatever the locale says; a terminal keeps its own encoding.
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="replace")
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = COMMANDS[args.command].run(args)
        sys.stdout.flush()
        return code
    except NagayomiError as error:
        print(f"nagayomi: {error}", file=sys.stderr)
        return 2 if error.status < 500 else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`nagayomi … | head`). Python would complain once more when it closes standard output.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What one command line asks for. All commands are named, and only the chosen one's arguments are known."""
    parser = Parser(prog="nagayomi", description="Reads long Japanese documents.")
    parser.add_argument("--version", action="version", version=f"nagayomi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=CommandParser)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        if name == chosen:
            command.add_arguments(subparser)
    return parser.parse_args(arguments)


# --- qa, summarize, classify ---------------------------------------------------------------------------------------


def _add_qa_arguments(parser: Parser) -> None:
    parser.add_argument("question", metavar="QUESTION")
    _add_text_arguments(parser)
    parser.add_argument("--top-k", type=int, metavar="N", help="answers at most, best first (default: 1)")
    parser.add_argument("--max-answer-length", type=int, metavar="N", help="tokens of an answer at most (default: 30)")
    parser.add_argument(
        "--null-score-diff-threshold",
        type=float,
        metavar="X",
        help="no answer when the null logit exceeds the best answer's by more than this (default: always answer)",
    )
    parser.add_argument("--doc-stride", type=int, metavar="N", help="tokens between the starts of two windows")


def _add_summarize_arguments(parser: Parser) -> None:
    _add_text_arguments(parser)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--max-sentences", type=int, metavar="N", help="sentences at most (default: 3)")
    length.add_argument("--ratio", type=float, metavar="X", help="share of the text's sentences")
    length.add_argument("--max-characters", type=int, metavar="N", help="characters at most")
    parser.add_argument("--diversity", type=float, metavar="X", help="0 to 1: avoid sentences that repeat one another")


def _add_classify_arguments(parser: Parser) -> None:
    _add_text_arguments(parser)
    parser.add_argument("--top-k", type=int, metavar="N", help="labels at most (default: all)")


def _add_text_arguments(parser: Parser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", help="a UTF-8 text file; without it, or with -, standard input"
    )
    parser.add_argument("--json", action="store_true", help="print the answer of the HTTP interface")
    parser.add_argument(
        "--model", metavar="NAME", help="a model of the store (default: the first for the task by name)"
    )
    parser.add_argument(
        "--model-store",
        metavar="DIR",
        help="where the models are (default: NAGAYOMI_MODEL_STORE, or model_store in the working directory)",
    )


def _run_qa(args: argparse.Namespace) -> int:
    from app.schemas import QaRequest
    from app.tasks.qa import QA
    from app.terminal import show_answers

    fields = ("model", "question", "top_k", "max_answer_length", "null_score_diff_threshold", "doc_stride")
    text = _read_text(args.file)
    request = _request(QaRequest, args, fields, context=text)
    response = asyncio.run(_ask(QA, args, request))
    return _print(response, args, lambda: show_answers(response, text, colour=_wants_colour()))


def _run_summarize(args: argparse.Namespace) -> int:
    from app.schemas import SummarizeRequest
    from app.tasks.summarize import SUMMARIZE
    from app.terminal import show_summary

    fields = ("model", "max_sentences", "ratio", "max_characters", "diversity")
    request = _request(SummarizeRequest, args, fields, text=_read_text(args.file))
    response = asyncio.run(_ask(SUMMARIZE, args, request))
    return _print(response, args, lambda: show_summary(response))


def _run_classify(args: argparse.Namespace) -> int:
    from app.schemas import ClassifyRequest
    from app.tasks.classify import CLASSIFY
    from app.terminal import show_labels

    request = _request(ClassifyRequest, args, ("model", "top_k"), text=_read_text(args.file))
    response = asyncio.run(_ask(CLASSIFY, args, request))
    return _print(response, args, lambda: show_labels(response, colour=_wants_colour()))


def _read_text(file: str | None) -> str:
    """A file's text, or standard input's, exactly as it is: offsets count its characters, line ends included."""
    if file is None or file == "-":
        name = "standard input"
        if sys.stdin.isatty():
            print("Reading from the terminal; Ctrl-D ends the text.", file=sys.stderr)
        data = sys.stdin.buffer.read()
    else:
        name = file
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{name} is not UTF-8 (byte {error.start + 1} is 0x{data[error.start]:02x}); only UTF-8 text is allowed."
            f"{_hint_at_encoding(data, file)}"
        ) from error
    if not text or text.isspace():
        raise InvalidInput(f"{name} holds no text; at least one character that is not white space is needed.")
    return text


def _hint_at_encoding(data: bytes, file: str | None) -> str:
    """How to convert a text in one of the older Japanese encodings; nothing for what is no text at all."""
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for codec, iconv in (("utf-16", "UTF-16"),) if marked else (("euc_jp", "EUC-JP"), ("cp932", "CP932")):
        with contextlib.suppress(UnicodeDecodeError):
            if "\0" not in data.decode(codec):
                return f" It can be read as {iconv}: iconv -f {iconv} -t UTF-8 {file or ''}".rstrip()
    return ""


M = TypeVar("M", bound="BaseModel")


def _request(schema: type[M], args: argparse.Namespace, fields: Sequence[str], **texts: str) -> M:
    """The request that the arguments describe. What was not given is left to the schema's defaults.

    Raises:
        InvalidInput: names the argument and says what is allowed.
    """
    from pydantic import ValidationError

    from app.settings import flag
    from app.validation import explain

    given = {field: value for field in fields if (value := getattr(args, field)) is not None}
    try:
        return schema(**given, **texts)
    except ValidationError as error:
        raise InvalidInput(explain(error, lambda field: flag(field) if field in given else "The text")) from error


async def _ask(
    task: "TaskSpec[RequestT, Any, ResponseT]", args: argparse.Namespace, request: "RequestT"
) -> "ResponseT":
    """Load the models of one task, send them one request, and end."""
    from app.service import Service
    from app.settings import settings_from
    from app.store import with_one_model

    given: dict[str, Any] = {
        "request_timeout_s": REQUEST_TIMEOUT_S,
        "max_request_timeout_s": REQUEST_TIMEOUT_S,
        "text_threads": 1,
    }
    if args.model_store is not None:
        given["model_store"] = args.model_store
    settings = with_one_model(settings_from(given), task.name, args.model)  # others would be loaded for nothing
    async with Service.open(settings, [task.name]) as service:
        return await service.answer(task, request)


def _print(response: ResponseT, args: argparse.Namespace, readable: Callable[[], str]) -> int:
    from app.terminal import show_usage

    if args.json:
        print(response.model_dump_json(exclude_none=True))
    else:
        print(readable())
        print(show_usage(response.model, response.usage, response.timings), file=sys.stderr)
    return 0


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


# --- serve -----------------------------------------------------------------------------------------------------------


def _add_serve_arguments(parser: Parser) -> None:
    """One flag for every setting. Values stay strings: the settings say what they must be."""
    from app.settings import Settings, flag

    for name, field in Settings.model_fields.items():
        choices = get_args(field.annotation) if isinstance(field.default, str) else ()
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        shown = f"NAGAYOMI_{name.upper()}" if default in ("", None) else f"default: {default}; NAGAYOMI_{name.upper()}"
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(default, bool) else {}
        parser.add_argument(
            flag(name),
            default=argparse.SUPPRESS,
            metavar="true|false" if switch else "|".join(choices) or name.upper(),
            help=f"{field.description} ({shown})".replace("%", "%%"),
            **switch,
        )


def _run_serve(args: argparse.Namespace) -> int:
    from app.serve import serve
    from app.settings import settings_from

    given = {name: value for name, value in vars(args).items() if name != "command"}
    return serve(settings_from(given))


# --- keys ------------------------------------------------------------------------------------------------------------


def _add_keys_arguments(parser: Parser) -> None:
    parser.epilog = "The line for the keys file goes to standard output: nagayomi keys NAME >> keys.txt"
    parser.add_argument("name", metavar="NAME", help="whose key it is; the name shows in logs and metrics")


def _run_keys(args: argparse.Namespace) -> int:
    """The token goes to the terminal, where it is seen once; what may be kept goes to standard output."""
    from app.http.auth import new_key

    token, entry = new_key(args.name)
    print(entry)
    print(f"The key, shown this once: {token}", file=sys.stderr)
    return 0


# --- export, engine, evaluate, pretrain, finetune, warm-start, vocabulary --------------------------------------------


def _handed_over(help: str, module: str, extra: str) -> Command:
    """A command that another package defines with `add_arguments(parser)` and `run(args)`."""

    @contextlib.contextmanager
    def naming_extra() -> Iterator[None]:
        try:
            yield
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in ("app", "export", "training"):
                raise
            raise missing_extra(error, extra) from error

    def add_arguments(parser: Parser) -> None:
        with naming_extra():
            importlib.import_module(module).add_arguments(parser)

    def run(args: argparse.Namespace) -> int:
        with naming_extra():
            code: int = importlib.import_module(module).run(args)
        return code

    return Command(help, add_arguments, run)


COMMANDS: dict[str, Command] = {
    "serve": Command("Start the HTTP service and the web page.", _add_serve_arguments, _run_serve),
    "keys": Command("Make a key for clients of the service.", _add_keys_arguments, _run_keys),
    "qa": Command("Answer a question from a text, in the text's own words.", _add_qa_arguments, _run_qa),
    "summarize": Command("Choose a text's most important sentences.", _add_summarize_arguments, _run_summarize),
    "classify": Command("Label a text.", _add_classify_arguments, _run_classify),
    "extract": _handed_over("Print the text of files, or their structure.", "app.files.command", "files"),
    "batch": _handed_over("Answer every line of a JSONL file.", "app.bulk.command", "ray"),
    "export": _handed_over("Turn a checkpoint into a model of the store.", "export.to_onnx", "export"),
    "engine": _handed_over("Build TensorRT engines, or check a graph for them.", "export.tensorrt_command", "export"),
    "evaluate": _handed_over("Score a model on a data set, as it is served.", "training.evaluation.command", "train"),
    "pretrain": _handed_over("Pre-train a masked language model on texts.", "training.pretrain.command", "train"),
    "finetune": _handed_over("Fine-tune a checkpoint for a task.", "training.finetune.command", "train"),
    "warm-start": _handed_over("Make a BigBird of an encoder at hand.", "training.warm_start", "train"),
    "vocabulary": _handed_over("Train a vocabulary on the words of a corpus.", "training.vocabulary", "train"),
}

if __name__ == "__main__":
    sys.exit(main())
