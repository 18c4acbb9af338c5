"""The engine of one model as the service sees it: starts its process, watches it, and restarts it when it dies.

The engine is a process and not a thread (docs/decisions/0014): the out-of-memory killer or a crash in a native library
ends only this process, and packing has its own interpreter lock.

When the process ends unexpectedly, or does not finish a batch within `batch_timeout_s`, the batches in it fail with
`EngineFailed`, and a new process starts. New batches wait for it; when it cannot start, they fail at once until a later
attempt succeeds. It never starts with other files than the first process: the tokenizer and the labels of this process
belong to those. This module does not know requests, queues or text.
"""

import asyncio
import contextlib
import io
import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from app.engine import protocol
from app.engine.protocol import Failed, Refused, Start, Started
from app.errors import BrokenModel, EngineFailed, ProviderUnavailable
from app.manifest import Manifest, verify_files
from app.packing import Document
from app.settings import Settings
from app.types import Outputs, Provider

EngineState = Literal["new", "up", "restarting", "down", "closed"]

logger = logging.getLogger("nagayomi.engine")

_READ_AHEAD = 2**20  # bytes of results that may wait in the pipe
_LAST_WORDS_S = 0.5  # a process gets this long to end by itself, so that its exit code tells the reason
_PATIENCE_S = 15.0  # between two log lines about a start in progress
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # between attempts to start, doubling


class BatchFailed(Exception):
    """A batch failed in the engine, which keeps running; the message tells how."""


def check_provider(provider: Provider) -> None:
    """Test the provider in a separate process, so that this one never loads its libraries.

    Raises:
        ProviderUnavailable: the provider cannot run here; the message names the missing part.
    """
    if provider == "cpu":
        return
    result = subprocess.run([*_COMMAND, "--probe", provider], env=_environment(), stdout=subprocess.PIPE)
    if result.returncode:  # a crash in a native library, or a package that is missing
        raise ProviderUnavailable(
            f"The provider {provider!r} cannot be used here: the process that tried it ended with code "
            f"{result.returncode}. Its own message above says more."
        )
    answer: Started | Refused = protocol.read(io.BytesIO(result.stdout))
    if isinstance(answer, Refused):
        raise answer.error


_COMMAND = (sys.executable, "-m", "app.worker")


def _environment() -> dict[str, str]:
    """This process's environment, with this program first on the path."""
    here = str(Path(__file__).parents[2])
    before = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{before}" if before else here}


class Engine:
    """Runs batches of documents in a separate process. Belongs to the event loop that starts it.

    Args:
        directory: folder of the model.
        manifest: as read from that directory.
    """

    def __init__(self, directory: Path, manifest: Manifest, settings: Settings) -> None:
        self._start = Start(directory, manifest, settings)
        self._name = manifest.name
        self._batch_timeout_s = settings.batch_timeout_s
        self.state: EngineState = "new"
        self.restarts = 0
        self.on_restart: Callable[[], None] = lambda: None
        self.provider = ""
        self.why_down = ""
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: deque[asyncio.Future[list[Outputs]]] = deque()  # batches in the process, oldest first
        self.settled = asyncio.Event()  # not set during the first attempt to restart the process: batches wait
        self._alarm: asyncio.TimerHandle | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running engine; None between two processes."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start the process; it is warm when this returns.

        Raises:
            BrokenModel, ProviderUnavailable: as the process reports.
        """
        self._process = await self._spawn()
        self._set("up")
        self._keeper = asyncio.create_task(self._keep(), name=f"engine {self._name}")

    async def __call__(self, documents: Sequence[Document]) -> list[Outputs]:
        """One dictionary of outputs per document.

        Raises:
            EngineFailed: the process died with the batch in it, or does not run.
            BatchFailed: the batch failed; the engine keeps running.
        """
        await self.settled.wait()
        if self._process is None:
            raise EngineFailed(f"The engine of {self._name} is not running: {self.why_down}")
        result: asyncio.Future[list[Outputs]] = asyncio.get_running_loop().create_future()
        self._waiting.append(result)
        if len(self._waiting) == 1:
            self._set_alarm()
        assert self._process.stdin is not None
        self._process.stdin.write(protocol.encode_batch(documents))
        # The process may have just died: `_keep` notices too, and fails the batch.
        with contextlib.suppress(ConnectionError):
            await self._process.stdin.drain()
        return await result

    async def close(self, *, at_once: bool = False) -> None:
        """End the process: at once, or after its batches."""
        self._set("closed", "the service is shutting down.")
        if at_once and self._process is not None:
            _kill(self._process)
        if self._keeper is not None:
            if self._process is None:
                self._keeper.cancel()  # it waits before another attempt
            elif not self._waiting:
                _hang_up(self._process)
            await asyncio.gather(self._keeper, return_exceptions=True)

    def _set(self, state: EngineState, why_down: str = "") -> None:
        self.state, self.why_down = state, why_down
        if state == "restarting":
            self.settled.clear()
        else:
            self.settled.set()

    async def _spawn(self) -> asyncio.subprocess.Process:
        begun = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *("--model", self._name),
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            limit=_READ_AHEAD,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(protocol.encode(self._start))
            answer: Started | Refused = await self._answer_of(process.stdout, begun)
            if isinstance(answer, Refused):
                raise answer.error
        except asyncio.IncompleteReadError:
            code = await _end(process)
            raise BrokenModel(
                f"The engine of {self._name} ended with code {code} while it loaded the model; see its log."
            ) from None
        except BaseException:
            _kill(process)
            await _end(process)
            raise
        self.provider = answer.provider
        logger.info("the engine of %s is ready after %.1f s", self._name, time.perf_counter() - begun)
        return process

    async def _answer_of(self, stdout: asyncio.StreamReader, begun: float) -> Any:
        """The process's report of its start. Meanwhile the log shows progress, because a start may take minutes."""
        receiving = asyncio.ensure_future(protocol.receive(stdout))
        try:
            while not (await asyncio.wait((receiving,), timeout=_PATIENCE_S))[0]:
                what = "built or loaded" if self._start.settings.provider == "tensorrt" else "loaded"
                seconds = time.perf_counter() - begun
                logger.info("the engine of %s is being %s: %.0f s so far", self._name, what, seconds)
            return receiving.result()
        finally:
            receiving.cancel()

    async def _keep(self) -> None:
        """Hand out results, and start a new process whenever one has ended."""
        while self._process is not None:
            process = self._process
            try:
                await self._read(process)
            except asyncio.IncompleteReadError:
                pass  # it has ended
            except Exception:  # its messages are unusable; no batch may wait for more
                logger.exception("the engine of %s sent an invalid message", self._name)
            self._process = None
            if self.state != "closed":
                self._set("restarting")  # a batch that arrives meanwhile waits for the next process
            ending = asyncio.ensure_future(_end(process))
            try:
                code = await asyncio.shield(ending)
            except asyncio.CancelledError:  # closing, which leaves no process behind
                _kill(process)
                await ending
                raise
            finally:
                self._fail_waiting()
            if self.state == "closed":
                return
            logger.error("the engine of %s ended with code %s and is started again", self._name, code)
            self.restarts += 1
            self.on_restart()
            self._process = await self._restart()
            self._set("up")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            message = await protocol.receive_result(process.stdout)
            result = self._waiting.popleft()
            self._set_alarm()
            if result.done():
                pass  # its batch was cancelled
            elif isinstance(message, Failed):
                result.set_exception(BatchFailed(message.reason))
            else:
                result.set_result(message)
            if self.state == "closed" and not self._waiting:
                _hang_up(process)

    async def _restart(self) -> asyncio.subprocess.Process:
        """Try until a start succeeds. After the first failure, batches fail at once instead of waiting."""
        self._set("restarting")
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await asyncio.to_thread(self._verify_unchanged)
                return await self._spawn()
            except Exception as error:  # any error: only another attempt can help
                logger.error("the engine of %s cannot be started, next attempt in %.0f s: %s", self._name, pause, error)
                self._set("down", str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _verify_unchanged(self) -> None:
        try:
            verify_files(self._start.directory, self._start.manifest)
        except BrokenModel as error:
            raise BrokenModel(f"{error} The model changed while the service ran; only a restart loads it.") from error

    def _fail_waiting(self) -> None:
        self._set_alarm(off=True)
        while self._waiting:
            result = self._waiting.popleft()
            if not result.done():
                result.set_exception(EngineFailed("The engine stopped while it held this request."))

    def _set_alarm(self, *, off: bool = False) -> None:
        """Wait for the running batch until its timeout; then consider the process dead and kill it."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting and self._process is not None and not off:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._batch_timeout_s, self._give_up, self._process)

    def _give_up(self, process: asyncio.subprocess.Process) -> None:
        logger.error("the engine of %s has not finished a batch in %g s", self._name, self._batch_timeout_s)
        _kill(process)


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _hang_up(process: asyncio.subprocess.Process) -> None:
    """Close its standard input, which ends it; kill it if that takes too long."""
    assert process.stdin is not None
    process.stdin.close()
    asyncio.get_running_loop().call_later(_LAST_WORDS_S, _kill, process)


async def _end(process: asyncio.subprocess.Process) -> int:
    """Make sure that a process ends; returns its exit code."""
    assert process.stdin is not None
    _hang_up(process)
    with contextlib.suppress(ConnectionError):
        await process.stdin.wait_closed()
    return await process.wait()
