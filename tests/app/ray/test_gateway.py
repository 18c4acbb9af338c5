"""A replica without a cluster: its log."""

import logging
from collections.abc import Iterator
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path

import pytest

from app.ray.serve import configure_logs
from app.settings import Settings


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    names = ("", "nagayomi", "nagayomi.access", "uvicorn", "uvicorn.access", "ray.serve")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_the_log_file_of_ray_serve_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "replica.log"
    writing = RotatingFileHandler(file)
    logger = logging.getLogger("ray.serve")
    logger.handlers = [MemoryHandler(1, target=writing)]  # as Ray Serve sets it up
    logger.setLevel(logging.INFO)
    logger.info("before")
    configure_logs(Settings())
    logger.info("after")
    writing.close()
    assert file.read_text("utf-8") == "before\nafter\n"
