"""What the commands share: from flags to settings, and sentences that name the flag or the package that is wrong.

Imports pydantic and the settings only when asked.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from app.errors import BrokenModel, InvalidInput, NagayomiError

if TYPE_CHECKING:
    from pydantic import ValidationError

    from app.settings import Settings
    from app.types import Task


class MissingExtra(NagayomiError):
    """The command needs packages that are not installed."""


def missing_extra(error: ModuleNotFoundError, extra: str) -> MissingExtra:
    """What to install, for an import that failed."""
    return MissingExtra(
        f"this command needs the package {error.name}; install the extra `{extra}`: "
        f"pip install 'nagayomi[{extra}]', or pip install -e '.[{extra}]' in a clone."
    )


def settings_from(given: dict[str, Any]) -> "Settings":
    """The settings from flags, then environment variables, then defaults.

    Raises:
        InvalidInput: names the flag or the variable and says what is allowed.
    """
    from pydantic import ValidationError

    from app.settings import Settings

    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidInput(
            explain(error, lambda name: flag(name) if name in given else f"NAGAYOMI_{name.upper()}")
        ) from error


def with_one_model(settings: "Settings", task: "Task", name: str | None) -> "Settings":
    """Settings that load only the model that was named; unchanged where none was, or none of the task has the name."""
    from app.manifest import Manifest

    if name is None:
        return settings
    try:
        manifest = Manifest.read(settings.model_store / name)
    except BrokenModel:
        return settings
    if (manifest.name, manifest.task) != (name, task):
        return settings
    return settings.model_copy(update={"models": (name,)})


def flag(name: str) -> str:
    """How a command line writes the name of a setting or of a request's field."""
    return "QUESTION" if name == "question" else f"--{name.replace('_', '-')}"


def explain(error: "ValidationError", name_of: Callable[[str], str]) -> str:
    """What is wrong with each value, without repeating texts."""
    parts = []
    for item in error.errors(include_url=False, include_input=False):
        message = item["msg"].removeprefix("Value error, ")
        parts.append(f"{name_of(str(item['loc'][0]))}: {message}" if item["loc"] else message)
    return "; ".join(parts) + "."
