"""An engine for the batcher that runs when a test says so, and a batcher on it: the clock is a number."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from app.engine.batcher import Batcher, BatchReport, Completion

Document = tuple[str, int]  # a name and its tokens


class Engine:
    """Keeps every batch until the test ends it, oldest first, and moves the clock then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: list[list[Document]] = []
        self.held: deque[asyncio.Future[None]] = deque()

    def clock(self) -> float:
        return self.now

    async def __call__(self, documents: Sequence[Document]) -> list[str]:
        assert len(self.held) < 2, "one runs, one is prepared"
        self.batches.append(list(documents))
        end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held.append(end)
        await end
        return [name.upper() for name, _ in documents]

    async def end(self, seconds: float = 1.0, error: Exception | None = None) -> None:
        """End the batch that runs after so many seconds."""
        self.now += seconds
        end = self.held.popleft()
        if error is None:
            end.set_result(None)
        else:
            end.set_exception(error)
        await settle()


async def settle() -> None:
    """Let everything happen that can happen without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def make(
    engine: Engine,
    max_batch_tokens: int = 100,
    max_queue_tokens: int = 1000,
    reports: list[BatchReport] | None = None,
    settled: asyncio.Event | None = None,
) -> Batcher[Document, str]:
    return Batcher[Document, str](
        engine,
        cost=lambda document: document[1],
        max_batch_tokens=max_batch_tokens,
        max_queue_tokens=max_queue_tokens,
        settled=settled,
        clock=engine.clock,
        observe=lambda _, report: None if reports is None else reports.append(report),
    )


async def submit(batcher: Batcher[Document, str], *documents: Document, **extra: Any) -> asyncio.Task[Completion[str]]:
    task = asyncio.create_task(batcher.submit(documents, **extra))
    await settle()
    return task
