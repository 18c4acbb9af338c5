"""Keys over HTTP: closed paths, open paths, and the limits of one key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.http.auth import OPEN_PATHS, new_key
from app.main import create_app
from app.settings import Settings
from tests.app.asgi import engines_held, error_of, running, scope

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB, WEB_ENTRY = new_key("web")
BATCH, BATCH_ENTRY = new_key("batch")


@pytest.fixture(scope="module")
def settings(handmade_models: Path) -> Settings:
    return Settings(model_store=handmade_models, intra_op_threads=1, api_keys=(WEB_ENTRY, BATCH_ENTRY))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(settings)) as opened:
        yield opened


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {WEB}"},
        {"authorization": f"bearer   {BATCH} "},
        {"X-API-Key": WEB},
        {"X-API-Key": WEB, "Authorization": "Bearer meant-for-a-proxy"},
    ],
)
async def test_a_key_lets_in(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.post("/classify", json={"text": "上"}, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="nagayomi"'),
        ({"Authorization": "Bearer"}, 'Bearer realm="nagayomi"'),
        ({"Authorization": f"Basic {WEB}"}, 'Bearer realm="nagayomi"'),
        ({"Authorization": WEB}, 'Bearer realm="nagayomi"'),
        ({"X-API-Key": ""}, 'Bearer realm="nagayomi"'),
        ({"Authorization": f"Bearer {WEB}x"}, 'Bearer realm="nagayomi", error="invalid_token"'),
        ({"Authorization": f"Bearer {WEB_ENTRY}"}, 'Bearer realm="nagayomi", error="invalid_token"'),
        ({"X-API-Key": "wrong", "Authorization": f"Bearer {WEB}"}, 'Bearer realm="nagayomi", error="invalid_token"'),
        ({"X-API-Key": "\xff"}, 'Bearer realm="nagayomi", error="invalid_token"'),
    ],
)
async def test_without_one_it_is_401(client: httpx.AsyncClient, headers: dict[str, str], challenge: str) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = await client.post("/classify", json={"text": "上"}, headers=raw)
    assert "X-API-Key" in error_of(response, 401, "unauthorized")
    assert response.headers["www-authenticate"] == challenge
    assert WEB not in response.text


async def test_all_paths_are_closed_except_those_that_are_named(client: httpx.AsyncClient) -> None:
    for path in ("/qa", "/summarize", "/classify", "/", "/livez"):
        error_of(await client.post(path, json={}), 401, "unauthorized")
    for path in ("/info", "/metrics", "/qa", "/nothing", "/docs/", "/static", "/docs/oauth2-redirect"):
        error_of(await client.get(path), 401, "unauthorized")
    for path in OPEN_PATHS:
        assert (await client.get(path)).status_code == 200, path
    assert (await client.head("/")).status_code == 200
    assert (await client.get("/static/page.js")).status_code == 200
    for path in ("/static/%2e%2e/main.py", "/static/../info"):
        assert (await client.get(path)).status_code in (401, 404)
    assert (await client.get("/nothing", headers=bearer(WEB))).status_code == 404


@pytest.mark.parametrize(
    ("headers", "read"), [([], True), ([(b"expect", b"100-continue")], False)], ids=["sends at once", "waits for leave"]
)
async def test_a_client_that_sends_without_a_key_may_finish_sending(
    settings: Settings, headers: list[tuple[bytes, bytes]], read: bool
) -> None:
    """A client that is cut off while it sends sees a broken connection, not the 401."""
    messages = [{"type": "http.request", "body": b"x" * 10, "more_body": more} for more in (False, True, True)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    await create_app(settings)(scope("/classify", headers), receive, send)
    assert sent[0]["status"] == 401
    assert len(messages) == (0 if read else 3)


async def test_names_show_in_the_metrics_and_tokens_nowhere(settings: Settings) -> None:
    async with running(create_app(settings)) as client:
        await client.post("/classify", json={"text": "上"}, headers=bearer(WEB))
        await client.post("/classify", json={"text": "上"}, headers=bearer("wrong"))
        metrics = (await client.get("/metrics", headers=bearer(BATCH))).text
    assert 'nagayomi_requests_total{endpoint="/classify",key="web",status="200"} 1.0' in metrics
    assert 'nagayomi_requests_total{endpoint="/classify",key="",status="401"} 1.0' in metrics
    assert 'nagayomi_errors_total{endpoint="/classify",error_type="unauthorized"} 1.0' in metrics
    assert 'nagayomi_key_requests{key="batch"} 1.0' in metrics, "this very request"
    assert 'nagayomi_key_requests{key="web"} 0.0' in metrics
    assert 'nagayomi_key_tokens{key="web"} 0.0' in metrics
    assert "wrong" not in metrics
    assert WEB not in metrics


async def test_what_one_key_uses_up_leaves_the_others_alone(settings: Settings) -> None:
    application = create_app(settings.model_copy(update={"max_key_requests": 2, "max_key_tokens": 32}))
    async with running(application) as client:

        def send(token: str, text: str = "上") -> "asyncio.Task[httpx.Response]":
            return asyncio.create_task(client.post("/classify", json={"text": text}, headers=bearer(token)))

        async def tokens_of_web(tokens: int) -> None:
            wanted = f'nagayomi_key_tokens{{key="web"}} {tokens}.0'
            while wanted not in (await client.get("/metrics", headers=bearer(BATCH))).text:
                await asyncio.sleep(0.01)

        with engines_held(application) as release:
            first = send(WEB)
            await tokens_of_web(16)  # one block
            response = await send(WEB, "上" * 20)
            words = error_of(response, 429, "key_limit")
            assert "the key web have 16 tokens waiting or running and this one would add 32; 32 are allowed" in words
            assert response.headers["retry-after"] == "1"
            second = send(WEB)
            await tokens_of_web(32)
            words = error_of(await send(WEB), 429, "key_limit")
            assert words.startswith("2 requests with the key web are being answered; 2 are allowed at once.")
            other = send(BATCH)
            release()
            assert [(await request).status_code for request in (first, second, other)] == [200, 200, 200]
        assert (await send(WEB, "上" * 20)).status_code == 200, "all is given back"


async def test_pages_of_other_origins_see_nothing_by_default(client: httpx.AsyncClient) -> None:
    headers = {**bearer(WEB), "Origin": "https://example.jp"}
    response = await client.post("/classify", json={"text": "上"}, headers=headers)
    assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_pages_of_named_origins_may_read_answers(settings: Settings) -> None:
    application = create_app(settings.model_copy(update={"cors_origins": ("https://example.jp",)}))
    async with running(application) as client:
        asks = {"Origin": "https://example.jp", "Access-Control-Request-Method": "POST"}
        response = await client.options("/qa", headers={**asks, "Access-Control-Request-Headers": "authorization"})
        assert response.status_code == 200, "a browser asks this without the key"
        assert response.headers["access-control-allow-origin"] == "https://example.jp"
        assert response.headers["x-request-id"]
        response = await client.options("/qa", headers={**asks, "Origin": "https://example.com"})
        assert "not allowed is: origin. Allowed are the origins in" in error_of(response, 400, "preflight_refused")
        assert "access-control-allow-origin" not in response.headers
        response = await client.options("/qa", headers={**asks, "Access-Control-Request-Headers": "x-other"})
        assert "not allowed is: headers. Allowed are" in error_of(response, 400, "preflight_refused")
        assert response.headers["access-control-allow-origin"] == "https://example.jp", "the page must see why"
        traced = {**asks, "Access-Control-Request-Headers": "traceparent,tracestate"}
        assert (await client.options("/qa", headers=traced)).status_code == 200
        response = await client.post("/classify", json={"text": "上"}, headers={**bearer(WEB), **asks})
        assert response.headers["access-control-allow-origin"] == "https://example.jp"
        assert "access-control-allow-credentials" not in response.headers
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]
        assert "X-Compute-Tokens" in response.headers["access-control-expose-headers"]
        response = await client.post("/classify", json={"text": "上"}, headers=asks)
        error_of(response, 401, "unauthorized")
        assert response.headers["access-control-allow-origin"] == "https://example.jp", "the page must see why"
