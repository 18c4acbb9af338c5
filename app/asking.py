"""From a request to the function that answers it, for all entrances: JSON, forms, lines of a batch, files of a command.

A request is validated before anything is read or run, so that its errors come at once. The limits are those of the
service and of app/files. This module does not know HTTP.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from app.errors import DeadlineExceeded, InvalidInput
from app.files.extraction import Extracted
from app.schemas.results import Result
from app.service import Caller, Progress, Service, with_room
from app.settings import Settings
from app.tasks.base import TaskSpec, check_members, check_questions
from app.tasks.sources import sources_of_files, sources_of_texts
from app.validation import validate

Answer = Callable[[Caller, Progress | None], Awaitable[Result]]


def ask_in_json(
    service: Service, task: TaskSpec[Any, Any, Any], fields: dict[str, Any], where: str = "this endpoint"
) -> Answer:
    """A request over the one text of its fields, or over the `documents` in place of it.

    Args:
        where: the words for the place of an unknown field in its error.

    Raises:
        InvalidInput: the fields are not those of the task.
        NagayomiError: see `Service.check`.
    """
    _check_lists(fields, service.settings)
    if "documents" not in fields:
        request = validate(fields, task.request, where)
        service.check(task, request, [task.source(request)])
        return partial(service.answer, task, request)
    if task.text_field in fields:
        raise InvalidInput(f"Only one of `{task.text_field}` and `documents` is allowed.")
    request = validate(fields, task.documents_request, where)
    sources = sources_of_texts(request.documents)
    service.check(task, request, sources)
    return partial(service.answer_documents, task, request, sources)


def _check_lists(fields: dict[str, Any], settings: Settings) -> None:
    """Refuse lists that are too long before their members are validated: each would be copied, or get an error."""
    if isinstance(documents := fields.get("documents"), list) and documents:  # validation names an empty one
        check_members(len(documents), settings)
    if isinstance(questions := fields.get("question"), list):
        check_questions(len(questions), settings)


def ask_of_files(
    service: Service,
    task: TaskSpec[Any, Any, Any],
    fields: dict[str, Any],
    files: int,
    read: Callable[[], Awaitable[list[Extracted]]],
    where: str = "this endpoint",
) -> Answer:
    """A request over files. They are read when it is answered, within its time.

    Args:
        files: the number of files.
        read: reads the files.
        where: see `ask_in_json`.

    Raises:
        InvalidInput: the fields are not those of the task, or there are too many files.
        NagayomiError: see `Service.check`.
    """
    check_members(files, service.settings)
    if both := next((name for name in (task.text_field, "documents") if name in fields), None):
        raise InvalidInput(f"Only one of `{both}` and `file` is allowed.")
    request = validate(fields, task.fields, where)
    service.check(task, request, ())

    async def answer(caller: Caller, progress: Progress | None) -> Result:
        with service.held(caller) as caller:
            return await answer_within(caller, progress)

    async def answer_within(caller: Caller, progress: Progress | None) -> Result:
        timeout_s = service.settings.request_timeout_s if caller.timeout_s is None else caller.timeout_s
        begun = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                sources = sources_of_files(await with_room(caller, read))
        except TimeoutError:
            raise DeadlineExceeded(
                f"The files were not read within {timeout_s:g} seconds. Send fewer, or allow more time."
            ) from None
        caller = replace(caller, spent_s=time.monotonic() - begun)
        return await service.answer_documents(task, request, sources, caller, progress)

    return answer
