"""The table of errors: every one has a client's status and a type of its own."""

import pytest

from app import errors
from app.errors import NagayomiError, Overloaded

ALL = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, NagayomiError) and value is not NagayomiError
]


@pytest.mark.parametrize("error", ALL)
def test_status_and_type(error: type[NagayomiError]) -> None:
    assert error.status in {401, 404, 408, 413, 415, 422, 429, 500, 503, 504}
    assert error.error_type.replace("_", "").isalpha()
    assert error.__doc__


def test_types_are_distinct() -> None:
    types = [error.error_type for error in ALL]
    assert len(set(types)) == len(types)


def test_overloaded_says_when_to_come_back() -> None:
    error = Overloaded("The queue is full.", 7)
    assert (str(error), error.retry_after_s) == ("The queue is full.", 7)
