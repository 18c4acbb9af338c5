"""The `nagayomi` command.

`qa`, `summarize`, `classify`, `rerank` and `evidence` (app/task_commands.py) run the service in this process on files
or on standard input; `extract` prints the text of files; `batch` answers many texts, here or on a Ray cluster; `serve`
starts the service behind HTTP and `keys` makes a key for it; `export`, `engine`, `evaluate`, `pretrain`, `finetune`,
`warm-start` and `vocabulary` run the packages export and training, which need more packages. Only the modules that the
chosen command needs are imported. Exit codes: 0 the command is done, 1 it failed, 2 the input or the arguments are
wrong.
"""

import argparse
import contextlib
import importlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from app import __version__, streams
from app.arguments import CommandParser
from app.errors import NagayomiError, missing_extra

if TYPE_CHECKING:
    from app.types import AnsweredTask

Parser = argparse.ArgumentParser


@dataclass(frozen=True)
class Command:
    """One sub-command. `add_arguments` runs only for the chosen command, so it may import."""

    help: str
    add_arguments: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    streams.secure()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Results are UTF-8 like the input, in every locale; a terminal keeps its own encoding.
        sys.stdout.reconfigure(encoding=None if sys.stdout.isatty() else "utf-8", errors="replace")
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        code = COMMANDS[args.command].run(args)
        return code if (lost := streams.lost_output()) is None else _failed(lost)
    except NagayomiError as error:
        return streams.report("nagayomi", error)
    except KeyboardInterrupt:
        return 130
    except SystemExit:  # argparse raises it after help, or after an error in the arguments
        if (lost := streams.lost_output()) is not None:
            return _failed(lost)
        raise
    except OSError as error:
        if (lost := streams.lost_output()) is not None:
            return _failed(lost)
        return streams.report("nagayomi", error)


def _failed(error: OSError) -> int:
    """Report that standard output cannot be written, unless its reader has ended (`nagayomi … | head`)."""
    if not isinstance(error, BrokenPipeError):
        print(f"nagayomi: standard output cannot be written: {error.strerror}.", file=sys.stderr)
    return 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. The parser names all commands, and knows only the arguments of the chosen one."""
    parser = Parser(prog="nagayomi", description="Reads long Japanese documents.")
    parser.add_argument("--version", action="version", version=f"nagayomi {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=CommandParser)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help, allow_abbrev=False)
        if name == chosen:
            command.add_arguments(subparser)
    return parser.parse_args(arguments)


# --- qa, summarize, classify, rerank, evidence ---------------------------------------------------------------------


def _of_task(help: str, task: "AnsweredTask") -> Command:
    def add_arguments(parser: Parser) -> None:
        from app.task_commands import add_arguments

        add_arguments(task, parser)

    def run(args: argparse.Namespace) -> int:
        from app.task_commands import run

        return run(task, args)

    return Command(help, add_arguments, run)


# --- serve -----------------------------------------------------------------------------------------------------------


def _add_serve_arguments(parser: Parser) -> None:
    """One flag for every setting. Values stay strings: the settings validate them."""
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
    parser.add_argument("name", metavar="NAME", help="the owner of the key; the name appears in logs and metrics")


def _run_keys(args: argparse.Namespace) -> int:
    """The token goes to the terminal, which shows it once; the line for the keys file goes to standard output."""
    from app.http.auth import new_key

    token, entry = new_key(args.name)
    streams.show_secret(f"The key, shown only once: {token}")
    print(entry)
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
    "qa": _of_task("Answer a question with passages of files.", "qa"),
    "summarize": _of_task("Choose the most important sentences of files.", "summarize"),
    "classify": _of_task("Label files.", "classify"),
    "rerank": _of_task("Put files in order by how well they fit a query.", "rerank"),
    "evidence": _of_task("Keep the sentences of files that bear on a query.", "evidence"),
    "extract": _handed_over("Print the text of files, or their structure.", "app.files.command", "files"),
    "batch": _handed_over("Answer every line of a JSONL file.", "app.bulk.command", "ray"),
    "export": _handed_over("Turn a checkpoint into a model of the store.", "export.command", "export"),
    "engine": _handed_over("Build TensorRT engines, or check a graph for them.", "export.tensorrt_command", "export"),
    "evaluate": _handed_over("Score a model on a data set, as it is served.", "training.evaluation.command", "train"),
    "pretrain": _handed_over("Pre-train a masked language model on texts.", "training.pretrain.command", "train"),
    "finetune": _handed_over("Fine-tune a checkpoint for a task.", "training.finetune.command", "train"),
    "warm-start": _handed_over("Turn a BERT, RoBERTa or XLM-R encoder into a BigBird.", "training.warm_start", "train"),
    "vocabulary": _handed_over("Train a vocabulary on the words of a corpus.", "training.vocabulary", "train"),
}

if __name__ == "__main__":
    sys.exit(main())
