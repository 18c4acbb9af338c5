from typing import Any

import numpy as np
import pytest
import torch

from app.block_tables import AttentionLayout, RandomPlan
from app.packing import Document, pack
from export.attention import BlockTables, block_attention
from export.model import tables_from
from tests.export.reference import dense_reference

HEADS, HEAD_SIZE, SIZE, LAYERS = 2, 8, 4, 2


def plan(max_blocks: int) -> RandomPlan:
    rng = np.random.default_rng(1)
    return RandomPlan(
        {n: rng.integers(0, n, (LAYERS, HEADS, n - 2, 1)).astype(np.int32) for n in range(8, max_blocks + 1)}
    )


def attend(lengths: tuple[int, ...], pattern: Any, layer: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Context of every token, over block tables and over the whole mask; and which tokens are real."""
    layout = AttentionLayout(SIZE, 1, pattern, plan(12) if pattern == "random" else None)
    documents = [Document(np.ones(length, np.int32), np.zeros(length, np.int32)) for length in lengths]
    batch = pack(documents, layout)
    inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
    tables: BlockTables = tables_from(inputs)
    generator = torch.Generator().manual_seed(sum(lengths))
    q, k, v = (torch.randn(1, batch.padded_tokens, HEADS, HEAD_SIZE, generator=generator) for _ in range(3))
    real = torch.zeros(batch.padded_tokens, dtype=torch.bool)
    for where in batch.documents:
        real[where] = True
    return (
        block_attention(q, k, v, tables, layer),
        dense_reference(q, k, v, tables, inputs["key_bias"], layer),
        real,
    )


@pytest.mark.parametrize("pattern", ["hf-eval", "random"])
@pytest.mark.parametrize("lengths", [(1,), (4,), (28,), (29,), (48,), (5, 29, 1, 47, 28)])
def test_block_attention_is_the_attention_of_the_written_out_mask(lengths: tuple[int, ...], pattern: str) -> None:
    for layer in range(LAYERS):
        ours, reference, real = attend(lengths, pattern, layer)
        assert ours.shape == reference.shape
        torch.testing.assert_close(ours[0, real], reference[0, real], atol=1e-5, rtol=0)


def test_random_blocks_change_the_result_from_layer_to_layer() -> None:
    first, _, _ = attend((48,), "random", 0)
    second, _, _ = attend((48,), "random", 1)
    assert (first - second).abs().max() > 1e-2


def test_the_two_patterns_differ() -> None:
    one, _, _ = attend((48,), "hf-eval")
    other, _, _ = attend((48,), "random")
    assert (one - other).abs().max() > 1e-2


def test_padding_and_neighbours_do_not_reach_a_document() -> None:
    """The first document's context is the same with any other documents in the batch."""
    layout = AttentionLayout(SIZE, 1)
    lengths = (30, 9)
    batch = pack([Document(np.ones(length, np.int32), np.zeros(length, np.int32)) for length in lengths], layout)
    tables = tables_from({name: torch.from_numpy(array) for name, array in batch.inputs.items()})
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, batch.padded_tokens, HEADS, HEAD_SIZE, generator=generator) for _ in range(3))
    before = block_attention(q, k, v, tables, 0)[0, : lengths[0]]
    for x in (q, k, v):
        x[:, lengths[0] :] = 100.0
    torch.testing.assert_close(block_attention(q, k, v, tables, 0)[0, : lengths[0]], before, atol=0, rtol=0)
