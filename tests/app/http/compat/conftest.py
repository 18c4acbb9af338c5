"""The application in this process, on handmade models, for clients of other servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.main import create_app
from app.settings import Settings
from tests.app.asgi import running


@pytest.fixture(scope="module")
def settings(handmade_models: Path) -> Settings:
    return Settings(
        model_store=handmade_models,
        intra_op_threads=1,
        max_client_batch_size=4,
        max_text_characters=5_000,
        max_request_tokens=4_096,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """One application for all tests of a module: starting its engines takes longer than the tests."""
    async with running(create_app(settings)) as opened:
        yield opened
