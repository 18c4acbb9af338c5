"""The threads that tokenize and decode, and their queue.

Decoding goes first: its request is almost answered. Texts to tokenize wait in the order of their arrival, at most
`max_waiting_characters` of them, so that a flood of long texts fills neither the memory nor the queue. This module does
not know the work of a call.
"""

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from app.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

_RATE_MEMORY = 0.9  # weight of the past in the measured speed: about the last ten texts count


class TextThreads:
    """A pool that hands a call to a thread only when one is free, so that waiting calls can be ordered and dropped.

    Args:
        threads: the number of threads.
        max_waiting_characters: of texts that wait for a thread; a text is always accepted when no other one waits.
    """

    def __init__(self, threads: int, max_waiting_characters: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._limit = max_waiting_characters
        self._clock = clock
        self._free = threads
        self._urgent: OrderedDict[asyncio.Future[None], int] = OrderedDict()  # waiting calls, with their characters
        self._waiting: OrderedDict[asyncio.Future[None], int] = OrderedDict()
        self.waiting_characters = 0
        self._read_characters = 0.0  # fading sums; their quotient is the measured speed of one thread
        self._busy_seconds = 0.0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="text")

    async def tokenize(self, characters: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call that reads so many characters. Cancelling drops a call that has not begun.

        Raises:
            Overloaded: too many characters wait already.
        """
        if self._waiting and self.waiting_characters + characters > self._limit:
            raise Overloaded(
                f"Texts of {self.waiting_characters} characters wait to be tokenized and this request would add "
                f"{characters}; {self._limit} may wait. Try again later.",
                self._retry_after_s(),
            )
        await self._turn(self._waiting, characters)
        begun = self._clock()
        result = await self._call(partial(function, *args, **kwargs))
        self._read_characters = _RATE_MEMORY * self._read_characters + characters
        self._busy_seconds = _RATE_MEMORY * self._busy_seconds + (self._clock() - begun)
        return result

    async def decode(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call before all waiting tokenization. Cancelling drops a call that has not begun."""
        await self._turn(self._urgent, 0)
        return await self._call(partial(function, *args, **kwargs))

    async def run_on_each(self, function: Callable[[], None]) -> None:
        """Run a call once in every thread. Each thread waits until all have the call, so no thread runs it twice."""
        together = threading.Barrier(self._threads)

        def call() -> None:
            together.wait()
            function()

        loop = asyncio.get_running_loop()
        try:
            await asyncio.gather(*(loop.run_in_executor(self._pool, call) for _ in range(self._threads)))
        except BaseException:
            together.abort()  # otherwise threads at the barrier would wait for the cancelled ones
            raise

    def close(self) -> None:
        """Wait for the calls that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _turn(self, line: "OrderedDict[asyncio.Future[None], int]", characters: int) -> None:
        """Wait for a free thread; afterwards one is reserved."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line[turn] = characters
        self.waiting_characters += characters
        try:
            await turn
        except asyncio.CancelledError:
            if line.pop(turn, None) is not None:
                self.waiting_characters -= characters
            else:
                self._release()  # the thread was reserved in the same moment
            raise

    def _release(self) -> None:
        """Give a free thread to the next call."""
        for line in (self._urgent, self._waiting):
            # A turn that is cancelled at this moment is removed from the queue by its own task.
            turn = next((turn for turn in line if not turn.done()), None)
            if turn is not None:
                self.waiting_characters -= line.pop(turn)
                turn.set_result(None)
                return
        self._free += 1

    async def _call(self, call: Callable[[], T]) -> T:
        """Run in the reserved thread, which is free again when the call ends, even if no task waits for the result."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()
        work = self._pool.submit(call)
        work.add_done_callback(lambda work: loop.call_soon_threadsafe(self._ended, work, result))
        return await result

    def _ended(self, work: Future[T], result: "asyncio.Future[T]") -> None:
        self._release()
        if result.done():
            return  # no task waits for the result
        if work.cancelled():
            result.cancel()
        elif (error := work.exception()) is not None:
            result.set_exception(error)
        else:
            result.set_result(work.result())

    def _retry_after_s(self) -> int:
        """Seconds until all waiting texts are read, at the measured speed; 1 before anything was measured."""
        if not self._busy_seconds or not self._read_characters:
            return 1
        speed = self._threads * self._read_characters / self._busy_seconds
        return max(math.ceil(self.waiting_characters / speed), 1)
