"""The values of X-Timeout-Ms, and where bodies are parsed."""

import threading

import pytest

from app.errors import InvalidInput
from app.http.request import parsed, timeout_of
from app.settings import Settings

SETTINGS = Settings(request_timeout_s=60, max_request_timeout_s=90)


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("1", 0.001), ("1500", 1.5), ("90000", 90)])
def test_what_is_allowed(header: str | None, seconds: float | None) -> None:
    assert timeout_of(header, SETTINGS) == seconds


@pytest.mark.parametrize("header", ["", "0", "-1", "1.5", "1e3", "90001", "9" * 5000, "soon", " 1", "１０"])
def test_what_is_not(header: str) -> None:
    with pytest.raises(InvalidInput, match="whole number of milliseconds from 1 to 90000"):
        timeout_of(header, SETTINGS)


@pytest.mark.parametrize(("size", "on_the_loop"), [(100_000, True), (100_001, False)])
async def test_long_bodies_are_parsed_in_a_thread(size: int, on_the_loop: bool) -> None:
    read_in = await parsed(bytes(size), lambda body: threading.current_thread())

    assert (read_in is threading.current_thread()) == on_the_loop
