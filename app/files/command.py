"""`nagayomi extract`: the text of files of every kind that is read, or their structure as JSON.

Warnings and errors go to standard error with the file's name; after an error, the other files are still read.
Exit codes are those of app/cli.py: 2 when any file could not be read.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

from app.errors import FileError, InvalidInput
from app.files.document import Document
from app.files.inputs import STANDARD_INPUT, named_files, read_named
from app.files.limits import COMMAND_LIMITS
from app.files.read import read_kind
from app.files.sniff import ACCEPTED, Kind, kind_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `nagayomi extract`."""
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help=f"{ACCEPTED}; a folder; a pattern such as '*.pdf'; - is standard input"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per file: text, blocks, pages")
    parser.add_argument(
        "--charset", metavar="NAME", help="the encoding of text files (default: found from their bytes)"
    )


def run(args: argparse.Namespace) -> int:
    """Print every file; return 2 when any file could not be read."""
    return asyncio.run(_extract(args.files, args.charset, args.json))


async def _extract(names: list[str], charset: str | None, as_json: bool) -> int:
    limits = COMMAND_LIMITS
    code = 0
    for number, name in enumerate(named_files(names)):
        try:
            data = (await asyncio.to_thread(read_named, name, limits)).data
            kind = kind_of(data, None if name == STANDARD_INPUT else name, None, limits)
            document = await read_kind(kind, data, charset, limits)
        except (FileError, InvalidInput) as error:
            print(f"nagayomi: {name}: {error}", file=sys.stderr)
            code = 2
            continue
        for warning in document.warnings:
            print(f"nagayomi: {name}: {warning}", file=sys.stderr)
        if as_json:
            print(json.dumps(as_dict(name, kind, document), ensure_ascii=False))
        else:
            print(("\n" if number else "") + document.text)
    return code


def as_dict(name: str, kind: Kind, document: Document) -> dict[str, Any]:
    """A file as JSON: spans are half-open, in code points of the text."""
    return {
        "document": name,
        "kind": kind,
        "text": document.text,
        "blocks": [
            {"kind": block.kind, "start": block.start, "end": block.end, "level": block.level, "cells": block.cells}
            for block in document.blocks
        ],
        "pages": [asdict(page) for page in document.pages],
        "warnings": [
            {"warning": str(one), "warning_type": one.warning_type, "pages": one.pages} for one in document.warnings
        ],
    }
