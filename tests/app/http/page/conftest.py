"""The page in a real Chromium, against the real server with handmade models. Skipped where Chromium is missing."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.app.http.page.webdriver import Browser, chromedriver
from tests.app.serving import read_until, serving

READY = "document.querySelector('#model-qa')?.value === 'hand-qa'"
_MOST_S = 1800  # of all tests that share a server, on a slow machine
Address = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="session")
def driver() -> Iterator[str]:
    if shutil.which("chromedriver") is None:
        pytest.skip("chromedriver (Debian: chromium-driver) is not installed")
    with chromedriver() as address:
        yield address


@pytest.fixture(scope="session")
def window(driver: str) -> Iterator[Browser]:
    """One window for all tests: starting Chromium takes longer than the tests."""
    browser = Browser(driver)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def address(handmade_models: Path) -> Address:
    """A server of one's own with these arguments, and where it listens."""

    @contextmanager
    def listening(*arguments: str) -> Iterator[str]:
        with serving(handmade_models, *arguments, most_s=_MOST_S) as process:
            assert process.stdout is not None
            match = re.search(r"ready at (\S+)", read_until(process.stdout, "Ctrl-C"))
            assert match is not None
            # Hundreds of requests are logged: into a pipe that nobody reads, the server would wait for room.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield match.group(1)

    return listening


@pytest.fixture(scope="session")
def page(driver: str, address: Address) -> Iterator[str]:
    with address() as url:
        yield url


@pytest.fixture
def browser(window: Browser, page: str) -> Browser:
    """The page, freshly loaded."""
    window.open(page)
    window.wait(READY)
    window.complaints()
    return window
