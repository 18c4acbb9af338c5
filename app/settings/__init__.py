"""All settings of the service in one frozen object, built once and passed on, with a file for each subject.

Values come from the constructor (the command line turns every field into a flag) or from environment variables named
`NAGAYOMI_<FIELD>`. Each description says what changes with the value. This room does not know models or HTTP.
Start with service.py.
"""

from typing import Any

from pydantic import ValidationError

from app.errors import InvalidInput
from app.settings.files import FileSettings
from app.settings.jobs import JobSettings
from app.settings.service import ServiceSettings
from app.validation import explain


class Settings(JobSettings, FileSettings, ServiceSettings):
    """Frozen settings of one process."""


def settings_from(given: dict[str, Any]) -> Settings:
    """The settings from flags, then environment variables, then defaults.

    Raises:
        InvalidInput: a value is wrong; the message names the flag or the variable and says what is allowed.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidInput(
            explain(error, lambda name: flag(name) if name in given else f"NAGAYOMI_{name.upper()}")
        ) from error


def flag(name: str) -> str:
    """The flag of a setting or of a request's field on a command line."""
    return "QUESTION" if name == "question" else f"--{name.replace('_', '-')}"
