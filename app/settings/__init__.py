"""All settings of the service in one frozen object, built once and passed on, with a file for each subject.

Values come from the constructor (the command line turns every field into a flag) or from environment variables named
`NAGAYOMI_<FIELD>`. Each description says what changes with the value. This room does not know models or HTTP.
Start with service.py.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from app.errors import InvalidInput
from app.settings.files import FileSettings
from app.settings.jobs import JobSettings
from app.settings.service import ServiceSettings
from app.validation import explain

_PREFIX = "NAGAYOMI_"


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
        raise InvalidInput(explain(error, lambda name: flag(name) if name in given else _variable(name))) from error


def without_effect(variables: Iterable[str]) -> str | None:
    """A sentence that names the variables of the environment that look like settings and are none; None without any.

    They are no error: Kubernetes makes NAGAYOMI_SERVICE_HOST and others for a service named nagayomi.
    """
    known = [_variable(name) for name in Settings.model_fields]
    named = []
    for variable in sorted(name for name in variables if name.upper().startswith(_PREFIX)):
        if variable.upper() not in known:
            meant = get_close_matches(variable.upper(), known, n=1, cutoff=0.9)
            named.append(f"{variable} ({meant[0]} is one)" if meant else variable)
    if not named:
        return None
    return f"These variables are no settings and have no effect: {', '.join(named)}."


def _variable(name: str) -> str:
    return f"{_PREFIX}{name.upper()}"


def flag(name: str) -> str:
    """The flag of a setting or of a request's field on a command line."""
    return "QUESTION" if name == "question" else f"--{name.replace('_', '-')}"
