"""Contents of the log, and texts that never appear in it."""

import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.http.auth import new_key
from app.main import create_app
from app.schemas import Timings
from app.settings import Settings
from app.telemetry.logs import log_config, log_request
from app.telemetry.request_context import Read, RequestContext, current_request
from tests.app.asgi import running

SECRET = "秘密の文書"
TIMINGS = Timings(tokenize_ms=1.04, queue_ms=2, infer_ms=3, decode_ms=4, total_ms=10)


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("", "nagayomi", "nagayomi.access", "uvicorn", "uvicorn.access")]
    before = [{**vars(logger), "handlers": logger.handlers[:]} for logger in loggers]
    yield
    for logger, state in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = state["handlers"], state["propagate"]
        logger.setLevel(state["level"])


def configure(**settings: Any) -> None:
    logging.config.dictConfig(log_config(Settings(**settings)))


def over(**fields: Any) -> RequestContext:
    """A request that is over."""
    context = RequestContext("id-1", "POST", key="web", endpoint="/qa", status=200, seconds=0.01234)
    for name, value in fields.items():
        setattr(context, name, value)
    return context


def test_a_request_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json")
    context = over(reads=[Read("qa", TIMINGS, 30, 1), Read("qa", TIMINGS, 12, 1)])
    current_request.set(context)
    log_request(context)
    (line,) = capsys.readouterr().out.splitlines()
    record = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*", record.pop("time"))
    assert record == {
        "level": "INFO", "logger": "nagayomi.access", "message": "POST /qa 200, 12.3 ms, 42 tokens, key web",
        "request_id": "id-1", "key": "web", "method": "POST", "endpoint": "/qa", "status": 200, "ms": 12.3,
        "tokens": 42, "tokenize_ms": 2.1, "queue_ms": 4, "infer_ms": 6, "decode_ms": 8,
    }  # fmt: skip
    current_request.set(None)


def test_an_exception_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json")
    try:
        raise ValueError("二行\nにわたる")
    except ValueError:
        logging.getLogger("nagayomi.x").exception("it failed")
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["level"], record["message"]) == ("ERROR", "it failed")
    assert record["exception"].startswith("Traceback")
    assert record["exception"].endswith("にわたる")
    assert "request_id" not in record


def test_a_warning_of_a_library_has_the_form_of_every_other_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json")
    for name in ("asyncio", "opentelemetry.exporter"):
        logging.getLogger(name).info("nobody needs this")
        logging.getLogger(name).warning("no collector")
    out, err = capsys.readouterr()
    records = [json.loads(line) for line in err.splitlines()]
    shown = [(one["level"], one["logger"], one["message"]) for one in records]
    assert shown == [("WARNING", "asyncio", "no collector"), ("WARNING", "opentelemetry.exporter", "no collector")]
    assert out == ""


@pytest.mark.parametrize(("log_level", "shown"), [("debug", ["warning"]), ("error", [])])
def test_libraries_say_no_more_than_is_asked_for(
    capsys: pytest.CaptureFixture[str], log_level: str, shown: list[str]
) -> None:
    configure(log_level=log_level)
    logging.getLogger("asyncio").debug("debug")
    logging.getLogger("asyncio").warning("warning")
    err = capsys.readouterr().err
    assert [line.partition(": ")[2].strip() for line in err.splitlines()] == shown


def test_a_line_of_json_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json")
    logging.getLogger("uvicorn.error").info("started %d", 1, extra={"color_message": "started \x1b[36m%d\x1b[0m"})
    record = json.loads(capsys.readouterr().err)
    assert {name: record[name] for name in record if name != "time"} == {
        "level": "INFO", "logger": "uvicorn.error", "message": "started 1",
    }  # fmt: skip


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    context = over(status=429, error_type="key_limit", key="")
    token = current_request.set(context)
    log_request(context)
    current_request.reset(token)
    logging.getLogger("nagayomi").warning("no request")
    out, err = capsys.readouterr()
    assert re.fullmatch(r"\S+ \S+ INFO: +POST /qa 429, 12\.3 ms, key_limit \[id-1\]\n", out)
    assert re.fullmatch(r"\S+ \S+ WARNING: +no request\n", err)


def test_probes_are_seen_at_level_debug_only(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    log_request(over(endpoint="/readyz"))
    assert capsys.readouterr().out == ""
    configure(log_level="debug")
    log_request(over(endpoint="/readyz"))
    assert "/readyz" in capsys.readouterr().out


async def send_everything(settings: Settings, headers: dict[str, str]) -> None:
    """Requests with a secret in every place a client can put one: answered, refused and failing."""
    application = create_app(settings)
    async with running(application) as client:

        async def post(path: str, body: Any) -> None:
            await client.post(path, json=body, headers=headers)

        await post("/qa", {"question": SECRET, "context": SECRET})
        await post("/summarize", {"text": SECRET})
        await post("/classify", {"text": SECRET})
        await post("/classify", {"text": SECRET + "\0"})
        await post("/classify", {"text": "上", SECRET: 1})
        await post("/classify", {"text": "上", "model": SECRET})
        await client.post(f"/{SECRET}?q={SECRET}", content=SECRET.encode())
        raw = [(name.encode(), value.encode()) for name, value in {**headers, "X-Request-Id": SECRET}.items()]
        await client.get("/info", headers=raw)
        await client.get("/info", headers={"Authorization": "Bearer token-of-a-key"})


async def test_no_text_and_no_token_is_logged(
    handmade_models: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token, entry = new_key("web")
    settings = Settings(model_store=handmade_models, intra_op_threads=1, log_level="debug", api_keys=(entry,))
    logging.config.dictConfig(log_config(settings))

    async def fails(*_: object) -> None:
        raise RuntimeError("the engine broke")

    await send_everything(settings, {"Authorization": f"Bearer {token}"})
    monkeypatch.setattr("app.service.Service.answer", fails)
    await send_everything(settings, {"Authorization": f"Bearer {token}"})
    written = "".join(capsys.readouterr())
    assert "POST /qa 200" in written
    assert "the engine broke" in written
    for secret in (SECRET, SECRET.encode("unicode_escape").decode(), "%E7%A7%98", token, "token-of-a-key"):
        assert secret not in written


async def test_texts_are_logged_when_asked(handmade_models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, log_format="json", log_texts=True)
    logging.config.dictConfig(log_config(settings))
    async with running(create_app(settings)) as client:
        await client.post("/classify", json={"text": f"{SECRET}\n二行目"}, headers={"X-Request-Id": "id-2"})
        await client.post("/classify", json={"documents": [{"id": "甲", "text": "一つ目"}], "top_k": 1})
        assert (await client.get("/info")).json()["log_texts"] is True
    records = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    record, of_documents = [record for record in records if record["logger"] == "nagayomi.texts"]
    assert json.loads(of_documents["message"]) == {"top_k": 1, "documents": [{"document": "甲", "text": "一つ目"}]}
    assert json.loads(record["message"]) == {"text": f"{SECRET}\n二行目"}
    assert record["request_id"] == "id-2"
