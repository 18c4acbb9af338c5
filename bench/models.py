"""What the models of a store cost, next to those of another: time to load, memory of the engine, tokens per second.

    python -m bench.models STORE [STORE ...] [--characters 5100] [--rounds 5]

Each task's models, one of each store, are loaded together and asked in turns about one long text, so that other work
of the machine slows all alike. The text is a sample of the page, repeated.

The last line is JSON: for each task and store the name of the model, `load_s` (to check, load and warm it),
`memory_mib` (resident in the engine's process after the requests), `seconds` of a request (median of the rounds) and
`tokens_per_s`; and `speedup`, its tokens per second divided by those of the first store.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.service import Service
from app.settings import Settings
from app.store import Model
from app.streams import run_module
from app.tasks.registry import TASKS
from app.types import Task
from bench.forward import status_bytes
from bench.workload import QUESTION, SAMPLE, positive


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stores", type=Path, nargs="+", metavar="STORE", help="folders of models")
    parser.add_argument("--characters", type=positive(int), default=5100, help="length of the text")
    parser.add_argument("--rounds", type=positive(int), default=5)
    parser.add_argument("--threads", type=int, default=0, help="of each engine; default: one per physical core")
    args = parser.parse_args(arguments)
    print(json.dumps(asyncio.run(measure(args.stores, args.characters, args.rounds, args.threads))))
    return 0


async def measure(stores: Sequence[Path], characters: int, rounds: int, threads: int) -> dict[str, dict[str, Any]]:
    """The figures of every task, by the store's path."""
    sample = SAMPLE.read_text(encoding="utf-8")
    text = (sample * (1 + characters // len(sample)))[:characters]
    return {task: await _task(task, stores, text, rounds, threads) for task in TASKS}


async def _task(task: Task, stores: Sequence[Path], text: str, rounds: int, threads: int) -> dict[str, Any]:
    spec = TASKS[task]
    fields = {"question": QUESTION, "context": text} if task == "qa" else {"text": text}
    figures: dict[str, dict[str, Any]] = {}
    async with AsyncExitStack() as stack:
        services: dict[str, tuple[Service, Model]] = {}
        for store in stores:
            settings = Settings(
                model_store=store, intra_op_threads=threads, request_timeout_s=600, max_request_timeout_s=600
            )
            service = await stack.enter_async_context(Service.open(settings, tasks=[task]))
            services[str(store)] = (service, min(service.store.models.values(), key=lambda model: model.name))
        seconds: dict[str, list[float]] = {name: [] for name in services}
        computed: dict[str, int] = {}
        for turn in tqdm(range(rounds + 1), desc=task, file=sys.stderr):
            for name, (service, model) in services.items():
                request = spec.request(**fields, model=model.name)
                begun = time.perf_counter()
                response = await service.answer(spec, request)
                if turn:  # the first round warms
                    seconds[name].append(time.perf_counter() - begun)
                computed[name] = response.usage.tokens
        for name, (_, model) in services.items():
            median = statistics.median(seconds[name])
            assert model.engine.pid is not None  # it has just answered
            figures[name] = {
                "model": model.name,
                "load_s": round(model.load_seconds, 2),
                "memory_mib": status_bytes("VmRSS", model.engine.pid) // 2**20,
                "seconds": round(median, 3),
                "tokens_per_s": round(computed[name] / median),
            }
    first = figures[str(stores[0])]["tokens_per_s"]
    return {name: {**one, "speedup": round(one["tokens_per_s"] / first, 2)} for name, one in figures.items()}


if __name__ == "__main__":
    run_module(main)
