"""Options and positionals in every order, for every command, on every Python at hand.

The arguments of a command are described here, where its packages are installed, and parsed again on the other Pythons,
which need nothing installed for it.
"""

import argparse
import functools
import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.arguments import CommandParser
from app.cli import COMMANDS, parse
from tests.app.pythons import pythons

ROOT = Path(__file__).parents[2]

# Reads {"arguments": [...], "lines": [...]}; prints what each line becomes, or null where it is refused.
_PARSE = """
import contextlib, io, json, sys
from app.arguments import CommandParser
case = json.load(sys.stdin)
parser = CommandParser(prog="command", allow_abbrev=False)
for names, options in case["arguments"]:
    parser.add_argument(*names, **options)
results = []
for line in case["lines"]:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            results.append(vars(parser.parse_args(line)))
        except SystemExit:
            results.append(None)
print(json.dumps(results))
"""


def _parsed(python: str, arguments: list[Any], lines: list[list[str]]) -> list[dict[str, Any] | None]:
    case = json.dumps({"arguments": arguments, "lines": lines})
    done = subprocess.run(
        [python, "-c", _PARSE], input=case, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=True
    )
    results: list[dict[str, Any] | None] = json.loads(done.stdout)
    return results


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("serve --prot 99", "nagayomi serve: error: unrecognized arguments: --prot 99"),
        ("qa 誰 a.txt --topk 2", "nagayomi qa: error: unrecognized arguments: --topk"),
        ("keys web extra", "nagayomi keys: error: unrecognized arguments: extra"),
        ("extract --jsn a.txt", "nagayomi extract: error: unrecognized arguments: --jsn"),
    ],
)
def test_unknown_arguments_are_named_as_they_were_written(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        parse(line.split())
    assert capsys.readouterr().err.splitlines()[-1] == message


@functools.cache
def _actions(command: str) -> list[argparse.Action]:
    parser = CommandParser()
    COMMANDS[command].add_arguments(parser)
    return [action for action in parser._actions if action.dest != "help"]


def _described(action: argparse.Action) -> list[Any]:
    if not action.option_strings:
        return [[action.dest], {"nargs": action.nargs} if action.nargs else {}]
    if action.nargs == 0:
        return [action.option_strings, {"action": "store_true"}]
    return [action.option_strings, {"nargs": action.nargs, "const": action.const} if action.nargs == "?" else
            {"nargs": action.nargs} if action.nargs else {}]  # fmt: skip


def _interleavings(options: list[list[str]], positionals: list[str]) -> Iterator[list[str]]:
    """Every line with the options in every order, and the positionals in theirs."""
    for order in itertools.permutations([*options, *([None] * len(positionals))]):
        left = iter(positionals)
        yield [word for part in order for word in (part if part is not None else [next(left)])]


def _sample(command: str) -> tuple[list[list[str]], list[str]]:
    """Options of each shape that the command has, the required ones among them, and its positionals."""
    actions = _actions(command)
    positionals = [f"word{number}" for number, action in enumerate(actions) if not action.option_strings]
    chosen = [action for action in actions if action.option_strings and action.required]
    for shape in (0, None, "?"):
        chosen += [a for a in actions if a.option_strings and a.nargs == shape and a not in chosen][:1]
    return [[a.option_strings[-1], *([] if a.nargs == 0 else ["-1"])] for a in chosen], positionals


@pytest.mark.parametrize("command", COMMANDS)
def test_every_order_of_options_and_positionals_is_the_same_line(command: str) -> None:
    options, positionals = _sample(command)
    lines = [list(line) for line in sorted({tuple(line) for line in _interleavings(options, positionals)})]
    described = [_described(action) for action in _actions(command)]
    expected = _parsed(pythons()[0], described, [[*itertools.chain(*options), *positionals]])[0]
    assert expected is not None
    for python in pythons():
        results = _parsed(python, described, lines)
        assert [line for line, result in zip(lines, results, strict=True) if result != expected] == [], python


_MANY = [[["question"], {}], [["file"], {"nargs": "*"}], [["--json"], {"action": "store_true"}], [["--top-k"], {}]]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["何?", "--json", "a"], {"question": "何?", "file": ["a"], "json": True, "top_k": None}),
        (["何?", "a", "--json", "b"], {"question": "何?", "file": ["a", "b"], "json": True, "top_k": None}),
        (["--top-k", "3", "何?", "-"], {"question": "何?", "file": ["-"], "json": False, "top_k": "3"}),
        (["何?", "--top-k=3", "a"], {"question": "何?", "file": ["a"], "json": False, "top_k": "3"}),
        (["何?", "--top-k", "-1e-3"], {"question": "何?", "file": [], "json": False, "top_k": "-1e-3"}),
        (["何?", "--top-k", "-"], {"question": "何?", "file": [], "json": False, "top_k": "-"}),
        (["何?", "--top-k", "", "a"], {"question": "何?", "file": ["a"], "json": False, "top_k": ""}),
        (["--json", "--", "-何?", "--json"], {"question": "-何?", "file": ["--json"], "json": True, "top_k": None}),
        (["-5 度?", "a"], {"question": "-5 度?", "file": ["a"], "json": False, "top_k": None}),
        (["何?", "--top-k"], None),
        (["何?", "--top-k", "--json"], None),
        (["何?", "--top-k", "--", "3"], None),
        (["何?", "--bogus", "a"], None),
        (["--json"], None),
    ],
)
def test_dashes_values_and_ends_of_options_are_read_alike_everywhere(
    line: list[str], expected: dict[str, Any] | None
) -> None:
    assert [_parsed(python, _MANY, [line])[0] for python in pythons()] == [expected] * len(pythons())


@pytest.mark.parametrize("line", [["qa", "何?", "--json", "文書.txt"], ["qa", "--json", "何?", "文書.txt"]])
def test_the_command_line_itself_is_read(line: list[str]) -> None:
    args = parse(line)
    assert (args.question, args.json, args.files) == ("何?", True, ["文書.txt"])


def test_what_follows_an_action_is_for_its_parser() -> None:
    parser = CommandParser()
    actions = parser.add_subparsers(dest="action", required=True)
    check = actions.add_parser("check")
    check.add_argument("--model")
    check.add_argument("file", nargs="?")
    given = parser.parse_args(["check", "--model", "m", "f"])
    assert (given.action, given.model, given.file) == ("check", "m", "f")
