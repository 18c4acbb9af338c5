"""The parser of one command's arguments: options and positionals stand in any order, on every Python.

argparse fills a positional that may be empty, or that takes several, with the words before the first option, and then
refuses the words after it (cpython 59317; parse_intermixed_args loses `--` on some versions). Here the options are put
first, and argparse reads the rest. Arguments that several commands share are here too. This module does not know
commands.
"""

import argparse
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_MANY = 1_000_000
_VALUES = {None: 1, "?": 1, "*": _MANY, "+": _MANY}
_NUMBER = re.compile(r"-\.?\d.*|-(?:inf|nan)", re.IGNORECASE)


class CommandParser(argparse.ArgumentParser):
    """An ArgumentParser for which `QUESTION --json FILE`, `--json QUESTION FILE` and so on are the same."""

    def parse_known_args(  # type: ignore[override]  # one signature for its overloads
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        # The words after an action (`engine check`) are for the parser of that action, which is of this class too.
        in_order = args is None or self._subparsers is not None
        parsed, unknown = super().parse_known_args(args if in_order else self._options_first(args or ()), namespace)
        if unknown:  # reported here, because the parser of all commands would not name the command
            self.error(f"unrecognized arguments: {' '.join(word for word in unknown if word != '--')}")
        return parsed, unknown

    def _options_first(self, arguments: Sequence[str]) -> list[str]:
        waiting = deque(arguments)
        options: list[str] = []
        positionals: list[str] = []
        while waiting:
            argument = waiting.popleft()
            if argument == "--":
                positionals += waiting
                break
            if not self._is_option(argument):
                positionals.append(argument)
                continue
            options.append(argument)
            action = self._option_string_actions.get(argument)
            if action is None:  # unknown, or with its value: --top-k=3
                continue
            most = action.nargs if isinstance(action.nargs, int) else _VALUES[action.nargs]
            values: list[str] = []
            while waiting and len(values) < most and not self._is_option(waiting[0]):
                values.append(waiting.popleft())
            if values and action.nargs in (None, "?"):
                options[-1] = f"{argument}={values.pop()}"  # a value such as -1e-3 is an option to some versions
            options += values
        return [*options, "--", *positionals] if positionals else options

    def _is_option(self, argument: str) -> bool:
        """Like argparse's, except that every number is a value. `--` is no value, and ends the values of an option."""
        if argument in self._option_string_actions or argument == "--":
            return True
        return len(argument) > 1 and argument[0] == "-" and " " not in argument and not _NUMBER.fullmatch(argument)


def positive_integer(text: str) -> int:
    """The `type` of an argument that is a count.

    Raises:
        argparse.ArgumentTypeError: with the sentence that argparse shows.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_model_store(parser: argparse.ArgumentParser) -> None:
    """--model-store, the same for every command that opens the service."""
    parser.add_argument(
        "--model-store",
        type=Path,
        metavar="DIR",
        help="folder of the models (default: NAGAYOMI_MODEL_STORE, or model_store in the working directory)",
    )
