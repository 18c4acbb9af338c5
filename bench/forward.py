"""How long one forward pass takes: transformers (block-sparse and full attention) against the exported graph.

    python -m bench.forward [--layers 12] [--hidden 768] [--repeats 3]

Random weights, fp32, CPU, one document of 4,096 tokens and one of 1,024. The three take turns, so that other work of
the machine slows all of them alike. Each runs once untimed just before its timed run, because the others may have taken
its memory away. Figures are medians. Memory is measured in a separate process for each length (Linux: the peak resident
size in /proc is reset before the run). The last line is JSON:

    ours_s, transformers_block_sparse_s, transformers_full_s, ratio_block_sparse, ratio_full, tokens
    at_1024                     the same figures at 1,024 tokens
    dense_products_s            the matrix products of the linear layers alone, at 4,096 tokens: a lower bound for fp32
    weights_bytes               size of the weights on disk; memory holds at least as much
    peak_above_weights_bytes    resident peak of the whole process in a 4,096-token run, minus the weights
    growth                      ratio of time, and of memory taken by the run, at 4,096 tokens to those at 2,048

transformers itself switches to full attention up to 704 tokens; both lengths here are above that.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession
from tqdm import tqdm

from app.block_tables import AttentionLayout
from app.packing import Document, pack
from app.streams import run_module
from app.worker.providers import open_session

Run = Callable[[], object]
Attention = Literal["block_sparse", "original_full"]

LENGTHS = (1024, 2048, 4096)
VOCABULARY, QUESTION_LENGTH, SEP = 32_000, 20, 3


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.forward", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--hidden", type=int, default=768, help="a multiple of 64 (default: base, 768)")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each, each after one untimed run")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: every core")
    parser.add_argument("--family", default="big_bird", help="see bench/forward_family.py (default: big_bird)")
    parser.add_argument("--memory-of", nargs=2, metavar=("MODEL", "TOKENS"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.memory_of:
        print(json.dumps(run_memory(Path(args.memory_of[0]), int(args.memory_of[1]), args.threads)))
        return 0
    if args.family != "big_bird":
        from bench.forward_family import family_figures

        print(json.dumps(family_figures(args.family, args.layers, args.hidden, args.repeats, args.threads)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        reference = build(args.layers, args.hidden, directory)
        weights = (directory / "model.safetensors").stat().st_size
        memory = {
            tokens: memory_in_child(directory / "model.onnx", tokens, args.threads)
            for tokens in tqdm((2048, 4096), desc="memory", file=sys.stderr)
        }
        medians = measure(reference, directory / "model.onnx", args.repeats, args.threads)
    print(json.dumps(report(medians, memory, weights)))
    return 0


def build(layers: int, hidden: int, directory: Path) -> Any:
    """Export a model with random weights; returns the model of transformers with the same ones."""
    import transformers

    from export.check_parity import reference_of
    from export.sharp import sharp_model
    from export.trace import write_graph

    transformers.logging.set_verbosity_error()
    model = sharp_model(
        "big_bird", "qa", hidden, layers, heads=hidden // 64, std=0.02, vocab_size=VOCABULARY, type_vocab_size=2
    )
    write_graph(model, directory, "packed")
    return reference_of(model)


def document(tokens: int) -> Document:
    rng = np.random.default_rng(tokens)
    ids = rng.integers(SEP + 1, VOCABULARY, tokens).astype(np.int32)
    ids[QUESTION_LENGTH - 1] = SEP
    types = (np.arange(tokens) >= QUESTION_LENGTH).astype(np.int32)
    return Document(ids, types, QUESTION_LENGTH)


def graph_inputs(session: InferenceSession, tokens: int) -> dict[str, npt.NDArray[Any]]:
    batch = pack([document(tokens)], AttentionLayout())
    return {node.name: batch.inputs[node.name] for node in session.get_inputs()}


def transformers_run(reference: Any, tokens: int, attention: Attention) -> Run:
    import torch

    doc = document(tokens)
    ids, types = (torch.from_numpy(array.astype(np.int64))[None] for array in (doc.input_ids, doc.token_type_ids))
    mask = torch.ones_like(ids)

    def run() -> object:
        reference.bert.set_attention_type(attention)
        with torch.inference_mode():
            return reference(input_ids=ids, attention_mask=mask, token_type_ids=types)

    return run


def dense_products(config: Any, tokens: int) -> Run:
    """Only the matrix products of activations and weights, which every implementation of the model must compute."""
    import torch

    hidden, wide = config.hidden_size, config.intermediate_size
    narrow_in, wide_in = torch.randn(tokens, hidden), torch.randn(tokens, wide)
    square, widen, narrow = torch.randn(hidden, hidden), torch.randn(hidden, wide), torch.randn(wide, hidden)

    def run() -> object:
        with torch.inference_mode():
            for _ in range(config.num_hidden_layers):
                for _ in range(4):  # query, key, value, output
                    narrow_in @ square
                narrow_in @ widen
                wide_in @ narrow
            return (narrow_in @ widen, wide_in @ narrow)  # the feed-forward block of the head

    return run


def measure(reference: Any, model: Path, repeats: int, threads: int) -> dict[tuple[str, int], float]:
    """Median seconds by (implementation, tokens). Every implementation runs once in every round."""
    import torch

    torch.set_num_threads(threads)
    session = open_session(model, "cpu", threads)
    runs: dict[tuple[str, int], Run] = {}
    for tokens in LENGTHS:
        inputs = graph_inputs(session, tokens)
        runs["ours", tokens] = partial(session.run, None, inputs)
        if tokens != 2048:  # only the growth of the exported graph is reported
            runs["block_sparse", tokens] = transformers_run(reference, tokens, "block_sparse")
            runs["original_full", tokens] = transformers_run(reference, tokens, "original_full")
    runs["dense_products", 4096] = dense_products(reference.config, 4096)
    seconds: dict[tuple[str, int], list[float]] = {name: [] for name in runs}
    with tqdm([*runs] * repeats, desc="forward passes", file=sys.stderr) as progress:
        for name in progress:
            progress.set_postfix_str(f"{name[0]} at {name[1]}")
            runs[name]()
            started = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def memory_in_child(model: Path, tokens: int, threads: int) -> dict[str, int]:
    command = [sys.executable, "-m", "bench.forward", "--memory-of", str(model), str(tokens), "--threads", str(threads)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, int] = json.loads(result.stdout)
    return figures


def run_memory(model: Path, tokens: int, threads: int) -> dict[str, int]:
    """Resident bytes of this process: before the first run of a loaded model, and the peak during it."""
    session = open_session(model, "cpu", threads)
    inputs = graph_inputs(session, tokens)
    before = status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak: loading the model may have set it
    session.run(None, inputs)
    return {"before": before, "peak": status_bytes("VmHWM")}


def status_bytes(field: str, process: int | str = "self") -> int:
    """A size that Linux keeps of a process: VmRSS is resident now, VmHWM at the peak."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{process}/status has no {field}.")


def report(
    medians: dict[tuple[str, int], float], memory: dict[int, dict[str, int]], weights_bytes: int
) -> dict[str, Any]:
    def at(tokens: int) -> dict[str, float | int]:
        ours, sparse, full = (medians[name, tokens] for name in ("ours", "block_sparse", "original_full"))
        return {
            "ours_s": round(ours, 4),
            "transformers_block_sparse_s": round(sparse, 4),
            "transformers_full_s": round(full, 4),
            "ratio_block_sparse": round(sparse / ours, 3),
            "ratio_full": round(full / ours, 3),
            "tokens": tokens,
        }

    taken = {tokens: figures["peak"] - figures["before"] for tokens, figures in memory.items()}
    return {
        **at(4096),
        "at_1024": at(1024),
        "dense_products_s": round(medians["dense_products", 4096], 4),
        "weights_bytes": weights_bytes,
        "peak_above_weights_bytes": memory[4096]["peak"] - weights_bytes,
        "growth": {
            "from_tokens": 2048,
            "to_tokens": 4096,
            "time": round(medians["ours", 4096] / medians["ours", 2048], 3),
            "memory": round(taken[4096] / taken[2048], 3),
        },
    }


if __name__ == "__main__":
    run_module(main)
