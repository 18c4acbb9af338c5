"""The files of a batch run: answers, errors and progress, so that a killed run can resume.

Answers and errors are written in the order of the input, and are on the disk before the progress file records them. A
resumed run cuts off everything after the recorded place, so that no line is lost or written twice. This module does not
know the content of lines.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from app.atomic_write import write_then_rename
from app.bulk.lines import AnsweredLine, Place
from app.errors import InvalidInput, NagayomiError

_FORMAT = 1
_ERRORS, _PROGRESS = _SIDE_NAMES = (".errors.jsonl", ".progress.json")


class CannotWrite(NagayomiError):
    """The output cannot be written."""


@dataclass(frozen=True)
class Paths:
    """The output files of a run."""

    answers: Path
    errors: Path
    progress: Path

    @classmethod
    def next_to(cls, answers: Path) -> "Paths":
        """`out.jsonl`, `out.jsonl.errors.jsonl` and `out.jsonl.progress.json`.

        Names are appended, so that no two runs with different outputs share a file, and the lock of the answers is the
        lock of all three.

        Raises:
            InvalidInput: the answers are no file that a run can resume, or have the name of a side file.
        """
        if str(answers) == "-" or (answers.exists() and not answers.is_file()):
            raise InvalidInput(f"{answers} is not a file; OUT must be one, so that a killed run can resume.")
        if answers.name.endswith((*_SIDE_NAMES, f"{_PROGRESS}.partial")):
            raise InvalidInput(f"{answers} has the name of another run's side file; use another output.")
        return cls(answers, *(answers.with_name(answers.name + added) for added in _SIDE_NAMES))


@dataclass(frozen=True)
class _Progress:
    """The progress that is safe on the disk."""

    run: Mapping[str, Any]  # must be the same when a run resumes
    place: Place = field(default_factory=Place)
    failed: int = 0  # lines
    answers_bytes: int = 0
    errors_bytes: int = 0


class Output:
    """The open files of one run. Lines are added one by one, and are safe after `commit`."""

    def __init__(self, paths: Paths, answers: BinaryIO, errors: BinaryIO, progress: _Progress) -> None:
        self._paths = paths
        self._answers = answers
        self._errors = errors
        self._progress = progress
        self._pending: list[AnsweredLine] = []
        self._end = progress.place
        self._committing = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, paths: Paths, run: Mapping[str, Any]) -> Iterator["Output"]:
        """New files, or those of a run that was interrupted.

        Args:
            run: the settings on which the answers depend, as JSON; a run resumes only with the same settings.

        Raises:
            InvalidInput: the files belong to another run, or to a run that is in progress.
            CannotWrite: a file cannot be written; the message says why.
        """
        with ExitStack() as stack:
            try:
                answers = stack.enter_context(paths.answers.open("ab"))
                fcntl.flock(answers, fcntl.LOCK_EX | fcntl.LOCK_NB)
                errors = stack.enter_context(paths.errors.open("ab"))
                progress = _read(paths.progress)
                if progress is None or (progress.run != run and progress.place == Place()):  # nothing to resume
                    progress = _begin(paths, run)
                elif progress.run != run:
                    raise InvalidInput(_not_the_same(paths, progress.run, run))
                for file, size in ((answers, progress.answers_bytes), (errors, progress.errors_bytes)):
                    if file.seek(0, os.SEEK_END) < size:
                        raise InvalidInput(f"{file.name} is shorter than when the run stopped; {_start_again(paths)}")
                    file.truncate(size)
            except BlockingIOError:
                raise InvalidInput(f"Another run is writing {paths.answers}.") from None
            except OSError as error:
                raise _cannot_write(error) from error
            yield cls(paths, answers, errors, progress)

    @property
    def place(self) -> Place:
        """The place in the input up to which all lines are answered and safe."""
        return self._progress.place

    @property
    def failed(self) -> int:
        """The number of these lines that have an error and no answer."""
        return self._progress.failed

    @property
    def pending(self) -> int:
        """The number of lines that were added and are not yet safe."""
        return len(self._pending)

    def add(self, line: AnsweredLine, end: Place) -> None:
        """The next line of the output, and the place in the input after the line that it answers."""
        self._pending.append(line)
        self._end = end

    def commit(self) -> None:
        """Write the added lines and wait until the disk has them.

        A run that is interrupted commits although a thread still does: the second commit waits for the first.

        Raises:
            CannotWrite: a file cannot be written; the message says why. Lines that were safe before still are.
        """
        with self._committing:
            self._commit()

    def _commit(self) -> None:
        answered = b"".join(f"{line.text}\n".encode() for line in self._pending if not line.failed)
        failed = b"".join(f"{line.text}\n".encode() for line in self._pending if line.failed)
        progress = _Progress(
            self._progress.run,
            self._end,
            self._progress.failed + sum(line.failed for line in self._pending),
            self._progress.answers_bytes + len(answered),
            self._progress.errors_bytes + len(failed),
        )
        try:
            for file, data in ((self._answers, answered), (self._errors, failed)):
                if data:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            _write(self._paths.progress, progress)
        except OSError as error:
            raise _cannot_write(error) from error
        self._progress = progress
        self._pending.clear()


def _begin(paths: Paths, run: Mapping[str, Any]) -> _Progress:
    for path in (paths.answers, paths.errors):
        if path.stat().st_size:
            raise InvalidInput(f"{path} exists already and is not part of a run to resume; {_start_again(paths)}")
    progress = _Progress(run)
    _write(paths.progress, progress)
    return progress


def _not_the_same(paths: Paths, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    name = next(name for name in now if before.get(name) != now[name])
    shown = [json.dumps(run.get(name), ensure_ascii=False) for run in (before, now)]
    changed = f"`{name}` was {shown[0]} and is {shown[1]}"
    return f"{paths.answers} was begun with other settings: {changed}; {_start_again(paths)}"


def _start_again(paths: Paths) -> str:
    names = f"{paths.answers.name}, {paths.errors.name} and {paths.progress.name}"
    return f"use another output, or remove {names} to start again."


def _read(path: Path) -> _Progress | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("format") != _FORMAT:
            raise ValueError("another format")
        return _Progress(**{**content, "place": Place(**content["place"])})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path} is not the progress file of a run: {error}.") from error


def _write(path: Path, progress: _Progress) -> None:
    write_then_rename(path, json.dumps({"format": _FORMAT, **asdict(progress)}, ensure_ascii=False, indent=1))


def _cannot_write(error: OSError) -> CannotWrite:
    return CannotWrite(f"{error.filename or 'The output'} cannot be written: {error.strerror}.")
