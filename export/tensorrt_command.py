"""`nagayomi engine build|check`: builds TensorRT engines before they are needed, and checks a graph without a GPU.

`build` starts the engines as the service would and ends them again: the service then finds them in the cache. `check`
needs the extra `export`.
"""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from app.engine.process import Engine, check_provider
from app.errors import InvalidInput, ModelNotFound
from app.manifest import Manifest, verify_files
from app.settings import settings_from


def add_arguments(parser: argparse.ArgumentParser) -> None:
    settings = settings_from({})
    actions = parser.add_subparsers(dest="action", required=True, metavar="build|check")
    build = actions.add_parser("build", help="build the engine of a model into the cache; minutes, on a GPU")
    check = actions.add_parser(
        "check", help="list the parts of a model's graph that TensorRT would refuse; needs no GPU"
    )
    for action in (build, check):
        action.add_argument("--model", required=True, metavar="NAME", help="a model of the store")
        action.add_argument("--model-store", type=Path, default=settings.model_store, help="default: %(default)s")
        action.add_argument(
            "--max-batch-tokens",
            type=int,
            default=settings.max_batch_tokens,
            metavar="N",
            help="the setting of the service: an engine is built for batches up to this size (default: %(default)s)",
        )
    build.add_argument("--engine-cache", type=Path, default=settings.engine_cache, help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    if args.max_batch_tokens < 1:
        raise InvalidInput("--max-batch-tokens must be at least 1.")
    check_name(args.model_store, args.model)
    if args.action == "check":
        from export import tensorrt

        return tensorrt.run(args)
    return asyncio.run(_build(args))


def check_name(store: Path, name: str) -> None:
    """
    Raises:
        ModelNotFound: the store holds no model of that name.
    """
    if not (store / name / "manifest.json").is_file():
        there = ", ".join(sorted(path.parent.name for path in store.glob("*/manifest.json"))) or "none"
        raise ModelNotFound(f"There is no model {name!r} in {store}; its models: {there}.")


async def _build(args: argparse.Namespace) -> int:
    """Raises BrokenModel and ProviderUnavailable, as the service does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    check_provider("tensorrt")
    directory: Path = args.model_store / args.model
    manifest = Manifest.read(directory)
    verify_files(directory, manifest)
    settings = settings_from(
        {"provider": "tensorrt", "engine_cache": args.engine_cache, "max_batch_tokens": args.max_batch_tokens}
    )
    before = set(args.engine_cache.glob(f"{manifest.name}-*/*.engine"))
    engine = Engine(directory, manifest, settings)
    await engine.start()
    await engine.close()
    built = sorted(set(args.engine_cache.glob(f"{manifest.name}-*/*.engine")) - before)
    print("\n".join(map(str, built)) if built else f"The engine of {manifest.name} is in {args.engine_cache} already.")
    return 0
