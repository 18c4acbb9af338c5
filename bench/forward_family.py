"""`python -m bench.forward --family NAME`: seconds at 512, 4,096 and 8,192 tokens next to transformers, in one run.

Random weights, fp32, CPU, one document; those of the lengths that the family reads in one pass. transformers runs with
each of its attentions that the family has: eager, which keeps all scores of a layer, and sdpa, which does not. All have
a turn in every round, after one that is not timed; figures are medians, and the last line is JSON: for each length
{"ours_s", "transformers_eager_s", "ratio_eager", "transformers_sdpa_s", "ratio_sdpa"}.
"""

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.packing import pack

LENGTHS = (512, 4096, 8192)


def family_figures(family: str, layers: int, hidden: int, repeats: int, threads: int) -> dict[str, Any]:
    """The figures of one family at a width and a number of layers."""
    import torch
    import transformers

    from app.worker.providers import open_session
    from bench.forward import Run
    from export.check_parity import document, reference_logits, reference_of
    from export.sharp import sharp_model
    from export.trace import attention_layout, write_graph

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    model = sharp_model(family, "qa", hidden, layers, heads=hidden // 64, std=0.02)
    references = {"eager": reference_of(model, "eager")}
    if references["eager"]._supports_sdpa:
        references["sdpa"] = reference_of(model, "sdpa")
    lengths = [tokens for tokens in LENGTHS if tokens <= model.max_tokens]
    runs: dict[tuple[str, int], Run] = {}
    with tempfile.TemporaryDirectory() as folder:
        write_graph(model, Path(folder), "packed")
        session = open_session(Path(folder) / "model.onnx", "cpu", threads)
        for tokens in lengths:
            one = document(tokens, "qa")
            batch = pack([one], attention_layout(model, "hf-eval"))
            inputs = {node.name: batch.inputs[node.name] for node in session.get_inputs()}
            runs["ours", tokens] = partial(session.run, None, inputs)
            for attention, reference in references.items():
                runs[attention, tokens] = partial(reference_logits, reference, "qa", "hf-eval", one)
        seconds: dict[tuple[str, int], list[float]] = {name: [] for name in runs}
        for name in tqdm([*runs] * repeats, desc="forward passes", file=sys.stderr):
            runs[name]()
            started = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "family": family,
        "layers": layers,
        "hidden": hidden,
        **{
            f"at_{tokens}": {
                "ours_s": round(medians["ours", tokens], 4),
                **{f"transformers_{name}_s": round(medians[name, tokens], 4) for name in references},
                **{f"ratio_{name}": round(medians[name, tokens] / medians["ours", tokens], 3) for name in references},
            }
            for tokens in lengths
        },
    }
